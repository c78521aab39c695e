"""How far a map keeps the neighbourhoods and the distances of the vectors it was made from.

References
----------
.. [1] Venna and Kaski (2001). Neighborhood preservation in nonlinear projection methods: an experimental study. ICANN.
.. [2] Kobak and Berens (2019). The art of using t-SNE for single-cell transcriptomics. Nature Communications 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from embeddings.checks import as_matrix

_N_PAIRS = 20_000  # their rank correlation is then known to about 0.007
_CHUNK_NUMBERS = 8_000_000  # distances held at a time: 64 MB


@dataclass(frozen=True)
class MapQuality:
    """How far a map keeps what was near, and what was far.

    Attributes
    ----------
    trustworthiness : float
        Near 1 where neighbours on the map are neighbours in the data [1]_; a random map has about 0.5.
    continuity : float
        Near 1 where neighbours in the data are neighbours on the map.
    knn_recall : float
        Share of the data's nearest neighbours that are nearest neighbours on the map, in [0, 1] [2]_.
    distance_spearman : float
        Spearman correlation of distances between random pairs, most of them far apart, in [-1, 1]; NaN where either
        has one value only.
    n_neighbors : int
        Size of a neighbourhood, as really used.
    n_queries : int
        Points whose neighbours, among all points, were looked at.
    """

    trustworthiness: float
    continuity: float
    knn_recall: float
    distance_spearman: float
    n_neighbors: int
    n_queries: int


def map_quality(
    X: ArrayLike, coordinates: ArrayLike, *, n_neighbors: int = 15, max_queries: int = 1000, seed: int = 0
) -> MapQuality:
    """Measure a map against the vectors it was made from.

    Parameters
    ----------
    X : array_like [n, d]
    coordinates : array_like [n, n_dims]
    n_neighbors : int
        Lowered to below n / 2, where the measures are defined.
    max_queries : int
        Above this many points, the neighbours (among all points) of so many random ones are looked at.
    seed : int
        Of those points, and of the pairs.

    Raises
    ------
    ValueError
        Fewer than 3 points, numbers of rows that differ, or NaN.
    """
    data, mapped = as_matrix(X), as_matrix(coordinates, name="coordinates")
    if len(data) != len(mapped):
        raise ValueError(f"map_quality: expected as many points as vectors, got {len(mapped)} and {len(data)}.")
    if len(data) < 3 or n_neighbors < 1 or max_queries < 1:
        raise ValueError(
            f"map_quality: expected n >= 3, n_neighbors >= 1 and max_queries >= 1; got {len(data)}, {n_neighbors}, "
            f"{max_queries}."
        )
    n = len(data)
    rng = np.random.default_rng(seed)
    queries = np.arange(n) if n <= max_queries else np.sort(rng.choice(n, max_queries, replace=False))
    k = min(n_neighbors, (n - 1) // 2)
    strayed, torn, kept = 0, 0, 0
    step = max(1, _CHUNK_NUMBERS // n)
    for start in range(0, len(queries), step):
        rows = queries[start : start + step]
        in_data, on_map = (_from(rows, points) for points in (data, mapped))
        near_data, near_map = _nearest(in_data, k), _nearest(on_map, k)
        # How far beyond k the neighbours of one side lie on the other side; 0 for those within.
        beyond = _ranks(in_data, near_map) - k
        strayed += int(beyond[beyond > 0].sum())
        beyond = _ranks(on_map, near_data) - k
        torn += int(beyond[beyond > 0].sum())
        kept += sum(len(np.intersect1d(a, b)) for a, b in zip(near_data, near_map, strict=True))
    worst = len(queries) * k * (2 * n - 3 * k - 1) / 2
    return MapQuality(
        trustworthiness=1 - strayed / worst,
        continuity=1 - torn / worst,
        knn_recall=kept / (k * len(queries)),
        distance_spearman=_distance_spearman(data, mapped, rng),
        n_neighbors=k,
        n_queries=len(queries),
    )


def _from(rows: NDArray[np.intp], points: NDArray[np.floating]) -> NDArray[np.floating]:
    """Squared distances [len(rows), n] to all points; a point is infinitely far from itself."""
    distances = cdist(points[rows], points, "sqeuclidean")
    distances[np.arange(len(rows)), rows] = np.inf
    return distances


def _nearest(distances: NDArray[np.floating], k: int) -> NDArray[np.intp]:
    return np.argpartition(distances, k - 1, axis=1)[:, :k]


def _ranks(distances: NDArray[np.floating], chosen: NDArray[np.intp]) -> NDArray[np.intp]:
    """Rank (1 = nearest) that each chosen point [m, k] has among a row's distances [m, n]; of equals the best."""
    own = np.take_along_axis(distances, chosen, axis=1)
    ordered = np.sort(distances, axis=1)
    return np.stack([np.searchsorted(row, values) + 1 for row, values in zip(ordered, own, strict=True)])


def _distance_spearman(data: NDArray[np.floating], mapped: NDArray[np.floating], rng: np.random.Generator) -> float:
    first, second = rng.integers(len(data), size=(2, _N_PAIRS))
    pairs = first != second
    lengths = [np.linalg.norm(points[first[pairs]] - points[second[pairs]], axis=1) for points in (data, mapped)]
    if any(np.ptp(length) == 0 for length in lengths):
        return float("nan")
    return float(spearmanr(*lengths).statistic)
