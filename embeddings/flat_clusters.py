"""KMeans and DBSCAN, beside which York looked at HDBSCAN; both need a number that HDBSCAN does not.

KMeans [1]_ needs the number of clusters, here taken by the silhouette [2]_, and puts every point into one. DBSCAN [3]_
needs a radius, here the knee of the sorted distances to the ``min_samples``-th neighbour, and knows one density alone.

References
----------
.. [1] Lloyd (1982). Least squares quantization in PCM. IEEE Transactions on Information Theory 28(2).
.. [2] Rousseeuw (1987). Silhouettes. Journal of Computational and Applied Mathematics 20.
.. [3] Ester, Kriegel, Sander and Xu (1996). A density-based algorithm for discovering clusters. KDD.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.cluster import DBSCAN, KMeans
from sklearn.metrics import silhouette_score
from sklearn.neighbors import NearestNeighbors

from embeddings.checks import as_matrix
from embeddings.clusters import NOISE, Clustering, largest_first

# Numbers of clusters that the silhouette chooses among.
K_TRIED = (2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 50)
# Silhouettes compare all points with all; beyond this many, a seeded sample stands for them.
_SILHOUETTE_POINTS = 2000
_N_STARTS = 4


def kmeans_clusters(X: ArrayLike, *, space: str, k: int | None = None, seed: int = 0) -> Clustering:
    """Cluster vectors around k means.

    Parameters
    ----------
    X : array_like [n, d]
        Finite real numbers.
    space : str
        What the vectors are, for ``clustering_id``.
    k : int or None
        Number of clusters, at least 2; None takes that of `K_TRIED` with the largest silhouette.
    seed : int
        Of the starts and of the silhouette's sample.

    Returns
    -------
    Clustering
        ``membership`` is 1 - distance to the own mean / distance to the next one, hence in [0, 1]; outlier scores are
        NaN, for KMeans has none.

    Raises
    ------
    ValueError
        Rows with NaN, or not more different points than clusters (3 at least where k is to be chosen).
    """
    array = as_matrix(X).astype(np.float64)
    if k is not None and k < 2:
        raise ValueError(f"kmeans: expected k >= 2, got {k}.")
    n_different = len(np.unique(array, axis=0))
    fewest = 2 if k is None else k
    if n_different <= fewest:
        raise ValueError(
            f"kmeans: expected more than {fewest} different points for {fewest} clusters, got {n_different}."
        )
    if k is None:
        k = _best_k(array, [tried for tried in K_TRIED if tried < n_different], seed)
    model = _kmeans(array, k, seed)
    nearest = np.sort(model.transform(array), axis=1)  # [n, k]
    own, other = nearest[:, 0], nearest[:, 1]
    membership = 1 - np.divide(own, other, out=np.ones_like(own), where=other > 0)
    return _flat(model.labels_, membership, f"kmeans-{space}-k{k}-s{seed}")


def _kmeans(X: NDArray[np.float64], k: int, seed: int) -> KMeans:
    return KMeans(k, n_init=_N_STARTS, random_state=seed).fit(X)


def _best_k(X: NDArray[np.float64], tried: list[int], seed: int) -> int:
    rows = np.random.default_rng(seed).permutation(len(X))[:_SILHOUETTE_POINTS]
    scores = []
    for k in tried:
        labels = _kmeans(X, k, seed).labels_[rows]
        # A sample may miss clusters; without two of them nothing is compared.
        n_seen = len(np.unique(labels))
        scores.append(silhouette_score(X[rows], labels) if 1 < n_seen < len(rows) else -1.0)
    return tried[int(np.argmax(scores))]


def dbscan_clusters(X: ArrayLike, *, space: str, eps: float | None = None, min_samples: int = 5) -> Clustering:
    """Cluster vectors at one density.

    Parameters
    ----------
    X : array_like [n, d]
        Finite real numbers; n may be anything, 0 included.
    space : str
        What the vectors are, for ``clustering_id``.
    eps : float or None
        Radius, above 0; None takes `knee_eps`. Memory grows with the number of points inside it.
    min_samples : int
        Neighbours that a dense point has within the radius, as for HDBSCAN, at least 1.

    Returns
    -------
    Clustering
        ``membership`` is 1 for members and 0 for noise, outlier scores are NaN: DBSCAN knows no degrees. All noise with
        fewer than ``min_samples`` + 1 points.

    Raises
    ------
    ValueError
        Rows with NaN, a parameter out of range, or no radius because too many points equal each other.
    """
    array = as_matrix(X).astype(np.float64)
    if min_samples < 1 or (eps is not None and eps <= 0):
        raise ValueError(f"dbscan: expected min_samples >= 1 and eps > 0, got {min_samples} and {eps}.")
    if len(array) <= min_samples:
        none = np.full(len(array), NOISE)
        return _flat(none, np.zeros(len(array)), f"dbscan-{space}-ms{min_samples}")
    radius = knee_eps(array, min_samples) if eps is None else eps
    # scikit-learn counts a point among its own neighbours.
    labels = DBSCAN(eps=radius, min_samples=min_samples + 1).fit(array).labels_
    return _flat(labels, labels != NOISE, f"dbscan-{space}-eps{radius:.4g}-ms{min_samples}")


def knee_eps(X: NDArray[np.float64], min_samples: int) -> float:
    """Distance to the ``min_samples``-th neighbour where its sorted curve is farthest below the line between its ends.

    Satopää, Albrecht, Irwin and Raghavan (2011). Finding a "kneedle" in a haystack. ICDCS Workshops.
    """
    distances = NearestNeighbors(n_neighbors=min_samples).fit(X).kneighbors()[0][:, -1]
    curve = np.sort(distances)
    line = np.linspace(curve[0], curve[-1], len(curve))
    radius = float(curve[int(np.argmax(line - curve))])
    if radius <= 0:
        raise ValueError(
            f"dbscan: expected points that differ to find a radius, got {int((distances == 0).sum())} of {len(X)} with "
            f"{min_samples} equals; give eps."
        )
    return radius


def _flat(labels: NDArray[np.integer], membership: NDArray, clustering_id: str) -> Clustering:
    unknown = np.full(len(labels), np.nan, dtype=np.float32)
    return Clustering(largest_first(labels), np.asarray(membership, dtype=np.float32), unknown, clustering_id)
