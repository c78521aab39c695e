"""Clusters in a code space: which are near each other, mean codes, the channels they differ in, walks between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_matrix

from embeddings.checks import as_matrix


@dataclass(frozen=True)
class Near:
    """The clusters nearest to one: ``others`` by rising ``distances`` (`nearest_clusters`)."""

    others: tuple[int, ...]
    distances: tuple[float, ...]


def nearest_clusters(X: ArrayLike, cluster: ArrayLike, *, k: int = 3) -> dict[int, Near]:
    """Find the nearest clusters of each, by the distance of centroids in units of their spread.

    With m the mean of a cluster's points and s^2 their mean squared distance to it,

        distance(a, b) = |m_a - m_b| / sqrt((s_a^2 + s_b^2) / 2),

    the inverse of the similarity of Davies and Bouldin (1979) but for root mean squares: below about 1 the clusters lie
    in each other, at 3 they stand well apart.

    Parameters
    ----------
    X : array_like [n, d]
        Points.
    cluster : array_like [n] of int
        Negative is noise, which is no cluster.
    k : int
        Neighbours wanted, fewer where there are fewer clusters.

    Returns
    -------
    dict
        Cluster -> Near; a distance is infinite where clusters of no spread lie apart, 0 where they are one point.

    Raises
    ------
    ValueError
        Numbers of rows that differ, rows with NaN, or k below 1.
    """
    points = as_matrix(X)
    labels = _labels(cluster, len(points))
    if k < 1:
        raise ValueError(f"nearest_clusters: expected k >= 1, got {k}.")
    names = np.unique(labels[labels >= 0])
    members = [points[labels == c].astype(np.float64) for c in names]
    centres = [rows.mean(axis=0) for rows in members]
    spread = [float(((rows - m) ** 2).sum(axis=1).mean()) for rows, m in zip(members, centres, strict=True)]
    out: dict[int, Near] = {}
    for i, name in enumerate(names):
        apart = [
            _scaled(float(np.linalg.norm(centres[i] - m)), math.sqrt((spread[i] + s) / 2))
            for m, s in zip(centres, spread, strict=True)
        ]
        order = [j for j in np.argsort(apart, kind="stable") if j != i][:k]
        out[int(name)] = Near(tuple(int(names[j]) for j in order), tuple(apart[j] for j in order))
    return out


def _scaled(distance: float, spread: float) -> float:
    if spread == 0:
        return 0.0 if distance == 0 else math.inf
    return distance / spread


def mean_codes(codes: ArrayLike, cluster: ArrayLike) -> dict[int, NDArray[np.float32]]:
    """Mean code of each cluster, float32 of the codes' shape without the first axis; noise is left out."""
    array = np.asarray(codes)
    labels = _labels(cluster, len(array))
    return {
        int(c): array[labels == c].mean(axis=0, dtype=np.float64).astype(np.float32)
        for c in np.unique(labels[labels >= 0])
    }


@dataclass(frozen=True, eq=False)
class ChannelDistances:
    """How far each cluster's mean code lies from that of all other faces, channel by channel.

    Attributes
    ----------
    clusters : int64 [k]
    distance : float64 [k, n_channels]
        Root mean square over a channel's numbers of the difference of means, each in standard deviations over all
        faces. NaN where a cluster holds all faces, or a channel never varies.
    null_mean, null_high : float64 [k, n_channels]
        Mean and upper 95 % end of the same with clusters shuffled.
    """

    clusters: NDArray[np.int64]
    distance: NDArray[np.float64]
    null_mean: NDArray[np.float64]
    null_high: NDArray[np.float64]


def channel_distances(
    codes: ArrayLike, cluster: ArrayLike, shuffles: Iterable[NDArray[np.intp]] = ()
) -> ChannelDistances:
    """Hold each cluster's mean code against the rest's.

    Parameters
    ----------
    codes : array_like [n, n_channels, w_dim]
        W+ codes, finite.
    cluster : array_like [n] of int
        Negative is noise: no cluster, but part of the rest.
    shuffles : iterable of intp [n]
        As `shuffles.block_shuffles` gives them: a face takes on the cluster of another. A few faces of one person lie
        apart from all others whoever it is, so only a null of whole source groups tells what a cluster has of its own.

    Raises
    ------
    ValueError
        Another shape, or codes with NaN.
    """
    array = np.asarray(codes)
    if array.ndim != 3:
        raise ValueError(f"channel_distances: expected codes [n, n_channels, w_dim], got shape {list(array.shape)}.")
    n, n_channels, _ = array.shape
    labels = _labels(cluster, n)
    names = np.unique(labels[labels >= 0])
    shape = (len(names), n_channels)
    if not len(names):
        return ChannelDistances(names, *(np.empty(shape) for _ in range(3)))
    flat = as_matrix(array.reshape(n, -1), name="codes").astype(np.float32)
    flat -= flat.mean(axis=0, dtype=np.float64).astype(np.float32)
    deviation = flat.std(axis=0, dtype=np.float64).astype(np.float32)
    varies = deviation > 0
    flat /= np.where(varies, deviation, np.float32(1))
    n_varying = varies.reshape(n_channels, -1).sum(axis=1)
    total = flat.sum(axis=0, dtype=np.float64)

    def measure(of_row: NDArray[np.int64]) -> NDArray[np.float64]:
        inside = np.flatnonzero(of_row >= 0)
        place = np.searchsorted(names, of_row[inside])
        member = csr_matrix((np.ones(len(inside), np.float32), (place, inside)), shape=(len(names), n))
        sums = np.asarray(member @ flat, dtype=np.float64)  # [k, n_channels * w_dim]
        sizes = np.bincount(place, minlength=len(names))[:, None].astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            gap = sums / sizes - (total - sums) / (n - sizes)
            square = (gap.reshape(len(names), n_channels, -1) ** 2).sum(axis=2) / n_varying
        return np.sqrt(square)

    drawn = [measure(labels[donor]) for donor in shuffles]
    null_mean, null_high = np.full(shape, np.nan), np.full(shape, np.nan)
    if drawn:
        stacked = np.stack(drawn)  # [draws, k, n_channels]
        stacked[~np.isfinite(stacked)] = np.nan  # a shuffling may leave a cluster empty
        some = np.isfinite(stacked).any(axis=0)
        null_mean[some] = np.nanmean(stacked[:, some], axis=0)
        null_high[some] = np.nanquantile(stacked[:, some], 0.95, axis=0)
    distance = measure(labels)
    return ChannelDistances(names, np.where(np.isfinite(distance), distance, np.nan), null_mean, null_high)


def walk(first: NDArray[np.float32], second: NDArray[np.float32], *, n_steps: int) -> NDArray[np.float32]:
    """Codes on the straight line from one to the other, both ends included: float32 [n_steps, ...]."""
    if n_steps < 2 or first.shape != second.shape:
        raise ValueError(
            f"walk: expected n_steps >= 2 and codes of one shape, got {n_steps}, {first.shape} and {second.shape}."
        )
    share = np.linspace(0, 1, n_steps, dtype=np.float32).reshape(-1, *[1] * first.ndim)
    return np.asarray((1 - share) * first + share * second, dtype=np.float32)


def _labels(cluster: ArrayLike, n: int) -> NDArray[np.int64]:
    labels = np.asarray(cluster, dtype=np.int64)
    if labels.shape != (n,):
        raise ValueError(f"Expected a cluster for each of {n} rows, got shape {list(labels.shape)}.")
    return labels
