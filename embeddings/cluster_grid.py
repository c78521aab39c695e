"""How far HDBSCAN's clusters hang on its settings and on the material: a small grid, each setting on many draws.

A draw is a part of the source groups, without replacement: faces of one group are no independent draws, and drawing
with replacement would put equal points beside each other, which density clustering takes for dense clusters. The
*stability* of a setting is the adjusted Rand index [1]_ between the clusters of a draw and those of all points, on the
draw's points. A noise point counts as a cluster of its own: it belongs nowhere, not to the other noise.

References
----------
.. [1] Hubert and Arabie (1985). Comparing partitions. Journal of Classification 2. Draws as in Ben-Hur, Elisseeff and
   Guyon (2002). A stability based method for discovering structure in clustered data. Pacific Symposium on
   Biocomputing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import adjusted_rand_score

from embeddings.checks import as_matrix
from embeddings.clusters import hdbscan_clusters
from embeddings.density_validity import density_validity

SHARE_DRAWN = 0.8
# Spread means nothing with fewer groups to draw from.
MIN_GROUPS = 5
Spread = tuple[float, float]
Setting = tuple[int, int]


@dataclass(frozen=True)
class GridPoint:
    """One setting. ``*_spread`` is the middle 95 % over draws; NaN where there are none, or nothing to compare.

    Attributes
    ----------
    clustering_id : str
    min_cluster_size, min_samples : int
    n_clusters, noise_share, validity : of all points; ``validity`` is DBCV, NaN with fewer than two clusters.
    stability : float
        Mean over draws, at most 1; 0 is chance. NaN without draws, or where no draw and not all points have a cluster.
    n_points, n_groups, n_draws : int
    reason : str or None
        Why there is no stability.
    """

    clustering_id: str
    min_cluster_size: int
    min_samples: int
    n_clusters: int
    n_clusters_spread: Spread
    noise_share: float
    noise_share_spread: Spread
    validity: float
    validity_spread: Spread
    stability: float
    stability_spread: Spread
    n_points: int
    n_groups: int
    n_draws: int
    reason: str | None


def grid_settings(in_use: tuple[int, int | None], sizes: Sequence[int], samples: Sequence[int | None]) -> list[Setting]:
    """Pairs of min_cluster_size and min_samples, each once: the one in use first, then all of the grid.

    ``min_samples`` None is equal to ``min_cluster_size``.
    """
    pairs = [in_use, *((size, sample) for size in sizes for sample in samples)]
    return list(dict.fromkeys((size, size if sample is None else sample) for size, sample in pairs))


def sample_groups(groups: ArrayLike, max_points: int, *, seed: int) -> NDArray[np.intp]:
    """Rows of whole groups, drawn until they hold ``max_points`` (or the next would not fit); all where they fit.

    Parameters
    ----------
    groups : array_like [n]

    Returns
    -------
    intp [m], rising; a first group that is itself too large is cut short.
    """
    codes = np.unique(np.asarray(groups), return_inverse=True)[1]
    if len(codes) <= max_points:
        return np.arange(len(codes))
    sizes = np.bincount(codes)
    order = np.random.default_rng(seed).permutation(len(sizes))
    taken = order[np.cumsum(sizes[order]) <= max_points]
    rows = np.flatnonzero(np.isin(codes, taken if len(taken) else order[:1]))
    return rows[:max_points]


def explore(
    X: ArrayLike, groups: ArrayLike, settings: Sequence[Setting], *, space: str, n_draws: int, seed: int
) -> Iterator[GridPoint]:
    """Measure settings one after the other, all on the same draws.

    Parameters
    ----------
    X : array_like [n, d]
        Finite real numbers. A projection or map that they come from is not fitted again for each draw.
    groups : array_like [n]
        Source groups, the unit that is drawn.
    settings : as `grid_settings` gives them.
    space : what the vectors are, for ``clustering_id``.
    n_draws : number of draws, 0 for none.

    Raises
    ------
    ValueError
        Lengths that differ, rows with NaN, or a setting out of range.
    """
    array = as_matrix(X).astype(np.float64)
    names = np.asarray(groups)
    if names.shape != (len(array),):
        raise ValueError(f"explore: expected {len(array)} groups, got shape {list(names.shape)}.")
    draws, reason = _draws(names, n_draws, seed)
    for size, samples in settings:
        yield _measure(array, draws, size, samples, space, len(np.unique(names)), reason)


def _draws(groups: NDArray[np.generic], n_draws: int, seed: int) -> tuple[list[NDArray[np.intp]], str | None]:
    found, codes = np.unique(groups, return_inverse=True)
    if n_draws < 1:
        return [], "no draws were asked for"
    if len(found) < MIN_GROUPS:
        return [], f"{len(found)} source group(s); draws need at least {MIN_GROUPS}"
    rng = np.random.default_rng(seed)
    n_taken = round(SHARE_DRAWN * len(found))
    taken = [rng.choice(len(found), n_taken, replace=False) for _ in range(n_draws)]
    return [np.flatnonzero(np.isin(codes, t)) for t in taken], None


def _measure(
    X: NDArray[np.float64],
    draws: Sequence[NDArray[np.intp]],
    size: int,
    samples: int,
    space: str,
    n_groups: int,
    reason: str | None,
) -> GridPoint:
    whole = hdbscan_clusters(X, space=space, min_cluster_size=size, min_samples=samples)
    drawn = [hdbscan_clusters(X[rows], space=space, min_cluster_size=size, min_samples=samples) for rows in draws]
    agreement = np.array(
        [partition_agreement(whole.cluster[rows], d.cluster) for rows, d in zip(draws, drawn, strict=True)]
    )
    known = agreement[np.isfinite(agreement)]
    if len(draws) and not len(known):
        reason = "all points are noise, and so are those of every draw"
    return GridPoint(
        clustering_id=whole.clustering_id,
        min_cluster_size=size,
        min_samples=samples,
        n_clusters=whole.n_clusters,
        n_clusters_spread=_spread([d.n_clusters for d in drawn]),
        noise_share=whole.noise_share,
        noise_share_spread=_spread([d.noise_share for d in drawn]),
        validity=density_validity(X, whole.cluster),
        validity_spread=_spread([density_validity(X[r], d.cluster) for r, d in zip(draws, drawn, strict=True)]),
        stability=float(known.mean()) if len(known) else math.nan,
        stability_spread=_spread(agreement),
        n_points=len(X),
        n_groups=n_groups,
        n_draws=len(draws),
        reason=reason,
    )


def partition_agreement(first: NDArray[np.integer], second: NDArray[np.integer]) -> float:
    """Adjusted Rand index with each noise point (negative) as a cluster of its own; NaN where all is noise in both."""
    if (first < 0).all() and (second < 0).all():
        return math.nan
    return float(adjusted_rand_score(_alone(first), _alone(second)))


def _alone(cluster: NDArray[np.integer]) -> NDArray[np.int64]:
    return np.where(cluster < 0, -1 - np.arange(len(cluster)), cluster).astype(np.int64)


def _spread(values: ArrayLike) -> Spread:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if not len(known):
        return math.nan, math.nan
    low, high = np.quantile(known, [0.025, 0.975])
    return float(low), float(high)
