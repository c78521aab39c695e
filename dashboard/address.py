"""The selection, and the one set aside, in the page's address, so that a view can be sent on. Nothing here draws.

An address holds how each was made, in at most `MAX_CHARS` characters: ``ids~a~b`` (up to `MAX_IDS` faces),
``is~column~value`` (a legend's entry or a cluster), or ``lasso~x y~x y`` with the projection it was drawn under. What
cannot be said so briefly is left out. What comes from an address is not trusted: it can only name points of the map.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard import choosing
from dashboard.colouring import CATEGORIES, column_name
from dashboard.lasso import Lasso, enclosed
from dashboard.map_points import MapPoints

KEY, KEPT_KEY = "chosen", "set_aside"
MAX_IDS, MAX_CORNERS, MAX_CHARS = 60, 60, 2_000
_READ = "address_read"


def recipe_of_event(event: tuple[str, Any]) -> str:
    """How a lasso or a legend's entry is written; '' for anything else. ``event`` has been answered already."""
    name, sent = event
    if name == "lasso" and (lasso := Lasso.read(sent)) is not None:
        each = max(1, -(-len(lasso.corners) // MAX_CORNERS))
        corners = "~".join(f"{x:.3f} {y:.3f}" for x, y in lasso.corners[::each])
        return f"lasso~{' '.join(f'{v:.6g}' for v in lasso.matrix.T.ravel())}~{corners}"
    return ""


def recipe_of_value(column: str, value: object) -> str:
    """How all faces with one value of a column are written."""
    return f"is~{column}~{value}"


def recipe_of_faces(faces: tuple[str, ...]) -> str:
    """How a few faces are written; '' for many."""
    return "~".join(("ids", *faces)) if len(faces) <= MAX_IDS else ""


def restore(points: MapPoints, inside: NDArray[np.bool_] | None) -> None:
    """Choose what the address says, once for each session; what makes no sense chooses nothing."""
    if st.session_state.get(_READ):
        return
    st.session_state[_READ] = True
    now_under = under(points, inside)
    for key, now, put in ((KEY, choosing.chosen(), choosing.put), (KEPT_KEY, choosing.kept(), choosing.keep)):
        text = st.query_params.get(key, "")
        found = answer(text, points, inside) if now is None and text else None
        if found is not None and found[0]:
            put(choosing.Choice(tuple(found[0]), found[1], text, now_under))


def answer(text: str, points: MapPoints, inside: NDArray[np.bool_] | None) -> tuple[list[str], str] | None:
    """Faces that an address's text names, and how that is said; None for what cannot be meant."""
    if len(text) > MAX_CHARS:
        return None
    kind, *parts = text.split("~")
    allowed = np.ones(len(points.frame), dtype=bool) if inside is None else inside
    if kind == "ids" and len(parts) <= MAX_IDS:
        rows = points.find(parts)
        return [str(f) for f in points.frame["face_id"].to_numpy()[rows]], "as the address says"
    if kind == "is" and len(parts) >= 2 and parts[0] in CATEGORIES and parts[0] in points.frame.columns:
        value = "~".join(parts[1:])
        column = points.frame[parts[0]]
        hit = column.astype(object).map(lambda v: not pd.isna(v) and str(v) == value).to_numpy(dtype=bool)
        return choosing.faces_of(points, hit & allowed), f"{column_name(parts[0])}: {value[:60]}"
    if kind == "lasso" and len(parts) >= 4:
        try:
            numbers = [[float(v) for v in part.split(" ")] for part in parts]
        except ValueError:
            return None
        lasso = Lasso.read({"matrix": numbers[0], "corners": numbers[1:]})
        if lasso is not None:
            return choosing.faces_of(points, enclosed(points.xyz, lasso) & allowed), "inside the lasso"
    return None


def under(points: MapPoints, inside: NDArray[np.bool_] | None) -> str:
    """Names a map, a clustering and a filter: under others, a recipe means other faces."""
    passed = "" if inside is None else hashlib.sha256(np.packbits(inside).tobytes()).hexdigest()[:16]
    return f"{points.version}-{passed}"


def write(points: MapPoints, inside: NDArray[np.bool_] | None) -> None:
    """Put both selections into the address; what cannot be said briefly on this map, under this filter, is left out."""
    now_under = under(points, inside)
    _write(KEY, choosing.chosen(), now_under)
    _write(KEPT_KEY, choosing.kept(), now_under)


def _write(key: str, picked: choosing.Choice | None, now_under: str) -> None:
    text = ""
    if picked is not None:
        text = recipe_of_faces(picked.faces)
        if not text and picked.under == now_under:
            text = picked.recipe
    if len(text) > MAX_CHARS:
        text = ""
    if text and st.query_params.get(key) != text:
        st.query_params[key] = text
    elif not text and key in st.query_params:
        del st.query_params[key]
