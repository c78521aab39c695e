"""What clusters hold: their typical members, their share of fakes, how many independent groups they come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from embeddings.checks import as_matrix

ExemplarOrder = Literal["medoid", "membership"]

# A medoid compares every member with every other; beyond this many, the strongest members stand for the cluster.
_MEDOID_MEMBERS = 4000


class Clustered(Protocol):
    """What `exemplars` reads of a `clusters.Clustering`."""

    @property
    def cluster(self) -> NDArray[np.int32]:
        """int32 [n], -1 for noise."""

    @property
    def membership(self) -> NDArray[np.float32]:
        """float32 [n] in [0, 1]."""

    @property
    def n_clusters(self) -> int:
        """Clusters, numbered from 0 without gaps."""


@dataclass(frozen=True)
class ClusterProfile:
    """One cluster.

    Attributes
    ----------
    cluster : int
        Its number; -1 for noise.
    size : int
        Points in it.
    n_labelled : int
        Points of known label.
    n_groups : int
        Source groups among its points; equals ``size`` where no groups were given.
    fake_share : float
        Fakes among the labelled points, in [0, 1]; NaN without any.
    fake_share_low, fake_share_high : float
        Wilson interval of that share with the labelled points' groups as sample size: points of one group share
        footage and are no independent draws. NaN without labels.
    """

    cluster: int
    size: int
    n_labelled: int
    n_groups: int
    fake_share: float
    fake_share_low: float
    fake_share_high: float


@dataclass(frozen=True)
class Profile:
    """All clusters of a clustering, and its noise.

    Attributes
    ----------
    clusters : tuple of ClusterProfile
        In order of number.
    noise : ClusterProfile
        The noise points, as if they were a cluster.
    noise_share : float
        Share of noise among all points; NaN where there is none.
    overall_fake_share : float
        Of all labelled points, to compare clusters with; NaN without any.
    """

    clusters: tuple[ClusterProfile, ...]
    noise: ClusterProfile
    noise_share: float
    overall_fake_share: float


def wilson_interval(share: float, n: float, *, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval for a share.

    Parameters
    ----------
    share : float
        Observed, in [0, 1].
    n : float
        Independent observations behind it; below or at 0 gives (NaN, NaN).
    z : float
        Normal quantile; the default is for 95 %.

    References
    ----------
    Wilson (1927). Probable inference, the law of succession, and statistical inference. JASA 22.
    """
    if n <= 0:
        return math.nan, math.nan
    if not 0 <= share <= 1:
        raise ValueError(f"share: expected a value in [0, 1], got {share}.")
    centre = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return max(0.0, (centre - half) / (1 + z**2 / n)), min(1.0, (centre + half) / (1 + z**2 / n))


def exemplars(X: ArrayLike, clustering: Clustered, *, k: int = 8, order: ExemplarOrder = "medoid") -> NDArray[np.int32]:
    """Rank the most typical members of each cluster.

    Parameters
    ----------
    X : array_like [n, d]
        The vectors that were clustered.
    clustering : Clustered
    k : int
        Members to rank per cluster; a smaller cluster has all of its own ranked.
    order : 'medoid' or 'membership'
        Nearest (Euclidean) to the medoid, which comes first, or of greatest membership. The medoid is the member
        with the smallest sum of distances to the others; of a cluster of more than 4,000 points, among the 4,000 of
        greatest membership. Ties go to the earlier row.

    Returns
    -------
    int32 [n]
        0 for a cluster's most typical member, then 1 to k - 1; -1 for all other points and for noise.

    Raises
    ------
    ValueError
        Numbers of rows that differ, rows with NaN, or a parameter out of range.
    """
    array = as_matrix(X)
    if len(array) != len(clustering.cluster):
        raise ValueError(f"exemplars: expected {len(clustering.cluster)} rows, as clustered, got {len(array)}.")
    if k < 1 or order not in get_args(ExemplarOrder):
        raise ValueError(f"exemplars: expected k >= 1 and order 'medoid' or 'membership', got {k} and {order!r}.")
    ranks = np.full(len(array), -1, dtype=np.int32)
    for number in range(clustering.n_clusters):
        members = np.flatnonzero(clustering.cluster == number)
        chosen = members[np.argsort(-clustering.membership[members], kind="stable")]
        if order == "medoid":
            chosen = _from_medoid(array, np.sort(chosen[:_MEDOID_MEMBERS]))
        ranks[chosen[:k]] = np.arange(len(chosen[:k]))
    return ranks


def _from_medoid(X: NDArray[np.floating], members: NDArray[np.intp]) -> NDArray[np.intp]:
    """Order members by their distance to the medoid among them."""
    distances = cdist(X[members], X[members])  # [m, m]
    medoid = int(distances.sum(axis=1).argmin())
    to_medoid = distances[medoid].copy()
    to_medoid[medoid] = -1  # first even where another member is its equal
    return members[np.argsort(to_medoid, kind="stable")]


def profile(cluster: ArrayLike, is_fake: ArrayLike, *, groups: ArrayLike | None = None) -> Profile:
    """Describe clusters by size, share of fakes and number of source groups.

    Parameters
    ----------
    cluster : array_like [n] of int
        Cluster of each point; -1 is noise. A number that no point has gives no row.
    is_fake : array_like [n]
        0 real, 1 fake, NaN unknown.
    groups : array_like [n] or None
        Source group of each point (any hashable values of one type); None takes each point as its own group.

    Raises
    ------
    ValueError
        Lengths that differ, or a label that is none of 0, 1 and NaN.
    """
    cluster_of = np.asarray(cluster, dtype=np.int64)
    n = len(cluster_of)
    labels = np.asarray(is_fake, dtype=np.float64)
    group_of = np.arange(n) if groups is None else np.asarray(groups)
    if labels.shape != (n,) or group_of.shape != (n,):
        raise ValueError(
            f"profile: expected {n} labels and groups, got shapes {list(labels.shape)} and {list(group_of.shape)}."
        )
    strange = ~(np.isnan(labels) | (labels == 0) | (labels == 1))
    if strange.any():
        raise ValueError(f"profile: {int(strange.sum())} labels are none of 0, 1 and NaN (e.g. {labels[strange][0]}).")

    def describe(number: int) -> ClusterProfile:
        inside = cluster_of == number
        known = inside & ~np.isnan(labels)
        share = float(labels[known].mean()) if known.any() else math.nan
        low, high = wilson_interval(share, len(np.unique(group_of[known])))
        return ClusterProfile(
            number, int(inside.sum()), int(known.sum()), len(np.unique(group_of[inside])), share, low, high
        )

    known = labels[~np.isnan(labels)]
    return Profile(
        clusters=tuple(describe(int(number)) for number in np.unique(cluster_of[cluster_of >= 0])),
        noise=describe(-1),
        noise_share=float((cluster_of < 0).mean()) if n else math.nan,
        overall_fake_share=float(known.mean()) if len(known) else math.nan,
    )
