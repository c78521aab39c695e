"""How far a map keeps the neighbourhoods of the vectors it was made from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.manifold import trustworthiness

from embeddings.checks import as_matrix


@dataclass(frozen=True)
class MapQuality:
    """How far a map keeps neighbourhoods; both measures are in [0, 1], and 1 is perfect.

    Attributes
    ----------
    trustworthiness : float
        Near 1 where neighbours on the map are neighbours in the data (Venna and Kaski 2001).
    continuity : float
        Near 1 where neighbours in the data are neighbours on the map.
    n_neighbors : int
        Size of a neighbourhood, as really used.
    n_points : int
        Points measured.
    """

    trustworthiness: float
    continuity: float
    n_neighbors: int
    n_points: int


def map_quality(
    X: ArrayLike, coordinates: ArrayLike, *, n_neighbors: int = 15, max_points: int = 5000, seed: int = 0
) -> MapQuality:
    """Measure a map against the vectors it was made from.

    Parameters
    ----------
    X : array_like [n, d]
    coordinates : array_like [n, n_dims]
    n_neighbors : int
        Lowered to below n / 2, where the measure is defined.
    max_points : int
        The measure takes n^2 memory: above this many points it is taken on a random subset, neighbourhoods being
        those within the subset.
    seed : int
        Of that subset.

    Raises
    ------
    ValueError
        Fewer than 3 points, numbers of rows that differ, or NaN.
    """
    data, mapped = as_matrix(X), as_matrix(coordinates, name="coordinates")
    if len(data) != len(mapped):
        raise ValueError(f"map_quality: expected as many points as vectors, got {len(mapped)} and {len(data)}.")
    if len(data) < 3 or n_neighbors < 1 or max_points < 3:
        raise ValueError(
            f"map_quality: expected n >= 3, n_neighbors >= 1 and max_points >= 3; got {len(data)}, {n_neighbors}, "
            f"{max_points}."
        )
    if len(data) > max_points:
        chosen = np.sort(np.random.default_rng(seed).choice(len(data), max_points, replace=False))
        data, mapped = data[chosen], mapped[chosen]
    k = min(n_neighbors, (len(data) - 1) // 2)
    return MapQuality(
        trustworthiness=float(trustworthiness(data, mapped, n_neighbors=k)),
        continuity=float(trustworthiness(mapped, data, n_neighbors=k)),
        n_neighbors=k,
        n_points=len(data),
    )
