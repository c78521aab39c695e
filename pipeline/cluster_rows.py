"""Clusterings as rows of the tables ``clusters``, ``cluster_tree`` and ``cluster_grid``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from embeddings.cluster_grid import GridPoint
from embeddings.clusters import NOISE, Clustering
from embeddings.condensed_tree import CondensedTree

Rows = list[dict[str, Any]]
_SPREADS = ("n_clusters", "noise_share", "stability", "validity")


def cluster_rows(face_ids: Sequence[str], clustering_id: str, made: Clustering, ranks: np.ndarray) -> Rows:
    """One row per face; ``ranks`` as `embeddings.clusters.exemplars` gives them."""
    columns = (made.cluster.tolist(), made.membership.tolist(), made.outlier_score.tolist(), ranks.tolist())
    return [
        {
            "face_id": face,
            "clustering_id": clustering_id,
            "cluster": cluster,
            "membership": membership,
            "outlier_score": _known(outlier),
            "exemplar_rank": rank,
        }
        for face, cluster, membership, outlier, rank in zip(face_ids, *columns, strict=True)
    ]


def tree_rows(face_ids: Sequence[str], clustering_id: str, tree: CondensedTree) -> Rows:
    """One row per node but the root, and one per face."""
    columns = (tree.parent, tree.child, tree.density, tree.size, tree.is_node, tree.cluster)
    return [
        {
            "clustering_id": clustering_id,
            "parent": parent,
            "child": child,
            "face_id": None if is_node else face_ids[child - tree.n_nodes],
            "density": _known(density),
            "size": size,
            "is_cluster": is_node,
            "selected": cluster != NOISE,
            "cluster": None if cluster == NOISE else cluster,
        }
        for parent, child, density, size, is_node, cluster in zip(*(c.tolist() for c in columns), strict=True)
    ]


def grid_row(space: str, point: GridPoint, *, in_use: bool) -> dict[str, Any]:
    """One setting of a feature space."""
    row: dict[str, Any] = {
        "clustering_id": f"{space}-{point.clustering_id}",
        "space": space,
        "min_cluster_size": point.min_cluster_size,
        "min_samples": point.min_samples,
        "in_use": in_use,
        "n_faces": point.n_points,
        "n_groups": point.n_groups,
        "n_draws": point.n_draws,
        "reason": point.reason,
    }
    for name in _SPREADS:
        low, high = getattr(point, f"{name}_spread")
        row |= {name: _known(getattr(point, name)), f"{name}_low": _known(low), f"{name}_high": _known(high)}
    return row


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
