"""What a map is asked to be, checked once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from embeddings.reduce import PcaMethod

MapMethod = Literal["tsne", "umap", "pca"]
Gradient = Literal["auto", "bh", "fft"]
Start = Literal["pca", "spectral"]
Reduction = Literal["auto", PcaMethod]


@dataclass(frozen=True)
class MapSettings:
    """One map.

    Attributes
    ----------
    method : MapMethod
    n_dims : int
        2 or 3.
    perplexity : float or tuple of float
        t-SNE: at least 1; lowered to (n - 1) / 3, and reported, where there are too few points. Several make a
        multi-scale map, whose points are drawn to neighbourhoods of each size alike.
    exaggeration : float
        t-SNE: factor on all attraction after the early phase; 1 is plain t-SNE, 4 looks much like UMAP.
    start : Start
        What a map starts from: the leading principal components, or the neighbour graph's spectral embedding.
    n_neighbors : int
        UMAP: at least 2; lowered to n - 1, and reported, where there are too few points.
    min_dist : float
        UMAP: in [0, 1].
    gradient : Gradient
        t-SNE: 'auto' is 'fft' for a 2-D map of 10,000 points or more, else 'bh'; 3-D knows 'bh' alone.
    seed : int

    Raises
    ------
    ValueError
        A setting out of range; the message names it.
    """

    method: MapMethod = "tsne"
    n_dims: int = 2
    perplexity: float | tuple[float, ...] = 30.0
    exaggeration: float = 1.0
    start: Start = "pca"
    n_neighbors: int = 15
    min_dist: float = 0.1
    gradient: Gradient = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("method", MapMethod),
            ("gradient", Gradient),
            ("start", Start),
        ):
            if getattr(self, name) not in get_args(allowed):
                raise ValueError(
                    f"{name}: expected one of {', '.join(get_args(allowed))}, got {getattr(self, name)!r}."
                )
        if self.n_dims not in (2, 3):
            raise ValueError(f"n_dims: expected 2 or 3, got {self.n_dims}.")
        if self.gradient == "fft" and self.n_dims == 3:
            raise ValueError("gradient: 'fft' exists for 2-D maps only; a 3-D map takes 'bh'.")
        if not self.perplexities:
            raise ValueError("perplexity: expected at least one value, got none.")
        for name, value, low, high in (
            *(("perplexity", p, 1, np.inf) for p in self.perplexities),
            ("exaggeration", self.exaggeration, 1, 100),
            ("n_neighbors", self.n_neighbors, 2, np.inf),
            ("min_dist", self.min_dist, 0, 1),
        ):
            if not low <= value <= high:
                raise ValueError(f"{name}: expected {low} to {high:g}, got {value}.")

    @property
    def perplexities(self) -> tuple[float, ...]:
        return self.perplexity if isinstance(self.perplexity, tuple) else (float(self.perplexity),)
