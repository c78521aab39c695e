"""Everything that turns a face into a code and back, on equal terms: W+ inverters and the codecs they are held against.

DataFrames in and out; light enough for the dashboard.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

_COLUMNS = ["projector_id", "space", "face_id", "in_fit", "status", "lpips", "mse_unit", "psnr_db", "w_distance_std"]


def judged(wplus: pd.DataFrame | None, codes: pd.DataFrame | None) -> pd.DataFrame:
    """Rows of ``wplus`` and ``codes`` in one form, W+ first.

    Returns
    -------
    DataFrame
        ``projector_id, space, face_id, in_fit, status, lpips, mse_unit, psnr_db, w_distance_std``, one row per face and
        projector. An inverter was fitted on no face of a user; a codec has no ``w_distance_std`` (NaN).
    """
    parts = [pd.DataFrame(columns=_COLUMNS)]
    if wplus is not None and len(wplus):
        parts.append(wplus.rename(columns={"inverter_id": "projector_id"}).assign(space="wplus", in_fit=False))
    if codes is not None and len(codes):
        spaces = codes["codec_id"].str.partition("-")[0]
        renamed = codes.rename(columns={"codec_id": "projector_id"})
        parts.append(renamed.assign(space=spaces, status="ok", w_distance_std=np.nan))
    filled = [part[_COLUMNS] for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else parts[0]


def comparable(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the faces on which projectors can be compared.

    These are the faces that every projector has a distance for; and of them only those that no projector was fitted on,
    where there are any. Where every face was in a fit all are kept, and ``in_fit`` tells.

    Parameters
    ----------
    rows
        As `judged` gives them.
    """
    known = rows[np.isfinite(rows["lpips"].astype("float64"))]
    if known.empty:
        return known
    n_projectors = known["projector_id"].nunique()
    per_face = known.groupby("face_id").agg(n=("projector_id", "nunique"), in_fit=("in_fit", "any"))
    everywhere = per_face[per_face["n"] == n_projectors]
    new = everywhere[~everywhere["in_fit"].astype(bool)]
    return known[known["face_id"].isin((everywhere if new.empty else new).index)]


def choose(face_ids: Sequence[str], n: int | None, *, seed: int) -> list[str]:
    """At most ``n`` faces (None: all), drawn without replacement from the sorted ids by ``numpy``'s generator."""
    names = sorted(set(face_ids))
    if n is None or n >= len(names):
        return names
    return sorted(np.random.default_rng(seed).choice(names, size=n, replace=False).tolist())


def spread(rows: pd.DataFrame, n: int) -> list[str]:
    """At most ``n`` faces from best to worst, evenly spaced in rank of the mean distance over all projectors."""
    ranked = rows.groupby("face_id")["lpips"].mean().reset_index().sort_values(["lpips", "face_id"])["face_id"].tolist()
    places = np.unique(np.linspace(0, len(ranked) - 1, min(n, len(ranked))).round().astype(int))
    return [ranked[i] for i in places]
