"""Rows of the tables ``slices`` and ``shortcuts`` out of predictions, attributes and what the catalogue tells."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.holm import holm
from classifiers.metrics import Scores
from classifiers.slices import Slicer, SliceRow
from pipeline import attributes
from pipeline.ingest.skin import SKIN_TONES
from pipeline.judged import own_answers, splits
from pipeline.params import Slices

Rows = list[dict[str, Any]]
_NUMBERS = ("value", "ci_low", "ci_high", "rest", "difference", "diff_low", "diff_high", "p_value")
#: Known of a frame whether or not a face was found in it.
FRAME_ATTRIBUTES = ("label", "method", "compression", "dataset", "frame height")


def one_split(predictions: pd.DataFrame) -> pd.DataFrame:
    """Rows on the most honest side there is; ``val``, where calibration was fitted, is never pooled with ``test``."""
    return predictions[predictions["split"].isin(splits(predictions)[:1])]


def judged(predictions: pd.DataFrame, *, which: str) -> list[tuple[str, str]]:
    """``(space, model)`` to look at: all, or of each space the one whose own answers rank frames best (ROC-AUC)."""
    frames = predictions[predictions["level"] == "frame"]
    found: dict[str, list[tuple[float, str]]] = {}
    for key, part in frames.groupby(["space", "model"], sort=True):
        y = part["label"].to_numpy(dtype=np.int64)
        scores = Scores.of(y, own_answers(part), np.zeros(len(y), dtype=np.int64))
        auc = scores.evaluate(np.ones((1, 1), dtype=np.int64))["roc_auc"][0]
        found.setdefault(str(key[0]), []).append((0.0 if np.isnan(auc) else float(auc), str(key[1])))
    if which == "all":
        return [(space, model) for space, models in found.items() for _, model in models]
    return [(space, max(models, key=lambda m: m[0])[1]) for space, models in found.items()]


def classifier_rows(
    predictions: pd.DataFrame, faces: pd.DataFrame, pairs: Iterable[tuple[str, str]], settings: Slices, *, seed: int
) -> Rows:
    """Error rate, balanced accuracy and ROC-AUC of each slice of the judged faces, for each classifier."""
    out: Rows = []
    for space, model in pairs:
        mine = predictions[predictions[["level", "space", "model"]].eq(["frame", space, model]).all(axis=1)]
        mine = mine.rename(columns={"id": "face_id"})[["face_id", "label", "p_fake", "p_fake_raw", "source_group"]]
        # The label of the predictions, for it is what was judged; faces without attributes were not judged.
        both = mine.merge(faces.drop(columns=["label", "source_group"]), on="face_id", how="inner")
        if both.empty:
            continue
        y, p = both["label"].to_numpy(dtype=np.int64), both["p_fake"].to_numpy(dtype=np.float64)
        slicer = Slicer(
            both["source_group"].tolist(), n_boot=settings.n_boot, seed=seed, min_groups=settings.min_groups
        )
        for attribute, values in attributes.sliced(both).items():
            for name in _names(values):
                inside = values == name
                place = {"space": space, "model": model, "attribute": attribute, "slice": name}
                rows = [_row(place, found) for found in slicer.scores(y, p, inside, score=own_answers(both))]
                rows[0]["exemplars"] = _most_wrong(both["face_id"], y, p, inside, settings.n_exemplars)
                out += rows
    return out


def reconstruction_rows(faces: pd.DataFrame, settings: Slices, *, seed: int) -> Rows:
    """Perceptual distance of reconstructions in each slice of the faces that have one."""
    known = faces[faces["lpips"].notna()].reset_index(drop=True)
    if known.empty:
        return []
    slicer = Slicer(known["source_group"].tolist(), n_boot=settings.n_boot, seed=seed, min_groups=settings.min_groups)
    place = {"space": "wplus", "model": "inversion"}
    cut = {name: values for name, values in attributes.sliced(known).items() if name != "lpips"}
    return [
        _row(place | {"attribute": attribute, "slice": name}, slicer.mean("lpips", known["lpips"], values == name))
        for attribute, values in cut.items()
        for name in _names(values)
    ]


def coverage_rows(frames: pd.DataFrame, settings: Slices, *, seed: int) -> Rows:
    """Share of sampled frames with a usable face, by what is known without one.

    Parameters
    ----------
    frames : one row per sampled frame: ``ok``, ``source_group`` and the columns of `FRAME_ATTRIBUTES`.
    """
    if frames.empty:
        return []
    slicer = Slicer(frames["source_group"].tolist(), n_boot=settings.n_boot, seed=seed, min_groups=settings.min_groups)
    place = {"space": "faces", "model": "detector"}
    ok = frames["ok"].to_numpy(dtype=np.float64)
    out: Rows = []
    for attribute in FRAME_ATTRIBUTES:
        values = np.array([None if pd.isna(v) else str(v) for v in frames[attribute]], dtype=object)
        for name in _names(values):
            found = slicer.mean("coverage", ok, values == name)
            out.append(_row(place | {"attribute": attribute, "slice": name}, found))
    return out


def corrected(rows: Rows) -> Rows:
    """Fill ``p_holm``: corrected for all comparisons of the same measure."""
    for measure in sorted({row["measure"] for row in rows}):
        mine = [row for row in rows if row["measure"] == measure]
        p = [np.nan if row["p_value"] is None else row["p_value"] for row in mine]
        for row, value in zip(mine, holm(p), strict=True):
            row["p_holm"] = None if np.isnan(value) else float(value)
    return rows


def _names(values: NDArray[np.object_]) -> Sequence[str]:
    return sorted({str(v) for v in values if v is not None}, key=_place)


def _place(name: str) -> tuple[float, bool, str]:
    """Where a slice stands among those of its attribute: classes and numbers ascend, other names follow by letter."""
    for classes in (SKIN_TONES, attributes.YAW_NAMES):
        if name in classes:
            return float(classes.index(name)), True, name
    start = re.match(r"(below )?c?(-?\d+(?:\.\d+)?)", name)
    return (float(start[2]), start[1] is None, name) if start else (np.inf, True, name)


def _row(place: dict[str, str], found: SliceRow) -> dict[str, Any]:
    facts = asdict(found)
    facts["n_faces"] = facts.pop("n_items")
    facts |= {name: None if np.isnan(facts[name]) else float(facts[name]) for name in _NUMBERS}
    return place | facts


def _most_wrong(
    face_ids: pd.Series, y: NDArray[np.int64], p: NDArray[np.float64], inside: NDArray[np.bool_], n: int
) -> list[str]:
    """The faces of a slice whose P(fake) is furthest from the truth, only those on the wrong side of 0.5."""
    off = np.abs(y - p)
    rows = [i for i in np.argsort(-off, kind="stable") if inside[i] and (p[i] >= 0.5) != (y[i] == 1)]
    return [str(face_ids.iloc[i]) for i in rows[:n]]
