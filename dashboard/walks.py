"""Walks for the page Counterfactual: models loaded and faces walked on demand, kept until their files change."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from dashboard import data
from pipeline.paths import Paths

if TYPE_CHECKING:
    from pipeline.counterfactual import Walked
    from pipeline.walker import Walker

Stamp = tuple[data.Signature, ...]
ORDERS = ("wrongly judged first", "unsure first", "poorly reconstructed first", "by id")


def names() -> list[str]:
    """Models that can be walked with; none of them is opened, and torch not loaded."""
    return sorted(f.parent.name for f in data.project().models.glob("wplus-*/model.json"))


def walker(name: str) -> Walker:
    """A model, opened once; UserError as `pipeline.counterfactual.open_walker` has it."""
    return _walker(str(data.project().root), name, _stamp(name))


def walk(name: str, face_id: str, group: str | None, n_steps: int) -> Walked:
    """One face's walk; UserError where there is no code, or no direction."""
    return _walk(str(data.project().root), name, _stamp(name), face_id, group, n_steps)


def _stamp(name: str) -> Stamp:
    paths = data.project()
    files = (paths.models / name / "model.json", paths.params, *(paths.table(t) for t in ("wplus", "faces", "metrics")))
    return tuple(data.signature(file) for file in files)


@st.cache_resource(max_entries=4, show_spinner="Loading the model…")
def _walker(root: str, name: str, stamp: Stamp) -> Walker:
    from pipeline import params, walker

    paths = Paths(Path(root))
    return walker.open_walker(name, params.load(paths.params), paths)


@st.cache_resource(max_entries=64, show_spinner="Walking…")
def _walk(root: str, name: str, stamp: Stamp, face_id: str, group: str | None, n_steps: int) -> Walked:
    from pipeline import counterfactual, params
    from pipeline.walker import read_code

    paths = Paths(Path(root))
    opened = _walker(root, name, stamp)
    code = read_code(paths, face_id, opened.inverter_id)
    seed = params.load(paths.params).seed
    return counterfactual.walk_face(opened, code, group=group, n_steps=n_steps, seed=seed)


def candidates(inverter_id: str, model: str) -> pd.DataFrame:
    """Faces with a code by this inverter: their material, quality, and the model's out-of-sample ``p_fake``."""
    codes = data.table("wplus", where=("inverter_id", inverter_id))
    out = data.with_material(codes[codes["lpips"].notna() | codes["status"].ne("failed")])
    judged = data.optional("predictions")
    if judged is None:
        return out.assign(p_fake=float("nan"), p_fake_raw=float("nan"))
    rows = judged["level"].eq("frame") & judged["space"].eq("wplus") & judged["model"].eq(model)
    found = judged.loc[rows, ["id", "p_fake", "p_fake_raw"]].rename(columns={"id": "face_id"})
    return out.merge(found, on="face_id", how="left")


def rank(faces: pd.DataFrame, order: str, *, threshold: float) -> pd.DataFrame:
    """Faces in one of `ORDERS`; what an order cannot tell of comes last, and equals stand by id."""
    own = faces["p_fake_raw"].fillna(faces["p_fake"])
    wrong = faces["p_fake"].ge(threshold).ne(faces["label"].eq("fake")) & faces["p_fake"].notna()
    wrong &= faces["label"].isin(["real", "fake"])
    keys = {
        # The farther on the wrong side, the earlier; then those right by the least.
        "wrongly judged first": [~wrong, -(faces["p_fake"] - threshold).abs().where(wrong), -(own - 0.5).abs()],
        "unsure first": [(faces["p_fake"] - threshold).abs(), (own - 0.5).abs()],
        "poorly reconstructed first": [faces["status"].ne("poor"), -faces["lpips"]],
        "by id": [],
    }[order]
    names = [f"_key{i}" for i in range(len(keys))]
    keyed = faces.assign(_wrong=wrong, **dict(zip(names, keys, strict=True)))
    ranked = keyed.sort_values([*names, "face_id"], na_position="last", ignore_index=True)
    return ranked.rename(columns={"_wrong": "wrong"}).drop(columns=names)


def find(faces: pd.DataFrame, text: str) -> pd.DataFrame:
    """Faces whose id begins with ``text``, or whose file name holds it, whatever the case; all for no text."""
    wanted = text.strip().lower()
    if not wanted:
        return faces
    names = faces["rel_path"].fillna("").astype(str).str.lower()
    return faces[faces["face_id"].str.lower().str.startswith(wanted) | names.str.contains(wanted, regex=False)]
