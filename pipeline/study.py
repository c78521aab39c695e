"""The reconstruction study (LatentForensics, Fig. 4) and the effort curve: tables in, rows of tables out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from classifiers.bootstrap import MetricRow, group_mean
from pipeline import projectors
from pipeline.schemas import STUDIED

Rows = list[dict[str, Any]]


def study(
    rows: pd.DataFrame,
    groups: Mapping[str, str],
    *,
    n_faces: int | None,
    above: float | None,
    n_boot: int,
    seed: int,
) -> Rows:
    """Rows of the table ``study`` (without its ``perceptual``): each projector on the same faces.

    Parameters
    ----------
    rows
        As `projectors.judged` gives them.
    groups
        Source group of each ``face_id``; groups are what the bootstrap draws.
    n_faces
        Faces at most, by `projectors.choose` among `projectors.comparable`; None takes all.
    above
        Distance above which a face counts as poor; without one only what its stage marked does, and codecs have no
        share.
    """
    known = projectors.comparable(rows)
    chosen = projectors.choose(known["face_id"].tolist(), n_faces, seed=seed)
    known = known[known["face_id"].isin(chosen)]
    out: Rows = []
    for (space, projector_id), part in known.groupby(["space", "projector_id"], sort=True):
        place = {"projector_id": projector_id, "space": space, "n_in_fit": int(part["in_fit"].sum())}
        values = _values(part, above)
        for measure in STUDIED:
            if measure in values:
                found = _mean(measure, values[measure], part["face_id"].map(groups), n_boot=n_boot, seed=seed)
                out.append(place | found)
    return out


def _values(part: pd.DataFrame, above: float | None) -> dict[str, pd.Series]:
    """What is averaged, per face of one projector: float64, NaN where a face has no such number."""
    values = {m: part[m].astype("float64") for m in STUDIED if m in part and part[m].notna().any()}
    marked = part["status"].eq("poor")
    if above is not None:
        # Distances are float32: compared on that grid, as `quality_gate` does.
        values["share_poor"] = (marked | (values["lpips"] > float(np.float32(above)))).astype("float64")
    elif part["space"].iloc[0] == "wplus":
        values["share_poor"] = marked.astype("float64")
    return values


def _mean(measure: str, values: pd.Series, groups: pd.Series, *, n_boot: int, seed: int) -> dict[str, Any]:
    """Mean over the faces that have a finite value (an exact image has an infinite PSNR), with its interval."""
    finite = np.isfinite(values.to_numpy())
    if not finite.any():
        nothing = {"value": None, "ci_low": None, "ci_high": None, "n_groups": 0, "n_faces": 0}
        return nothing | {"measure": measure, "reason": "every face is given back exactly"}
    found = group_mean(measure, values[finite], groups[finite].tolist(), n_boot=n_boot, seed=seed)
    return {"measure": measure, "n_faces": found.n_items, "n_groups": found.n_groups, "reason": found.reason} | _bounds(
        found
    )


def _bounds(found: MetricRow) -> dict[str, float | None]:
    pairs = {"value": found.value, "ci_low": found.ci_low, "ci_high": found.ci_high}
    return {name: None if np.isnan(value) else value for name, value in pairs.items()}


def effort(curves: pd.DataFrame, groups: Mapping[str, str], *, n_boot: int, seed: int) -> Rows:
    """Rows of the table ``effort``: the mean over faces after each rated step, with its interval.

    A face that has left the search keeps its last values, its time included.

    Parameters
    ----------
    curves
        Rows of the table ``curves``.
    groups
        Source group of each ``face_id``.
    """
    out: Rows = []
    for inverter_id, part in curves.groupby("inverter_id", sort=True):
        steps = {
            name: part.pivot(index="face_id", columns="step", values=name).sort_index(axis=1).astype("float64")
            for name in ("lpips", "mse_unit", "seconds_per_face")
        }  # each [faces, steps]
        held = {name: table.ffill(axis=1) for name, table in steps.items()}
        for step in held["lpips"].columns:
            rated = held["lpips"][step].notna() & held["mse_unit"][step].notna()
            if not rated.any():
                continue
            names = [groups[face] for face in rated.index[rated]]
            found = group_mean("lpips", held["lpips"][step][rated], names, n_boot=n_boot, seed=seed)
            bounds = _bounds(found)
            out.append(
                {
                    "inverter_id": inverter_id,
                    "step": int(step),
                    "seconds_per_face": float(held["seconds_per_face"][step][rated].mean()),
                    "lpips": bounds["value"],
                    "ci_low": bounds["ci_low"],
                    "ci_high": bounds["ci_high"],
                    "mse_unit": float(held["mse_unit"][step][rated].mean()),
                    "n_groups": found.n_groups,
                    "n_faces": found.n_items,
                    "n_left": int(steps["lpips"][step][rated].isna().sum()),
                }
            )
    return out
