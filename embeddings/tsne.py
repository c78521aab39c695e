"""t-SNE by openTSNE, and by its own parts where a hundred thousand points would take too long.

References
----------
.. [1] Linderman, Rachh, Hoskins, Steinerberger and Kluger (2019). Fast interpolation-based t-SNE for improved
   visualization of single-cell RNA-seq data. Nature Methods 16.
.. [2] Poličar, Stražar and Zupan (2024). openTSNE: a modular Python library for t-SNE dimensionality reduction and
   embedding. Journal of Statistical Software 109.
.. [3] Kobak and Berens (2019). The art of using t-SNE for single-cell transcriptomics. Nature Communications 10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from openTSNE import TSNEEmbedding, affinity, initialization
from openTSNE.nearest_neighbors import PrecomputedNeighbors
from scipy.sparse import csr_matrix

from embeddings.map_settings import Gradient, Start
from embeddings.neighbours import nearest

# 'auto' takes the FFT gradient from here on: below, Barnes-Hut is the quicker one (and the more exact).
FFT_FROM_N_POINTS = 10_000
_NEIGHBOURS_PER_PERPLEXITY = 3  # as openTSNE takes them
_EARLY_EXAGGERATION = 12
# With early exaggeration, without. Started from principal components, large maps keep as many neighbours after half
# of openTSNE's steps, which cost them minutes.
_STEPS, _STEPS_OF_LARGE_MAPS = (250, 500), (125, 350)


@dataclass(frozen=True, eq=False)
class Affinities:
    """Who is drawn to whom.

    Attributes
    ----------
    P : csr_matrix float64 [n, n]
        Symmetric, of sum 1.
    """

    P: csr_matrix
    perplexities: tuple[float, ...]
    neighbours: str


def affinities(reduced: NDArray[np.floating], perplexities: tuple[float, ...], *, seed: int, n_jobs: int) -> Affinities:
    """Symmetric affinities of points [n, k]; the same for a map of two or three dimensions."""
    points = np.ascontiguousarray(reduced, dtype=np.float32)
    k = min(len(points) - 1, int(_NEIGHBOURS_PER_PERPLEXITY * max(perplexities)))
    found = nearest(points, k, seed=seed, n_jobs=n_jobs)
    known = PrecomputedNeighbors(found.indices, found.distances)
    if len(perplexities) == 1:
        made = affinity.PerplexityBasedNN(knn_index=known, perplexity=perplexities[0], n_jobs=n_jobs)
    else:
        made = affinity.Multiscale(knn_index=known, perplexities=list(perplexities), n_jobs=n_jobs)
    return Affinities(made.P, perplexities, found.method)


def gradient_used(wanted: Gradient, n: int, n_dims: int) -> str:
    """'auto' spelled out."""
    if wanted != "auto":
        return wanted
    return "fft" if n_dims == 2 and n >= FFT_FROM_N_POINTS else "bh"


def steps(n: int) -> tuple[int, int]:
    """Steps with early exaggeration, and without."""
    return _STEPS_OF_LARGE_MAPS if n >= FFT_FROM_N_POINTS else _STEPS


def lay_out(
    drawn: Affinities,
    leading: NDArray[np.floating],
    *,
    start: Start,
    exaggeration: float,
    gradient: str,
    seed: int,
    n_jobs: int,
) -> NDArray[np.float32]:
    """Coordinates float32 [n, n_dims] by gradient descent from a start.

    Parameters
    ----------
    leading : floating [n, n_dims]
        Leading principal components, the first of which varies.
    """
    if start == "spectral":
        begin = initialization.spectral(drawn.P, n_components=leading.shape[1], random_state=seed)
    else:
        begin = jittered(leading, seed) * 1e-4  # t-SNE wants a start of deviation 1e-4
    # openTSNE multiplies affinities by the exaggeration and divides again: rounding that the next map would feel.
    own = affinity.PrecomputedAffinities(drawn.P.copy(), normalize=False)
    map_ = TSNEEmbedding(begin, own, negative_gradient_method=gradient, random_state=seed, n_jobs=n_jobs)
    early, late = steps(len(leading))
    map_ = map_.optimize(early, exaggeration=_EARLY_EXAGGERATION, momentum=0.8)
    map_ = map_.optimize(late, exaggeration=exaggeration, momentum=0.8)
    return np.asarray(map_, dtype=np.float32)


def jittered(start: NDArray[np.floating], seed: int) -> NDArray[np.float64]:
    """Unit deviation along the first axis, and a hair of noise: equal points or an empty axis would never part."""
    scaled = start.astype(np.float64) / start[:, 0].std(dtype=np.float64)
    return scaled + np.random.default_rng(seed).normal(scale=1e-3, size=start.shape)
