"""Density-based validity (DBCV): whether clusters are denser inside than what parts them.

For each cluster: *sparseness*, the longest inner edge of its spanning tree, against *separation*, the shortest way to
another cluster, both in reachability distances whose core is the mean of all distances inside, raised to the power -d
[1]_. 1 is dense and well apart, -1 is the reverse, and noise counts as 0.

References
----------
.. [1] Moulavi, Jaskowiak, Campello, Zimek and Sander (2014). Density-based clustering validation. SIAM SDM.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from embeddings.checks import as_matrix
from embeddings.spanning_tree import prim

Floats = NDArray[np.float64]


def density_validity(X: ArrayLike, cluster: ArrayLike) -> float:
    """DBCV of a clustering; time and memory grow with the square of the number of points.

    Parameters
    ----------
    X : array_like [n, d]
        Finite real numbers; distances are Euclidean.
    cluster : array_like [n]
        Numbers of clusters, negative for noise. A cluster of one point is left out like noise.

    Returns
    -------
    float
        In [-1, 1]; NaN with fewer than two clusters, for then nothing parts them.

    Raises
    ------
    ValueError
        Lengths that differ, or rows with NaN.
    """
    array, numbers = as_matrix(X).astype(np.float64), np.asarray(cluster)
    if numbers.shape != (len(array),):
        raise ValueError(f"density_validity: expected {len(array)} clusters, got shape {list(numbers.shape)}.")
    found, sizes = np.unique(numbers[numbers >= 0], return_counts=True)
    members = [np.flatnonzero(numbers == number) for number in found[sizes > 1]]
    if len(members) < 2:
        return math.nan
    cores, inner, sparseness = zip(*(_inside(array[rows]) for rows in members), strict=True)
    nodes = [rows[keep] for rows, keep in zip(members, inner, strict=True)]
    core = np.concatenate([values[keep] for values, keep in zip(cores, inner, strict=True)])
    of = np.repeat(np.arange(len(nodes)), [len(rows) for rows in nodes])
    points = array[np.concatenate(nodes)]
    total = 0.0
    for i, rows in enumerate(members):
        mine = of == i
        away = np.maximum(cdist(points[mine], points[~mine]), core[~mine])
        separation = float(np.maximum(away, core[mine, None]).min())
        larger = max(separation, sparseness[i])
        total += len(rows) * ((separation - sparseness[i]) / larger if larger else 0.0)
    return total / len(array)


def _inside(X: Floats) -> tuple[Floats, NDArray[np.bool_], float]:
    """Core distances [m], which points are inner nodes of the spanning tree [m], and its longest inner edge."""
    distances = cdist(X, X)
    core = _core(distances, X.shape[1])
    reach = np.maximum(np.maximum(distances, core), core[:, None])
    # Many reachabilities are equal, being the core of one end. The nearer end is taken then, else the inner nodes, and
    # with them the index, would hang on the order of the rows.
    ends, weights = prim(reach, distances)
    inner = np.bincount(ends.ravel(), minlength=len(X)) > 1
    between = inner[ends].all(axis=1)
    longest = float((weights[between] if between.any() else weights).max())
    return core, inner if inner.any() else np.ones(len(X), dtype=bool), longest


def _core(distances: Floats, d: int) -> Floats:
    """Mean of the other members' distances to the power -d, to the power -1 / d; in logarithms, for d may be large.

    A distance of 0 adds nothing, as in the authors' program; a point that equals all others has core 0.
    """
    with np.errstate(divide="ignore"):
        powers = np.where(distances > 0, -d * np.log(distances), -np.inf)
        largest = powers.max(axis=1)
        shift = np.where(np.isfinite(largest), largest, 0)
        logs = shift + np.log(np.exp(powers - shift[:, None]).sum(axis=1) / (len(distances) - 1))
    return np.where(np.isfinite(largest), np.exp(-np.where(np.isfinite(logs), logs, 0) / d), 0.0)
