"""The space that is clustered in: principal components, or a UMAP of more dimensions than a map has.

UMAP [1]_ for clustering takes more neighbours and lets points lie on each other (``min_dist`` 0): it need not be looked
at. It pulls neighbourhoods together and tears sparse ones apart, so a cluster in it is a finding about neighbourhoods.

References
----------
.. [1] McInnes, Healy and Melville (2018). UMAP: uniform manifold approximation and projection. arXiv:1802.03426.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embeddings.checks import as_matrix
from embeddings.umap_fit import fit_umap

# A neighbour graph on fewer points says nothing.
MIN_POINTS = 4


def umap_space(X: ArrayLike, *, n_dims: int = 10, n_neighbors: int = 30, seed: int = 0) -> tuple[NDArray, str]:
    """Reduce vectors to a space for clustering.

    Parameters
    ----------
    X : array_like [n, d]
        Finite real numbers, as a rule principal components; at least 4 rows that are not all equal.
    n_dims : int
        At least 3 (two dimensions are a map); lowered to n - 2 where there are too few points.
    n_neighbors : int
        At least 2; lowered to n - 1 where there are too few points.
    seed : int
        One seed gives one space on one machine.

    Returns
    -------
    float32 [n, n_dims], and what to call it, such as ``umap10-nn30-s0``, with the values really used.

    Raises
    ------
    ValueError
        Too few or equal points, rows with NaN, a parameter out of range, or coordinates that are not finite.
    """
    array = as_matrix(X)
    if n_dims < 3 or n_neighbors < 2:
        raise ValueError(f"umap: expected n_dims >= 3 and n_neighbors >= 2, got {n_dims} and {n_neighbors}.")
    if len(array) < MIN_POINTS or np.all(array == array[0]):
        raise ValueError(f"umap: expected at least {MIN_POINTS} points that differ, got {len(array)}.")
    n_dims, n_neighbors = min(n_dims, len(array) - 2), min(n_neighbors, len(array) - 1)
    start = np.zeros((len(array), n_dims))
    start[:, : array.shape[1]] = array[:, :n_dims]
    # Unit deviation along the first axis and a hair of noise: equal points or an empty axis would never part.
    start /= start.std(axis=0).max()
    start += np.random.default_rng(seed).normal(scale=1e-3, size=start.shape)
    made, _ = fit_umap(array, start, n_neighbors=n_neighbors, min_dist=0.0, seed=seed)
    if not np.isfinite(made).all():
        raise ValueError(f"umap: coordinates of {len(array)} points are not finite.")
    return made, f"umap{n_dims}-nn{n_neighbors}-s{seed}"
