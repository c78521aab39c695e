"""Vectors to a 2-D or 3-D map, through principal components.

t-SNE is openTSNE's. In 2-D its gradient is Barnes-Hut's or FFT-interpolated; in 3-D only Barnes-Hut exists, in
openTSNE (octree) as in scikit-learn, and openTSNE's is used for both. UMAP is umap-learn's. Both start from the
leading principal components, which keeps global structure and needs no luck [1]_, and both are run so that one
seed gives one map on one machine.

References
----------
.. [1] Kobak and Linderman (2021). Initialization is critical for preserving global data structure in both t-SNE and
   UMAP. Nature Biotechnology 39.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from openTSNE import TSNE

from embeddings.checks import as_matrix
from embeddings.map_quality import MapQuality, map_quality
from embeddings.reduce import fit_pca

__all__ = ["MIN_POINTS", "MapError", "MapQuality", "MapResult", "make_map", "map_quality"]

MapMethod = Literal["tsne", "umap", "pca"]
Gradient = Literal["auto", "bh", "fft"]

# Perplexity needs three neighbours for each unit, so four points are the fewest that allow perplexity 1; UMAP's
# neighbour graph on fewer says nothing either.
MIN_POINTS: dict[str, int] = {"pca": 2, "tsne": 4, "umap": 4}

# 'auto' takes the FFT gradient from here on: below, Barnes-Hut is the quicker one (and the more exact).
_FFT_FROM_N_POINTS = 10_000
# Up to here neighbours are searched exactly; Annoy's approximate trees (seeded) pay off above.
_EXACT_NEIGHBOURS_TO_N_POINTS = 10_000


class MapError(ValueError):
    """These points cannot be mapped as asked; the message says why."""


@dataclass(frozen=True, eq=False)
class MapResult:
    """A map and what made it.

    Attributes
    ----------
    xyz : float32 [n, n_dims]
    map_id : str
        Method, dimensions and the parameters really used, e.g. ``tsne2-pca50-perp30-s0`` or
        ``umap3-pca50-nn15-md0.1-s0``.
    settings : dict
        The same, spelled out: everything used, adapted values included.
    notes : tuple of str
        One sentence for each parameter that few points forced to another value.
    """

    xyz: NDArray[np.float32]
    map_id: str
    settings: dict[str, int | float | str]
    notes: tuple[str, ...] = ()


def make_map(
    X: ArrayLike,
    *,
    method: MapMethod = "tsne",
    n_dims: int = 2,
    pca_dims: int = 50,
    perplexity: float = 30.0,
    n_neighbors: int = 15,
    min_dist: float = 0.1,
    seed: int = 0,
    gradient: Gradient = "auto",
    n_jobs: int = 1,
) -> MapResult:
    """Map vectors to the plane or to space.

    Parameters
    ----------
    X : array_like [n, d]
        Finite real numbers, at least ``MIN_POINTS[method]`` rows.
    method : MapMethod
    n_dims : int
        2 or 3.
    pca_dims : int
        Principal components to work in; fewer where the data holds fewer.
    perplexity : float
        t-SNE: at least 1; lowered to (n - 1) / 3, and reported, where there are too few points.
    n_neighbors : int
        UMAP: at least 2; lowered to n - 1, and reported, where there are too few points.
    min_dist : float
        UMAP: in [0, 1].
    seed : int
    gradient : Gradient
        t-SNE: 'auto' is 'fft' for a 2-D map of 10,000 points or more, else 'bh'; 3-D knows 'bh' alone.
    n_jobs : int
        t-SNE: threads. UMAP with a seed runs on one.

    Raises
    ------
    MapError
        Too few points, all points equal, or no finite map came out.
    ValueError
        A parameter out of range, or rows with NaN (counted).
    """
    array = as_matrix(X)
    _check(method, n_dims, pca_dims, perplexity, n_neighbors, min_dist, gradient)
    n = len(array)
    if n < MIN_POINTS[method]:
        raise MapError(f"A {method} map needs at least {MIN_POINTS[method]} points, got {n}.")
    if np.all(array == array[0]):
        raise MapError(f"All {n} points are equal, so there is nothing to map.")
    wanted = n_dims if method == "pca" else max(pca_dims, n_dims)
    reduced = fit_pca(array, wanted, method="exact").transform(array)  # [n, k]
    start = _leading(reduced, n_dims)
    if method == "pca":
        return MapResult(start, f"pca{n_dims}", {"method": "pca", "n_dims": n_dims})

    used: dict[str, int | float | str]
    notes = []
    if method == "tsne":
        perplexity_used = min(float(perplexity), (n - 1) / 3)
        if perplexity_used < perplexity:
            notes.append(f"perplexity lowered from {perplexity:g} to {perplexity_used:.4g}: only {n} points.")
        neighbours = "exact" if n <= _EXACT_NEIGHBOURS_TO_N_POINTS else "annoy"
        used = {"perplexity": perplexity_used, "gradient": _gradient(gradient, n, n_dims), "neighbours": neighbours}
        xyz = _tsne(reduced, start, used, seed, n_jobs)
        label = f"perp{perplexity_used:.4g}"
    else:
        n_neighbors_used = min(n_neighbors, n - 1)
        if n_neighbors_used < n_neighbors:
            notes.append(f"n_neighbors lowered from {n_neighbors} to {n_neighbors_used}: only {n} points.")
        used = {"n_neighbors": n_neighbors_used, "min_dist": min_dist}
        xyz = _umap(reduced, start, n_neighbors_used, min_dist, seed)
        label = f"nn{n_neighbors_used}-md{min_dist:g}"
    if not np.isfinite(xyz).all():
        raise MapError(f"{method} gave coordinates that are not finite for {n} points.")
    settings = {"method": method, "n_dims": n_dims, "pca_dims": reduced.shape[1], **used, "seed": seed}
    return MapResult(xyz, f"{method}{n_dims}-pca{reduced.shape[1]}-{label}-s{seed}", settings, tuple(notes))


def _check(
    method: str, n_dims: int, pca_dims: int, perplexity: float, n_neighbors: int, min_dist: float, gradient: str
) -> None:
    if method not in get_args(MapMethod):
        raise ValueError(f"method: expected one of {', '.join(get_args(MapMethod))}, got {method!r}.")
    if gradient not in get_args(Gradient):
        raise ValueError(f"gradient: expected one of {', '.join(get_args(Gradient))}, got {gradient!r}.")
    if n_dims not in (2, 3):
        raise ValueError(f"n_dims: expected 2 or 3, got {n_dims}.")
    if gradient == "fft" and n_dims == 3:
        raise ValueError("gradient: 'fft' exists for 2-D maps only; a 3-D map takes 'bh'.")
    for name, value, low, high in (
        ("pca_dims", pca_dims, 1, np.inf),
        ("perplexity", perplexity, 1, np.inf),
        ("n_neighbors", n_neighbors, 2, np.inf),
        ("min_dist", min_dist, 0, 1),
    ):
        if not low <= value <= high:
            raise ValueError(f"{name}: expected {low} to {high:g}, got {value}.")


def _gradient(gradient: str, n: int, n_dims: int) -> str:
    if gradient != "auto":
        return gradient
    return "fft" if n_dims == 2 and n >= _FFT_FROM_N_POINTS else "bh"


def _leading(reduced: NDArray[np.float32], n_dims: int) -> NDArray[np.float32]:
    """First ``n_dims`` components; data of lower rank has 0 along the others, which is where it lies."""
    out = np.zeros((len(reduced), n_dims), dtype=np.float32)
    k = min(n_dims, reduced.shape[1])
    out[:, :k] = reduced[:, :k]
    return out


def _jittered(start: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    """Unit deviation along the first axis, and a hair of noise: equal points or an empty axis would never part."""
    scaled = start.astype(np.float64) / start[:, 0].std(dtype=np.float64)
    return scaled + np.random.default_rng(seed).normal(scale=1e-3, size=start.shape)


def _tsne(
    reduced: NDArray[np.float32],
    start: NDArray[np.float32],
    used: dict[str, int | float | str],
    seed: int,
    n_jobs: int,
) -> NDArray[np.float32]:
    model = TSNE(
        n_components=start.shape[1],
        perplexity=used["perplexity"],
        initialization=_jittered(start, seed) * 1e-4,  # t-SNE wants a start of deviation 1e-4
        negative_gradient_method=used["gradient"],
        neighbors=used["neighbours"],
        random_state=seed,
        n_jobs=n_jobs,
    )
    return np.asarray(model.fit(reduced.astype(np.float64)), dtype=np.float32)


def _umap(
    reduced: NDArray[np.float32], start: NDArray[np.float32], n_neighbors: int, min_dist: float, seed: int
) -> NDArray[np.float32]:
    # Imported here: compiling umap's functions costs every caller several seconds, and most never ask for it.
    from umap import UMAP

    model = UMAP(
        n_components=start.shape[1],
        n_neighbors=n_neighbors,
        min_dist=min_dist,
        init=_jittered(start, seed).astype(np.float32),
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        # What it says of points without neighbours shows as coordinates that are not finite, which make_map refuses.
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(model.fit_transform(reduced), dtype=np.float32)
