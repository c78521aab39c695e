"""UMAP of points whose neighbours we find: umap-learn's own search compiles for as long as the rest together."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from embeddings.neighbours import nearest


def fit_umap(
    points: NDArray[np.floating],
    start: NDArray[np.floating],
    *,
    n_neighbors: int,
    min_dist: float,
    spectral: bool = False,
    seed: int,
    n_jobs: int = 1,
) -> tuple[NDArray[np.float32], str]:
    """Coordinates float32 [n, n_dims], and how neighbours were found: 'exact' or 'ivf'.

    Parameters
    ----------
    points : floating [n, d]
    start : floating [n, n_dims]
        Where points begin, as jittered components are; only its width counts where ``spectral`` is set.
    n_neighbors : int
        2 to n - 1; a point counts among its own, as in umap-learn.
    min_dist : float
        In [0, 1].
    spectral : bool
        Begin at the neighbour graph's spectral embedding.
    seed : int
        One seed gives one map on one machine.
    n_jobs : int
        Threads of the search for neighbours; the rest, seeded, has one.
    """
    # Imported here: compiling umap's functions costs every caller several seconds, and most never ask for it.
    from umap import UMAP

    found = nearest(np.ascontiguousarray(points, dtype=np.float32), n_neighbors - 1, seed=seed, n_jobs=n_jobs)
    own = np.arange(len(points))[:, None]
    indices = np.concatenate([own, found.indices], axis=1).astype(np.int32)
    distances = np.concatenate([np.zeros_like(own), found.distances], axis=1).astype(np.float32)
    model = UMAP(
        n_components=start.shape[1],
        n_neighbors=n_neighbors,
        min_dist=min_dist,
        init="spectral" if spectral else start.astype(np.float32),
        precomputed_knn=(indices, distances),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # It cannot place new points now, which `embeddings.placing` does; and a seed takes one thread, as it is told.
        for said in ("precomputed_knn\\[2\\]", "n_jobs value", "Graph is not fully connected", "Spectral initiali"):
            warnings.filterwarnings("ignore", message=f".*{said}.*", category=UserWarning)
        return np.asarray(model.fit_transform(points), dtype=np.float32), found.method
