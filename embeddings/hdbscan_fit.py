"""HDBSCAN by package hdbscan; in many dimensions on a spanning tree of our own, the same and much sooner found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hdbscan import HDBSCAN
from hdbscan._hdbscan_linkage import label
from hdbscan._hdbscan_tree import outlier_scores
from hdbscan.hdbscan_ import _tree_to_labels
from numpy.typing import NDArray

from embeddings.spanning_tree import reach_tree

# Search trees prune in few dimensions and hardly in many; where ours becomes the quicker way is a guess between.
TREES_TO_DIMS = 12


@dataclass(frozen=True, eq=False)
class Fit:
    """What HDBSCAN finds.

    Attributes
    ----------
    labels : int [n], -1 for noise
    membership : float64 [n], in [0, 1]
    outlier_score : float64 [n]
        GLOSH.
    edges : record array [m]
        Condensed tree as the package gives it: ``parent, child, lambda_val, child_size``.
    """

    labels: NDArray[np.integer]
    membership: NDArray[np.float64]
    outlier_score: NDArray[np.float64]
    edges: NDArray[Any]


def fit_hdbscan(X: NDArray[np.float64], *, min_cluster_size: int, min_samples: int, metric: str, selection: str) -> Fit:
    """Cluster vectors [n, d], n > min_samples, on the exact spanning tree.

    Parameters
    ----------
    metric : 'euclidean' or another of the package's.
    selection : 'eom' or 'leaf'.
    """
    if metric == "euclidean" and X.shape[1] > TREES_TO_DIMS:
        linkage = label(reach_tree(X, min_samples))
        labels, membership, _, edges, _ = _tree_to_labels(X, linkage, min_cluster_size, selection)
        return Fit(labels, membership, outlier_scores(edges), edges)
    model = HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        metric=metric,
        cluster_selection_method=selection,
        approx_min_span_tree=False,
        core_dist_n_jobs=1,
    ).fit(X)
    return Fit(model.labels_, model.probabilities_, model.outlier_scores_, model.condensed_tree_.to_numpy())
