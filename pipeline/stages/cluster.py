"""Stage ``cluster``: HDBSCAN in the PCA space of every feature space."""

from __future__ import annotations

import logging

import numpy as np

from embeddings.clusters import exemplars, hdbscan_clusters
from embeddings.reduce import fit_pca
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.stages import features
from pipeline.stages.common import Stage

STAGE = Stage(
    "cluster",
    sections=("seed", "spaces", "cluster"),
    inputs=("wplus", "embeddings", "codes"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``clusters`` table."""
    current = STAGE.run(params, paths)
    settings = current.params.cluster
    rows: list[dict[str, object]] = []
    skipped: list[str] = []
    for space in bar(current.params.spaces, total=len(current.params.spaces), what="cluster", unit="space"):
        loaded = features.load(paths, space)
        try:
            points = fit_pca(loaded.vectors, settings.pca_dims, seed=current.params.seed).transform(loaded.vectors)
        except ValueError as error:
            skipped.append(f"{space}: {error}")
            log.warning("cluster: %s", skipped[-1])
            continue
        made = hdbscan_clusters(
            points,
            space=f"pca{points.shape[1]}",
            min_cluster_size=settings.min_cluster_size,
            min_samples=settings.min_samples,
        )
        ranks = exemplars(points, made, k=settings.n_exemplars)
        clustering_id = f"{space}-{made.clustering_id}"
        for face, cluster, membership, outlier, rank in zip(
            loaded.faces["face_id"], made.cluster, made.membership, made.outlier_score, ranks, strict=True
        ):
            rows.append(
                {
                    "face_id": face,
                    "clustering_id": clustering_id,
                    "cluster": int(cluster),
                    "membership": float(membership),
                    "outlier_score": None if np.isnan(outlier) else float(outlier),
                    "exemplar_rank": int(rank),
                }
            )
        noise = float((made.cluster == -1).mean())
        log.info("cluster: %s, %d clusters, %.0f %% noise", clustering_id, made.n_clusters, 100 * noise)
    tables.write_rows(rows, paths.table("clusters"), name="clusters", meta=current.meta(skipped=skipped))
