"""Stage ``cluster``: clusters of every feature space, HDBSCAN's hierarchy, and how far its clusters can be trusted."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from embeddings.cluster_grid import explore, grid_settings, sample_groups
from embeddings.cluster_space import umap_space
from embeddings.clusters import Clustering, exemplars, hdbscan_clusters
from embeddings.flat_clusters import dbscan_clusters, kmeans_clusters
from embeddings.reduce import fit_pca
from pipeline import cluster_rows, tables
from pipeline.map_points import flat_map
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.stages import features
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "cluster",
    sections=("seed", "profile", "spaces", "cluster"),
    inputs=("wplus", "embeddings", "codes", "map"),
)
log = logging.getLogger("latentforensics")


@dataclass
class _Found:
    """Rows of each table, and what could not be done."""

    clusters: cluster_rows.Rows = field(default_factory=list)
    tree: cluster_rows.Rows = field(default_factory=list)
    grid: cluster_rows.Rows = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def skip(self, what: str, error: ValueError) -> None:
        self.skipped.append(f"{what}: {error}")
        log.warning("cluster: %s", self.skipped[-1])


def run(params: Params, paths: Paths) -> None:
    """Write the tables ``clusters``, ``cluster_tree`` and ``cluster_grid``."""
    current = STAGE.run(params, paths)
    found = _Found()
    for space in bar(current.params.spaces, total=len(current.params.spaces), what="cluster", unit="space"):
        loaded = features.load(paths, space)
        for within in current.params.cluster.spaces:
            try:
                points, name = _points(current, loaded, within)
            except ValueError as error:
                found.skip(f"{space} {within}", error)
                continue
            _cluster(current, loaded, points, name, found)
            if "hdbscan" in current.params.cluster.methods:
                _grid(current, loaded, points, name, found)
    meta = current.meta(skipped=found.skipped)
    for table, rows in (("clusters", found.clusters), ("cluster_tree", found.tree), ("cluster_grid", found.grid)):
        tables.write_rows(rows, paths.table(table), name=table, meta=meta)


def _points(current: Run, loaded: features.Features, within: str) -> tuple[NDArray[np.float32], str]:
    """What is clustered [n, d] and its name; ValueError where this material does not give it."""
    settings, seed = current.params.cluster, current.params.seed
    if within == "map":
        return flat_map(current.paths, loaded.space, loaded.faces["face_id"].tolist())
    points = fit_pca(loaded.vectors, settings.pca_dims, seed=seed).transform(loaded.vectors)
    name = f"pca{points.shape[1]}"
    if within == "umap":
        points, umap = umap_space(points, n_dims=settings.umap_dims, n_neighbors=settings.umap_neighbors, seed=seed)
        name = f"{umap}-{name}"
    return points, name


def _cluster(current: Run, loaded: features.Features, points: NDArray[np.float32], name: str, found: _Found) -> None:
    faces = loaded.faces["face_id"].tolist()
    for method in current.params.cluster.methods:
        try:
            made = _made(current, method, points, name)
        except ValueError as error:
            found.skip(f"{loaded.space} {method} {name}", error)
            continue
        clustering_id = f"{loaded.space}-{made.clustering_id}"
        ranks = exemplars(points, made, k=current.params.cluster.n_exemplars)
        found.clusters += cluster_rows.cluster_rows(faces, clustering_id, made, ranks)
        if made.tree is not None:
            found.tree += cluster_rows.tree_rows(faces, clustering_id, made.tree)
        noise = 100 * made.noise_share
        log.info("cluster: %s, %d clusters, %.0f %% noise", clustering_id, made.n_clusters, noise)


def _made(current: Run, method: str, points: NDArray[np.float32], name: str) -> Clustering:
    settings, seed = current.params.cluster, current.params.seed
    size, samples = settings.min_cluster_size, settings.min_samples
    if method == "kmeans":
        return kmeans_clusters(points, space=name, k=settings.kmeans_k, seed=seed)
    if method == "dbscan":
        return dbscan_clusters(points, space=name, eps=settings.dbscan_eps, min_samples=samples or size)
    return hdbscan_clusters(points, space=name, min_cluster_size=size, min_samples=samples)


def _grid(current: Run, loaded: features.Features, points: NDArray[np.float32], name: str, found: _Found) -> None:
    settings, effort, seed = current.params.cluster, current.params.effort("cluster"), current.params.seed
    groups = loaded.faces["source_group"].to_numpy()
    rows = sample_groups(groups, effort.max_faces, seed=seed)
    wanted = grid_settings(
        (settings.min_cluster_size, settings.min_samples), effort.min_cluster_sizes, effort.min_samples
    )
    measured = explore(points[rows], groups[rows], wanted, space=name, n_draws=effort.n_draws, seed=seed)
    shown: Iterator = bar(measured, total=len(wanted), what=f"cluster grid {loaded.space}", unit="setting")
    found.grid += [cluster_rows.grid_row(loaded.space, p, in_use=i == 0) for i, p in enumerate(shown)]
