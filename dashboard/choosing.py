"""What a user has chosen on the map, kept over reruns and other maps. Nothing here draws."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard.colouring import colourable, colouring, column_name
from dashboard.lasso import Lasso, enclosed
from dashboard.map_points import MapPoints

MODES = {"replace": "Replaces", "add": "Adds to it", "remove": "Takes away"}
_CHOSEN, _KEPT = "chosen_faces", "kept_faces"


@dataclass(frozen=True)
class Choice:
    """Chosen faces, in the order they are shown, and how they were chosen, in words.

    ``recipe`` says it for an address (`dashboard.address`), '' where it cannot; ``under``: the points and the
    filter then.
    """

    faces: tuple[str, ...]
    how: str
    recipe: str = ""
    under: str = ""


def chosen() -> Choice | None:
    """The selection; None where there is none."""
    return st.session_state.get(_CHOSEN)


def kept() -> Choice | None:
    """The selection set aside to compare with."""
    return st.session_state.get(_KEPT)


def choose(faces: Sequence[str], how: str, *, mode: str = "replace", recipe: str = "", under: str = "") -> None:
    """Replace the selection, or add to it or take from it; ``recipe`` holds where it stands for all of it."""
    before = chosen()
    if mode == "add" and before is not None:
        faces, how = tuple(dict.fromkeys((*before.faces, *faces))), f"{before.how}, and {how}"
    elif mode == "remove" and before is not None:
        gone = set(faces)
        faces, how = tuple(f for f in before.faces if f not in gone), f"{before.how}, without {how}"
    whole = mode == "replace" or before is None
    recipe = recipe if whole and mode != "remove" else ""
    st.session_state[_CHOSEN] = Choice(tuple(faces), how[-300:], recipe, under) if faces else None


def put(choice: Choice) -> None:
    """Take a choice as the selection."""
    st.session_state[_CHOSEN] = choice


def keep(choice: Choice | None = None) -> None:
    """Set the selection aside, or the one that is given."""
    st.session_state[_KEPT] = choice or chosen()


def clear(*, also_kept: bool = False) -> None:
    """Forget the selection, and with ``also_kept`` the one set aside."""
    st.session_state[_CHOSEN] = None
    if also_kept:
        st.session_state[_KEPT] = None


def answer(event: tuple[str, Any], points: MapPoints, inside: NDArray[np.bool_] | None) -> tuple[list[str], str] | None:
    """Faces that something done on the map asks for, and how that is said; None for what cannot be meant.

    Parameters
    ----------
    event : as `dashboard.point_map.asked` gives it; nothing in it is trusted.
    inside : bool [n], points within the filter; others cannot be chosen.
    """
    name, sent = event
    if not isinstance(sent, dict) or sent.get("version") != points.version:
        return None  # of another map, sent before this one was drawn
    allowed = np.ones(len(points.frame), dtype=bool) if inside is None else inside
    if name == "lasso":
        lasso = Lasso.read(sent)
        if lasso is None:
            return None
        return faces_of(points, enclosed(points.xyz, lasso) & allowed), "inside the lasso"
    if name == "pick":
        row = sent.get("index")
        if not isinstance(row, int) or not 0 <= row < len(allowed) or not allowed[row]:
            return None
        return [str(points.frame["face_id"].iloc[row])], "one face"
    column = sent.get("column")
    if column not in colourable(points.frame):
        return None
    look = colouring(points.frame, column)
    entry = next((e for e in look.legend if e.code == sent.get("code")), None)
    if entry is None:
        return None
    return faces_of(points, (look.codes == entry.code) & allowed), f"{column_name(column)}: {entry.name}"


def faces_of(points: MapPoints, rows: NDArray[np.bool_]) -> list[str]:
    """Ids of the faces of some rows, bool [n]."""
    return [str(f) for f in points.frame["face_id"].to_numpy()[rows]]


def find(points: pd.DataFrame, text: str) -> NDArray[np.bool_]:
    """Rows whose face or video id is ``text`` or begins with it, or whose file name holds it, whatever the case.

    Each distinct value is looked at once: 130,000 faces come from a few thousand files.
    """
    wanted = text.strip().lower()
    out = points["face_id"].str.lower().str.startswith(wanted).to_numpy(dtype=bool, copy=True)
    for column, test in (("video_id", "startswith"), ("rel_path", "contains")):
        values = points[column].cat if isinstance(points[column].dtype, pd.CategoricalDtype) else None
        if values is None or not len(values.categories):
            continue
        names = [str(v).lower() for v in values.categories]
        hit = np.array([n.startswith(wanted) if test == "startswith" else wanted in n for n in names] + [False])
        out |= hit[values.codes.to_numpy()]
    return out
