"""Rows of the tables ``cluster_profiles``, ``cluster_information`` and ``cluster_channels``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.holm import holm
from embeddings.cluster_codes import Near, channel_distances, mean_codes
from embeddings.cluster_information import Information, codes_of, information
from embeddings.cluster_profile import profile
from embeddings.shuffles import block_shuffles
from pipeline.about_inputs import Attribute, Unit, attributes_of

Rows = list[dict[str, Any]]
SIGNIFICANT = 0.05
#: Unit -> columns of the faces: what changes places, and what does so inside it.
_BLOCKS: dict[Unit, tuple[str, str | None]] = {
    "source group": ("source_group", "video_id"),
    "video": ("video_id", None),
    "face": ("face_id", None),
}
_MEDIANS = ("face_width_px", "blur", "brightness", "ita_deg")
_SHARES = {"methods": "method", "compressions": "compression", "datasets": "dataset"}
#: Codes behind the channels' distances at most; more make shufflings slow and the distances no surer.
MAX_CODES = 20_000


def profile_rows(clustering_id: str, faces: pd.DataFrame, near: Mapping[int, Near]) -> Rows:
    """A row per cluster and one for noise, where there is any.

    Parameters
    ----------
    faces : as `about_inputs.of_clustering` gives them.
    near : cluster -> its nearest clusters.
    """
    made = profile(faces["cluster"], faces["label"].astype("float64"), groups=faces["source_group"].astype(str))
    rows: Rows = []
    for found in (*made.clusters, made.noise):
        part = faces[faces["cluster"] == found.cluster]
        if part.empty:
            continue
        people = part["identity"].dropna()
        row: dict[str, Any] = {
            "clustering_id": clustering_id,
            "cluster": found.cluster,
            "n_faces": found.size,
            "n_videos": part["video_id"].nunique(),
            "n_groups": found.n_groups,
            "n_identities": people.nunique() if len(people) else None,
            "n_labelled": found.n_labelled,
            "share_fake": _empty(found.fake_share),
            "ci_low": _empty(found.fake_share_low),
            "ci_high": _empty(found.fake_share_high),
            "top_group_share": float(part["source_group"].value_counts(normalize=True).iloc[0]),
            "top_identity_share": float(people.value_counts(normalize=True).iloc[0]) if len(people) else None,
            "membership": float(part["membership"].median()),
        }
        for column, source in _SHARES.items():
            shares = part[source].value_counts(normalize=True)
            shares = shares.sort_index().sort_values(ascending=False, kind="stable")
            row[column] = [str(name) for name in shares.index]
            row[f"{column.removesuffix('s')}_shares"] = [float(s) for s in shares]
        row |= {name: _empty(float(part[name].astype("float64").median())) for name in _MEDIANS}
        beside = near.get(found.cluster, Near((), ()))
        row |= {"nearest": list(beside.others), "nearest_distance": list(beside.distances)}
        rows.append(row)
    return rows


def information_rows(clustering_id: str, faces: pd.DataFrame, *, n_shuffles: int, seed: int) -> Rows:
    """A row per attribute, with its null and the correction for their number."""
    return informed(clustering_id, faces, attributes_of(faces), n_shuffles=n_shuffles, seed=seed)


def informed(
    clustering_id: str, faces: pd.DataFrame, found: Mapping[str, Attribute], *, n_shuffles: int, seed: int
) -> Rows:
    """Like `information_rows`, of any attributes; ``faces`` needs cluster, source_group, video_id and face_id."""
    cluster = faces["cluster"].to_numpy(dtype=np.int64)
    measured: dict[str, Information] = {}
    for unit, (block, part) in _BLOCKS.items():
        mine = {name: codes_of(a.values) for name, a in found.items() if a.unit == unit}
        shuffles = block_shuffles(
            faces[block].astype(str),
            None if part is None else faces[part].astype(str),
            n=n_shuffles,
            rng=np.random.default_rng(seed),
        )
        measured |= information(cluster, mine, shuffles)
    corrected = holm([measured[name].p_value for name in found])
    rows: Rows = []
    for (name, attribute), p_holm in zip(found.items(), corrected, strict=True):
        numbers = {key: _empty(value) for key, value in vars(measured[name]).items()}
        rows.append(
            {"clustering_id": clustering_id, "attribute": name}
            | numbers
            | {"p_holm": _empty(float(p_holm)), "is_about": bool(p_holm < SIGNIFICANT)}
            | {"unit": attribute.unit, "n_units": int(faces[_BLOCKS[attribute.unit][0]].nunique())}
        )
    return rows


def channel_rows(
    clustering_id: str, faces: pd.DataFrame, codes: NDArray[np.float32], inverter_id: str, *, n_shuffles: int, seed: int
) -> Rows:
    """A row per cluster and channel; ``codes`` float32 [n, n_channels, w_dim] of ``faces``, which all have one."""
    cluster = faces["cluster"].to_numpy(dtype=np.int64)
    means = mean_codes(codes, cluster)
    rng = np.random.default_rng(seed)
    some = np.arange(len(faces))
    if len(some) > MAX_CODES:
        some = np.sort(rng.choice(some, MAX_CODES, replace=False))
    drawn = faces.iloc[some]
    shuffles = block_shuffles(drawn["source_group"].astype(str), drawn["video_id"].astype(str), n=n_shuffles, rng=rng)
    found = channel_distances(codes[some], cluster[some], shuffles)
    place = {int(c): k for k, c in enumerate(found.clusters)}
    rows: Rows = []
    for number, mean in means.items():
        k = place.get(number)
        for channel, code in enumerate(mean):
            measured = (found.distance, found.null_mean, found.null_high)
            numbers = [math.nan if k is None else float(m[k, channel]) for m in measured]
            rows.append(
                {
                    "clustering_id": clustering_id,
                    "cluster": number,
                    "channel": channel,
                    "inverter_id": inverter_id,
                    **{n: _empty(v) for n, v in zip(("distance", "null_mean", "null_high"), numbers, strict=True)},
                    "mean_code": code,
                    "n_coded": int((cluster == number).sum()),
                }
            )
    return rows


def _empty(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
