"""What a split keeps whole beyond source groups: groups joined by the people they show."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from classifiers.checks import Groups, IntArray, check_features, group_codes

# Average-linkage clustering holds all pairwise distances: 5,000 videos are 100 MB, 15,000 would be 900 MB.
MAX_CLUSTERED = 8_000


def join_groups(groups: Groups, keys: Sequence[Sequence[str]]) -> npt.NDArray[np.object_]:
    """Join source groups that share a key, and those joined to them, and so on.

    Parameters
    ----------
    groups : [n] source groups.
    keys : [n] keys of each item (people it shows), none or several.

    Returns
    -------
    object [n] : the joined group of each item, called by its smallest source group.

    Raises
    ------
    ValueError
        Another number of keys than items, or an item without a group.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    codes, names = group_codes(groups)
    if len(keys) != len(codes):
        raise ValueError(f"Expected keys of {len(codes)} items, got {len(keys)}.")
    known = {key: i for i, key in enumerate(sorted({k for own in keys for k in own}))}
    edges = sorted({(int(codes[i]), len(names) + known[k]) for i, own in enumerate(keys) for k in own})
    rows, columns = np.array(edges, dtype=np.int64).reshape(-1, 2).T
    n_nodes = len(names) + len(known)
    graph = coo_array((np.ones(len(edges)), (rows, columns)), shape=(n_nodes, n_nodes))
    part = connected_components(graph, directed=False)[1][: len(names)]
    first = np.unique(part, return_index=True)  # names are sorted, so the first of a part is its smallest
    name_of = dict(zip(first[0].tolist(), names[first[1]].tolist(), strict=True))
    return np.array([name_of[int(part[c])] for c in codes], dtype=object)


def person_clusters(vectors: npt.ArrayLike, *, max_distance: float) -> IntArray:
    """Cluster items that may show the same person: average linkage on cosine distance from the mean item.

    Parameters
    ----------
    vectors : [n, d], such as the mean code of each video; their mean is taken off first.
    max_distance : clusters further apart than this (0 the same direction, 1 unrelated, 2 opposite) stay apart.

    Returns
    -------
    int64 [n], numbered from 0 in order of first appearance.

    Raises
    ------
    ValueError
        Input of the wrong shape, more than `MAX_CLUSTERED` items, ``max_distance`` outside (0, 2).
    """
    from sklearn.cluster import AgglomerativeClustering

    matrix = check_features(vectors)
    if not 0 < max_distance < 2:
        raise ValueError(f"Expected a cosine distance between 0 and 2, got {max_distance:g}.")
    if len(matrix) > MAX_CLUSTERED:
        raise ValueError(
            f"{len(matrix)} videos are too many to cluster by person; up to {MAX_CLUSTERED} fit in memory."
        )
    if len(matrix) == 1:
        return np.zeros(1, dtype=np.int64)
    centred = matrix - matrix.mean(axis=0)
    centred[np.linalg.norm(centred, axis=1) == 0] = 1e-12  # cosine is undefined at the mean itself
    made = AgglomerativeClustering(
        n_clusters=None, metric="cosine", linkage="average", distance_threshold=max_distance
    ).fit(centred)
    _, first, code = np.unique(made.labels_, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[code].astype(np.int64)
