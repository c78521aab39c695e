"""Nearest neighbours of many points: exact, or nearly so from an inverted file (FAISS), where exact takes a minute.

References
----------
.. [1] Douze, Guzhva, Deng, Johnson, Szilvasy, Mazaré, Lomeli, Hosseini and Jégou (2024). The Faiss library.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.neighbors import NearestNeighbors

#: Searched exactly up to here: 50,000 points take two cores ten seconds, and the square of that beyond.
EXACT_TO_N_POINTS = 50_000
# Cells of the inverted file: 4 sqrt(n), as its authors advise. Of 130,000 points (components of EfficientNet-Lite0's
# vectors of DFDC crops) 32 cells hold 99.1 % of a point's 90 nearest, 24 cells 98.6 %, 16 cells 97.8 %.
_CELLS_PER_ROOT, _CELLS_SEARCHED = 4, 32
# Cells need not be well balanced: a few steps of k-means on a part of the points cost a point in a thousand.
_POINTS_PER_CELL, _STEPS = 64, 5


@dataclass(frozen=True, eq=False)
class Neighbours:
    """The nearest of each point, without itself, nearest first.

    Attributes
    ----------
    indices : int64 [n, k].
    distances : float64 [n, k], Euclidean.
    method : 'exact' or 'ivf'.
    """

    indices: NDArray[np.int64]
    distances: NDArray[np.float64]
    method: str


def nearest(points: NDArray[np.float32], k: int, *, seed: int, n_jobs: int) -> Neighbours:
    """The ``k`` nearest of each of the points [n, d], k < n, by ``n_jobs`` (at least 1) threads.

    One machine finds the same for the same seed, however many threads there are.
    """
    if len(points) <= EXACT_TO_N_POINTS:
        found = NearestNeighbors(n_neighbors=k, algorithm="brute", n_jobs=n_jobs).fit(points).kneighbors()
        return Neighbours(found[1].astype(np.int64), found[0].astype(np.float64), "exact")
    return Neighbours(*_by_cells(points, k, seed=seed, n_jobs=n_jobs), "ivf")


def _by_cells(
    points: NDArray[np.float32], k: int, *, seed: int, n_jobs: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    # Imported here: it brings its own threads along, and only large maps need it.
    import faiss

    n, d = points.shape
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(n_jobs)
    try:
        cells = faiss.IndexFlatL2(d)
        index = faiss.IndexIVFFlat(cells, d, round(_CELLS_PER_ROOT * np.sqrt(n)))
        index.cp.seed, index.cp.niter = seed, _STEPS
        index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = _POINTS_PER_CELL, 1
        index.train(points)
        index.add(points)
        index.nprobe = _CELLS_SEARCHED
        squares, found = index.search(points, k + 1)
        if len(few := np.flatnonzero((found < 0).any(axis=1))):  # the cells searched held fewer than k
            whole = faiss.IndexFlatL2(d)
            whole.add(points)
            found[few] = whole.search(points[few], k + 1)[1]
            # As the cells have them, by differences: products would round.
            squares[few] = ((points[few, None] - points[found[few]]) ** 2).sum(axis=2)
    finally:
        faiss.omp_set_num_threads(before)
    # Among equal points a point itself need not come first, nor at all: then the last goes.
    own = found == np.arange(n)[:, None]
    own[~own.any(axis=1), -1] = True
    distances = np.sqrt(np.maximum(squares[~own].reshape(n, k).astype(np.float64), 0))
    return found[~own].reshape(n, k).astype(np.int64), distances
