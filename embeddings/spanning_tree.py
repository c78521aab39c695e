"""The exact minimum spanning tree under HDBSCAN's reachability, for vectors of many dimensions.

With core(a) the distance to a's ``min_samples``-th neighbour, reach(a, b) = max(core(a), core(b), |a - b|). Search
trees prune hardly anything in many dimensions, so package hdbscan compares nearly all pairs one by one there. Here,
matrix products compare them, and Borůvka's method [1]_ grows components from each point's nearest neighbours:

1. A component's shortest known way out is an edge of the tree where no unseen pair can be shorter: a pair that point a
   has not seen is at least as far as a's last known neighbour.
2. What is left when no component is sure of its way out (as a rule one component per cluster and one large one) is
   joined by the exact shortest ways between all components, found in one more pass over pairs.

References
----------
.. [1] Borůvka (1926); Campello, Moulavi, Zimek and Sander (2015) for the tree's use.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.neighbors import NearestNeighbors

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
# More known neighbours make the first step longer and leave fewer components to the second.
_N_NEIGHBOURS = 30
# Components that the second step joins through a full matrix of ways; with more, the first takes more neighbours.
_MAX_COMPONENTS = 4000
_BLOCK_VALUES = 2**23


def reach_tree(X: Floats, min_samples: int, *, max_components: int = _MAX_COMPONENTS) -> Floats:
    """Edges of the spanning tree.

    Parameters
    ----------
    X : float64 [n, d]
        Finite, n > min_samples >= 1. Distances are Euclidean.
    max_components : int
        At most so many are joined by the second step; changes time and memory, not the result.

    Returns
    -------
    float64 [n - 1, 3]
        Two points and their reach, shortest first. Ways between components are compared to the rounding of a product of
        matrices, about 1e-8 of the longest vector from the mean.
    """
    n = len(X)
    X = X - X.mean(axis=0)
    k = min(n - 1, max(2 * min_samples, _N_NEIGHBOURS))
    while True:
        distances, neighbours = _neighbours(X, k)
        core = distances[:, min_samples - 1]
        kept, component = _grow(distances, neighbours, core)
        if component.max() < max_components:
            break
        k = min(n - 1, 4 * k)  # at n - 1 every pair is seen and one component is left
    edges = np.vstack([kept, _join(X, core, component)]) if component.max() else kept
    return edges[np.argsort(edges[:, 2], kind="stable")]


def _neighbours(X: Floats, k: int) -> tuple[Floats, Ints]:
    """Distances, exact to the last digit and rising, and rows of the k nearest others: both [n, k]."""
    neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(X).kneighbors(return_distance=False)
    distances = np.empty(neighbours.shape)
    step = max(1, _BLOCK_VALUES // (k * X.shape[1]))
    for start in range(0, len(X), step):
        rows = slice(start, start + step)
        distances[rows] = np.linalg.norm(X[rows, None] - X[neighbours[rows]], axis=2)  # [step, k]
    order = np.argsort(distances, axis=1, kind="stable")
    return np.take_along_axis(distances, order, axis=1), np.take_along_axis(neighbours, order, axis=1)


def _grow(distances: Floats, neighbours: Ints, core: Floats) -> tuple[Floats, Ints]:
    """Edges that are surely the tree's [m, 3], and the component of each point [n], numbered from 0."""
    n, k = neighbours.shape
    first, second = np.repeat(np.arange(n), k), neighbours.ravel()
    reach = np.maximum(np.maximum(core[first], core[second]), distances.ravel())
    # Sorted once: an edge's place is a strict order that holds its reach, so ties can never close a circle. Reaches are
    # equal where they are the core of a sparse point; it goes to the nearest then, not to the row that came first.
    order = np.lexsort((distances.ravel(), reach))
    first, second, reach = first[order], second[order], reach[order]
    unseen = distances[:, -1] if k < n - 1 else np.full(n, np.inf)
    component = np.arange(n)
    kept = [np.empty((0, 3))]
    while True:
        out = component[first] != component[second]
        first, second, reach = first[out], second[out], reach[out]
        if not len(reach):
            break
        n_components = int(component.max()) + 1
        best = np.full(n_components, len(reach) - 1)
        place = np.arange(len(reach))
        np.minimum.at(best, component[first], place)
        np.minimum.at(best, component[second], place)
        nearest_unseen = np.full(n_components, np.inf)
        np.minimum.at(nearest_unseen, component, unseen)
        leads_out = (component[first[best]] == np.arange(n_components)) | (
            component[second[best]] == np.arange(n_components)
        )
        taken = np.unique(best[leads_out & (reach[best] <= nearest_unseen)])
        if not len(taken):
            break
        kept.append(np.column_stack([first[taken], second[taken], reach[taken]]))
        component = _merged(component, component[first[taken]], component[second[taken]])
    return np.vstack(kept), component


