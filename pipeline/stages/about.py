"""Stage ``about``: what each clustering is about, and what its clusters look like."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from embeddings.cluster_codes import Near, nearest_clusters
from embeddings.reduce import fit_pca
from pipeline import about_faces, about_inputs, about_rows, tables
from pipeline.about_verdict import verdict
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.stages import features
from pipeline.stages.common import Run, Stage
from pipeline.stages.features import Features

STAGE = Stage(
    "about",
    sections=("seed", "device", "profile", "weights", "cluster.pca_dims", "about"),
    inputs=("videos", "faces", "wplus", "embeddings", "codes", "clusters", "attributes"),
)
N_NEAREST = 3
TABLES = ("cluster_profiles", "cluster_information", "cluster_channels", "cluster_faces")
NO_CODES = "no clustered face has a W+ code"
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write ``cluster_profiles``, ``cluster_information``, ``cluster_channels`` and ``cluster_faces``."""
    current = STAGE.run(params, paths)
    settings, effort, seed = current.params.about, current.params.effort("about"), current.params.seed
    facts = about_inputs.face_facts(paths)
    clusters = tables.read_pandas(paths.table("clusters"), "clusters")
    clusters = clusters[["face_id", "clustering_id", "cluster", "membership"]]
    coded = features.load(paths, "wplus")
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in TABLES}
    wanted: list[about_faces.Wanted] = []
    parts = list(clusters.groupby("clustering_id", sort=True))
    for name, part in bar(parts, total=len(parts), what="about", unit="clustering"):
        clustering_id = str(name)
        faces = about_inputs.of_clustering(facts, part)
        near = _near(current, clustering_id, faces)
        found["cluster_profiles"] += about_rows.profile_rows(clustering_id, faces, near)
        told = about_rows.information_rows(clustering_id, faces, n_shuffles=settings.n_shuffles, seed=seed)
        found["cluster_information"] += told
        log.info("about: %s: %s", clustering_id, verdict(pd.DataFrame(told)))
        channels = _channels(clustering_id, faces, coded, paths, n_shuffles=effort.n_channel_shuffles, seed=seed)
        found["cluster_channels"] += channels
        wanted += about_faces.wanted_faces(
            clustering_id,
            Counter(faces["cluster"].tolist()),
            _means(channels),
            near,
            n_mean_faces=effort.n_mean_faces,
            n_walks=effort.n_walks,
            n_steps=settings.n_steps,
        )
    if coded.feature_id:
        drawn = about_faces.drawn_rows(
            wanted,
            coded.feature_id,
            device=current.device if wanted else "cpu",
            allow_noncommercial=current.params.weights.allow_noncommercial,
        )
        found["cluster_faces"] = list(bar(drawn, total=len(wanted), what="cluster faces", unit="image"))
    for name, why in _why_empty(clusters, coded, drawn_any=bool(wanted)).items():
        rows = found[name]
        meta = current.meta(on_device=name == "cluster_faces" and bool(rows), reason=None if rows else why)
        tables.write_rows(rows, paths.table(name), name=name, meta=meta)


def _near(current: Run, clustering_id: str, faces: pd.DataFrame) -> dict[int, Near]:
    """Nearest clusters in the principal components that were clustered in; of other spaces, in as many as usual."""
    loaded = features.load(current.paths, clustering_id.split("-")[0])
    place = {face: row for row, face in enumerate(loaded.faces["face_id"])}
    rows = [place[face] for face in faces["face_id"]]
    told = re.search(r"-pca(\d+)", clustering_id)
    n_dims = int(told[1]) if told else current.params.one("cluster.pca_dims")
    points = fit_pca(loaded.vectors, n_dims, seed=current.params.seed).transform(loaded.vectors)
    return nearest_clusters(points[rows], faces["cluster"], k=N_NEAREST)


def _channels(
    clustering_id: str, faces: pd.DataFrame, coded: Features, paths: Paths, *, n_shuffles: int, seed: int
) -> list[dict[str, Any]]:
    place = {face: row for row, face in enumerate(coded.faces["face_id"])}
    having = faces[faces["face_id"].isin(place)].reset_index(drop=True)
    if having.empty:
        return []
    n_channels = int(tables.read(paths.table("wplus"), "wplus", columns=["n_channels"]).column(0)[0].as_py())
    codes = coded.vectors[[place[face] for face in having["face_id"]]].reshape(len(having), n_channels, -1)
    return about_rows.channel_rows(clustering_id, having, codes, coded.feature_id, n_shuffles=n_shuffles, seed=seed)


def _means(channels: list[dict[str, Any]]) -> dict[int, np.ndarray]:
    """Cluster -> mean code [n_channels, w_dim], out of the channels' rows, which stand in order."""
    found: dict[int, list[np.ndarray]] = {}
    for row in channels:
        found.setdefault(row["cluster"], []).append(row["mean_code"])
    return {cluster: np.stack(codes) for cluster, codes in found.items()}


def _why_empty(clusters: pd.DataFrame, coded: Features, *, drawn_any: bool) -> Mapping[str, str | None]:
    """For each table, what to record should it have no rows."""
    if clusters.empty:
        return dict.fromkeys(TABLES, "there is no clustering: see the table 'clusters'")
    of_codes = NO_CODES if not coded.feature_id else "no cluster holds a face with a W+ code"
    not_drawn = of_codes if drawn_any or not coded.feature_id else "no mean face is asked for, or there is no cluster"
    return dict.fromkeys(TABLES, None) | {"cluster_channels": of_codes, "cluster_faces": not_drawn}
