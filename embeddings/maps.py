"""Vectors to 2-D and 3-D maps, through principal components.

t-SNE is openTSNE's, UMAP umap-learn's. In 2-D the gradient of t-SNE is Barnes-Hut's or FFT-interpolated; in 3-D only
Barnes-Hut exists, which a hundred thousand points keep busy for hours: beyond `MAX_POINTS_TSNE_3D` UMAP is the one to
ask for. Maps start from the leading principal components, which keeps global structure and needs no luck [1]_, or
from the neighbour graph's spectral embedding; one seed gives one map on one machine.

References
----------
.. [1] Kobak and Linderman (2021). Initialization is critical for preserving global data structure in both t-SNE and
   UMAP. Nature Biotechnology 39.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embeddings import tsne
from embeddings.checks import as_matrix
from embeddings.map_settings import MapMethod, MapSettings, Reduction
from embeddings.projection import Pca
from embeddings.reduce import fit_pca
from embeddings.umap_fit import fit_umap

__all__ = [
    "MAX_POINTS_TSNE_3D",
    "MIN_POINTS",
    "MapError",
    "MapMaker",
    "MapMethod",
    "MapResult",
    "MapSettings",
]

# Perplexity needs three neighbours for each unit, so four points are the fewest that allow perplexity 1; UMAP's
# neighbour graph on fewer says nothing either.
MIN_POINTS: dict[str, int] = {"pca": 2, "tsne": 4, "umap": 4}
MAX_POINTS_TSNE_3D = 30_000


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


class MapMaker:
    """Maps of one set of vectors; components and neighbours, which several maps share, are found once.

    Parameters
    ----------
    X : array_like [n, d]
        Finite real numbers.
    pca_dims : int
        Principal components to work in; fewer where the data holds fewer.
    pca_method : Reduction
        How they are found (`embeddings.reduce`); 'auto' is 'exact'.
    seed : int
        Of a randomised search for them.
    n_jobs : int
        Threads of t-SNE and of the search for neighbours. The rest of UMAP, seeded, runs on one.

    Attributes
    ----------
    pca : Pca or None
        None where there are too few points, or all are equal: nothing can be mapped then, and `make` says so.
    reduced : float32 [n, k]
        Principal components.

    Raises
    ------
    ValueError
        Rows with NaN (counted).
    """

    def __init__(
        self, X: ArrayLike, *, pca_dims: int = 50, pca_method: Reduction = "auto", seed: int = 0, n_jobs: int = 1
    ) -> None:
        array = as_matrix(X)
        self.n_points = len(array)
        self.n_jobs = n_jobs
        self.pca: Pca | None = None
        self.reduced: NDArray[np.float32] = np.zeros((self.n_points, 1), dtype=np.float32)
        if self.n_points >= 2 and not np.all(array == array[0]):
            method = "exact" if pca_method == "auto" else pca_method
            self.pca = fit_pca(array, pca_dims, method=method, seed=seed)
            self.reduced = self.pca.transform(array)
        self._affinities: dict[tuple[tuple[float, ...], int], tsne.Affinities] = {}

    def make(self, settings: MapSettings) -> MapResult:
        """Lay out one map.

        Raises
        ------
        MapError
            Too few points, too many for t-SNE in space, all points equal, or no finite map came out.
        """
        n, method, n_dims = self.n_points, settings.method, settings.n_dims
        if n < MIN_POINTS[method]:
            raise MapError(f"A {method} map needs at least {MIN_POINTS[method]} points, got {n}.")
        if self.pca is None:
            raise MapError(f"All {n} points are equal, so there is nothing to map.")
        if method == "pca":
            return MapResult(self._leading(n_dims), f"pca{n_dims}", {"method": "pca", "n_dims": n_dims})
        if method == "tsne" and n_dims == 3 and n > MAX_POINTS_TSNE_3D:
            raise MapError(
                f"t-SNE in 3-D has no fast gradient, so it takes at most {MAX_POINTS_TSNE_3D:,} points, got {n:,}; "
                "UMAP's 3-D map takes minutes."
            )
        xyz, label, used, notes = self._tsne(settings) if method == "tsne" else self._umap(settings)
        if not np.isfinite(xyz).all():
            raise MapError(f"{method} gave coordinates that are not finite for {n} points.")
        head = {"method": method, "n_dims": n_dims, "pca_dims": self.reduced.shape[1], "start": settings.start}
        label += "" if settings.start == "pca" else f"-{settings.start}"
        map_id = f"{method}{n_dims}-pca{self.reduced.shape[1]}-{label}-s{settings.seed}"
        return MapResult(xyz, map_id, {**head, **used, "seed": settings.seed}, notes)

    def _leading(self, n_dims: int) -> NDArray[np.float32]:
        """First ``n_dims`` components; data of lower rank has 0 along the others, which is where it lies."""
        out = np.zeros((self.n_points, n_dims), dtype=np.float32)
        k = min(n_dims, self.reduced.shape[1])
        out[:, :k] = self.reduced[:, :k]
        return out

    def _tsne(
        self, settings: MapSettings
    ) -> tuple[NDArray[np.float32], str, dict[str, int | float | str], tuple[str, ...]]:
        n, most = self.n_points, (self.n_points - 1) / 3
        lowered = tuple(sorted({min(p, most) for p in settings.perplexities}))
        notes = tuple(
            f"perplexity lowered from {p:g} to {most:.4g}: only {n} points." for p in settings.perplexities if p > most
        )
        key = (lowered, settings.seed)
        if key not in self._affinities:
            self._affinities[key] = tsne.affinities(self.reduced, lowered, seed=settings.seed, n_jobs=self.n_jobs)
        drawn = self._affinities[key]
        gradient = tsne.gradient_used(settings.gradient, n, settings.n_dims)
        xyz = tsne.lay_out(
            drawn,
            self._leading(settings.n_dims),
            start=settings.start,
            exaggeration=settings.exaggeration,
            gradient=gradient,
            seed=settings.seed,
            n_jobs=self.n_jobs,
        )
        perplexity = "+".join(f"{p:.4g}" for p in lowered)
        label = f"perp{perplexity}" + ("" if settings.exaggeration == 1 else f"-ex{settings.exaggeration:g}")
        used: dict[str, int | float | str] = {
            "perplexity": lowered[0] if len(lowered) == 1 else perplexity,
            "exaggeration": settings.exaggeration,
            "gradient": gradient,
            "neighbours": drawn.neighbours,
            "steps": "{} + {}".format(*tsne.steps(n)),
        }
        return xyz, label, used, notes

    def _umap(
        self, settings: MapSettings
    ) -> tuple[NDArray[np.float32], str, dict[str, int | float | str], tuple[str, ...]]:
        n, wanted = self.n_points, settings.n_neighbors
        n_neighbors = min(wanted, n - 1)
        notes = (
            (f"n_neighbors lowered from {wanted} to {n_neighbors}: only {n} points.",) if n_neighbors < wanted else ()
        )
        xyz, neighbours = fit_umap(
            self.reduced,
            tsne.jittered(self._leading(settings.n_dims), settings.seed),
            n_neighbors=n_neighbors,
            min_dist=settings.min_dist,
            spectral=settings.start == "spectral",
            seed=settings.seed,
            n_jobs=self.n_jobs,
        )
        used: dict[str, int | float | str] = {
            "n_neighbors": n_neighbors, "min_dist": settings.min_dist, "neighbours": neighbours
        }  # fmt: skip
        return xyz, f"nn{n_neighbors}-md{settings.min_dist:g}", used, notes