def _merged(component: Ints, first: Ints, second: Ints) -> Ints:
    """Components after joining pairs of them, numbered from 0."""
    m = int(component.max()) + 1
    graph = coo_array((np.ones(len(first), dtype=np.int8), (first, second)), shape=(m, m))
    return connected_components(graph, directed=False)[1][component].astype(np.int64)


def _join(X: Floats, core: Floats, component: Ints) -> Floats:
    """Edges of the tree between components [m - 1, 3]."""
    sizes = np.bincount(component)
    # The largest comes last: ways into it are found from the others' rows.
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[np.argsort(sizes, kind="stable")] = np.arange(len(sizes))
    order = np.argsort(rank[component], kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.sort(sizes, kind="stable"))[:-1]])
    ways = _ways(X[order], core[order], rank[component][order], starts)
    members = np.split(order, starts[1:])
    pairs, _ = prim(ways, ways)
    return np.array([_nearest(X, core, members[a], members[b]) for a, b in pairs])


def _ways(X: Floats, core: Floats, component: Ints, starts: Ints) -> Floats:
    """Shortest squared reach between each two components [m, m]; rows are sorted by component."""
    m, n = len(starts), len(X)
    ways = np.full((m, m), np.inf)
    step = max(1, _BLOCK_VALUES // n)
    for start in range(0, int(starts[-1]), step):
        rows = slice(start, min(start + step, int(starts[-1])))
        low, high = component[rows][[0, -1]]
        columns = slice(int(starts[low]), n)
        block = _squared_reach(X[rows], core[rows], X[columns], core[columns])
        to_each = np.minimum.reduceat(block, starts[low:] - starts[low], axis=1)
        begins = np.maximum(starts[low : high + 1] - start, 0)
        between = np.minimum.reduceat(to_each, begins, axis=0)
        np.minimum(ways[low : high + 1, low:], between, out=ways[low : high + 1, low:])
    ways = np.minimum(ways, ways.T)
    np.fill_diagonal(ways, np.inf)
    return ways


def _squared_reach(X: Floats, x_core: Floats, Y: Floats, y_core: Floats) -> Floats:
    """Reach between rows, squared and rounded as products of matrices round [x, y]."""
    block = X @ (-2 * Y.T)
    block += (X**2).sum(axis=1)[:, None]
    block += (Y**2).sum(axis=1)
    np.maximum(block, x_core[:, None] ** 2, out=block)
    np.maximum(block, y_core**2, out=block)
    return block


def _nearest(X: Floats, core: Floats, first: Ints, second: Ints) -> tuple[int, int, float]:
    """The points of two components [x], [y] with the shortest reach, and this reach to the last digit."""
    best, ends = np.inf, (0, 0)
    step = max(1, _BLOCK_VALUES // len(second))
    for start in range(0, len(first), step):
        rows = first[start : start + step]
        block = _squared_reach(X[rows], core[rows], X[second], core[second])
        row, column = np.unravel_index(block.argmin(), block.shape)
        if block[row, column] < best:
            best, ends = block[row, column], (int(rows[row]), int(second[column]))
    a, b = ends
    return a, b, float(max(core[a], core[b], np.linalg.norm(X[a] - X[b])))


def prim(weights: Floats, ties: Floats) -> tuple[Ints, Floats]:
    """Prim's tree of a full graph: ends [m - 1, 2] and weights [m - 1] of its edges.

    Parameters
    ----------
    weights : float64 [m, m]
        Symmetric; the diagonal is not looked at.
    ties : float64 [m, m]
        What decides between equal weights, the smaller one first.
    """
    m = len(weights)
    nearest, nearest_tie, source = weights[0].copy(), ties[0].copy(), np.zeros(m, dtype=np.int64)
    outside = np.ones(m, dtype=bool)
    outside[0] = False
    ends, lengths = np.empty((m - 1, 2), dtype=np.int64), np.empty(m - 1)
    for i in range(m - 1):
        candidates = np.flatnonzero(outside & (nearest == nearest[outside].min()))
        node = candidates[nearest_tie[candidates].argmin()]
        ends[i], lengths[i] = (source[node], node), nearest[node]
        outside[node] = False
        equal = (weights[node] == nearest) & (ties[node] < nearest_tie)
        closer = outside & ((weights[node] < nearest) | equal)
        nearest[closer], nearest_tie[closer], source[closer] = weights[node][closer], ties[node][closer], node
    return ends, lengths
