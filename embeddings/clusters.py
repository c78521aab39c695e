"""Density clusters of vectors: HDBSCAN, with GLOSH outlier scores.

HDBSCAN [1]_ needs no number of clusters and leaves sparse points as noise (cluster -1). The spanning tree is the
exact one, so the result is a function of the input alone. ``embeddings.cluster_profile`` describes what came out.

References
----------
.. [1] Campello, Moulavi, Zimek and Sander (2015). Hierarchical density estimates for data clustering, visualization,
   and outlier detection. ACM TKDD 10(1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embeddings.checks import as_matrix
from embeddings.cluster_profile import ClusterProfile, Profile, exemplars, profile, wilson_interval
from embeddings.condensed_tree import NOISE, CondensedTree, condensed_tree
from embeddings.hdbscan_fit import fit_hdbscan

__all__ = [
    "NOISE",
    "ClusterProfile",
    "Clustering",
    "CondensedTree",
    "Metric",
    "Profile",
    "Selection",
    "exemplars",
    "hdbscan_clusters",
    "largest_first",
    "profile",
    "wilson_interval",
]

Metric = Literal["euclidean", "manhattan", "cosine"]
Selection = Literal["eom", "leaf"]


@dataclass(frozen=True, eq=False)
class Clustering:
    """Clusters of n points.

    Attributes
    ----------
    cluster : int32 [n]
        0 is the largest cluster, then by falling size; -1 is noise.
    membership : float32 [n]
        Strength in [0, 1] with which a point belongs to its cluster; 0 for noise.
    outlier_score : float32 [n]
        GLOSH score in [0, 1], 1 = far less dense than its surroundings. All NaN where there are fewer points than
        a cluster needs, since nothing was measured, and where a method has no such score.
    clustering_id : str
        Space and parameters, e.g. ``hdbscan-pca50-mcs5-ms5``.
    tree : CondensedTree or None
        HDBSCAN's hierarchy; None where there are too few points, or the method has none.
    """

    cluster: NDArray[np.int32]
    membership: NDArray[np.float32]
    outlier_score: NDArray[np.float32]
    clustering_id: str
    tree: CondensedTree | None = None

    @property
    def n_clusters(self) -> int:
        return int(self.cluster.max(initial=NOISE)) + 1

    @property
    def noise_share(self) -> float:
        """Share of noise among the points, in [0, 1]; NaN where there is no point."""
        return float((self.cluster == NOISE).mean()) if len(self.cluster) else float("nan")


def hdbscan_clusters(
    X: ArrayLike,
    *,
    space: str,
    min_cluster_size: int = 5,
    min_samples: int | None = None,
    metric: Metric = "euclidean",
    selection: Selection = "eom",
) -> Clustering:
    """Cluster vectors.

    Parameters
    ----------
    X : array_like [n, d]
        Finite real numbers; n may be anything, 0 included.
    space : str
        What the vectors are, for ``clustering_id``: ``pca50``, ``tsne2``...
    min_cluster_size : int
        At least 2. With fewer points than this, every point is noise.
    min_samples : int or None
        Neighbours that a dense point has; more means more noise. None takes ``min_cluster_size``.
    metric : Metric
        'cosine' is Euclidean on rows scaled to length 1, which orders distances the same way.
    selection : Selection
        'eom' takes the most persistent clusters, 'leaf' the finest.

    Returns
    -------
    Clustering
        All points equal gives all noise: one density, hence nothing that stands out from it.

    Raises
    ------
    ValueError
        Rows with NaN (counted), rows of length 0 with 'cosine', or a parameter out of range.
    """
    array = as_matrix(X).astype(np.float64)
    if metric not in get_args(Metric) or selection not in get_args(Selection):
        raise ValueError(
            f"Expected metric in {', '.join(get_args(Metric))} and selection in {', '.join(get_args(Selection))}; "
            f"got {metric!r} and {selection!r}."
        )
    min_samples = min_cluster_size if min_samples is None else min_samples
    if min_cluster_size < 2 or min_samples < 1:
        raise ValueError(
            f"Expected min_cluster_size >= 2 and min_samples >= 1, got {min_cluster_size} and {min_samples}."
        )
    clustering_id = f"hdbscan-{space}-mcs{min_cluster_size}-ms{min_samples}"
    clustering_id += "" if metric == "euclidean" else f"-{metric}"
    clustering_id += "" if selection == "eom" else f"-{selection}"
    n = len(array)
    if n < max(min_cluster_size, min_samples + 1):
        zeros, unknown = np.zeros(n, dtype=np.float32), np.full(n, np.nan, dtype=np.float32)
        return Clustering(np.full(n, NOISE, dtype=np.int32), zeros, unknown, clustering_id)
    if metric == "cosine":
        array = _unit_rows(array)
    fit = fit_hdbscan(
        array,
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        metric="euclidean" if metric == "cosine" else metric,
        selection=selection,
    )
    cluster = largest_first(fit.labels)
    return Clustering(
        cluster=cluster,
        membership=fit.membership.astype(np.float32),
        outlier_score=np.clip(fit.outlier_score, 0, 1).astype(np.float32),
        clustering_id=clustering_id,
        tree=condensed_tree(fit.edges, cluster),
    )


def _unit_rows(X: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(X, axis=1, keepdims=True)
    n_empty = int((lengths == 0).sum())
    if n_empty:
        raise ValueError(f"metric 'cosine': {n_empty} of {len(X)} rows have length 0, so they have no direction.")
    return X / lengths


def largest_first(labels: NDArray[np.integer]) -> NDArray[np.int32]:
    """Number clusters by falling size, ties by their first point, so that numbers do not hang on tree order."""
    found, first, sizes = np.unique(labels[labels != NOISE], return_index=True, return_counts=True)
    renamed = np.full(len(labels), NOISE, dtype=np.int32)
    for number, old in enumerate(np.lexsort((first, -sizes))):
        renamed[labels == found[old]] = number
    return renamed
