"""HDBSCAN's condensed tree: which clusters split off which, at what density, and when each point falls off.

The hierarchy has one node for each group of at least ``min_cluster_size`` points; a smaller piece that comes loose is
points falling off, not a split [1]_. ``lambda`` is 1 / distance: large is dense.

References
----------
.. [1] Campello, Moulavi, Zimek and Sander (2015). Hierarchical density estimates for data clustering, visualization,
   and outlier detection. ACM TKDD 10(1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NOISE = -1


@dataclass(frozen=True, eq=False)
class CondensedTree:
    """Edges from a node to what leaves it; m of them, by rising parent.

    Attributes
    ----------
    parent : int32 [m]
        Node that is left; 0 is the root, which holds all points.
    child : int32 [m]
        Node 1 to n_nodes - 1, or ``n_nodes + i`` for the point in row i.
    density : float64 [m]
        Lambda at which it leaves, at least 0; infinite between equal points.
    size : int32 [m]
        Points in the child; 1 for a point.
    cluster : int32 [m]
        Number of the flat cluster that the child was kept as, -1 for all others (points too).
    n_nodes : int
    """

    parent: NDArray[np.int32]
    child: NDArray[np.int32]
    density: NDArray[np.float64]
    size: NDArray[np.int32]
    cluster: NDArray[np.int32]
    n_nodes: int

    @property
    def is_node(self) -> NDArray[np.bool_]:
        """bool [m]: whether the child is a node, not a point."""
        return self.child < self.n_nodes


def condensed_tree(edges: NDArray[np.void], cluster: NDArray[np.int32]) -> CondensedTree:
    """Bring the tree of package hdbscan into our numbering.

    Parameters
    ----------
    edges : record array [m]
        Fields ``parent, child, lambda_val, child_size``: points are 0 to n - 1, the root is n, further nodes follow,
        each with a larger number than its parent.
    cluster : int32 [n]
        Flat clusters taken from this tree, -1 for noise.
    """
    n = len(cluster)
    is_node = edges["child"] >= n
    n_nodes = 1 + int(is_node.sum())
    parent = (edges["parent"] - n).astype(np.int32)
    child = np.where(is_node, edges["child"] - n, n_nodes + edges["child"]).astype(np.int32)
    kept = _kept_as(parent, child, is_node, cluster, n_nodes)
    return CondensedTree(
        parent=parent,
        child=child,
        density=edges["lambda_val"].astype(np.float64),
        size=edges["child_size"].astype(np.int32),
        cluster=np.where(is_node, kept[np.where(is_node, child, 0)], NOISE).astype(np.int32),
        n_nodes=n_nodes,
    )


def _kept_as(
    parent: NDArray[np.int32],
    child: NDArray[np.int32],
    is_node: NDArray[np.bool_],
    cluster: NDArray[np.int32],
    n_nodes: int,
) -> NDArray[np.int32]:
    """Flat cluster of each node, -1 where it is none: the highest node under which every point has that number."""
    lowest = np.full(n_nodes, np.iinfo(np.int32).max, dtype=np.int32)
    highest = np.full(n_nodes, NOISE, dtype=np.int32)
    number = cluster[child[~is_node] - n_nodes]
    np.minimum.at(lowest, parent[~is_node], number)
    np.maximum.at(highest, parent[~is_node], number)
    above = np.zeros(n_nodes, dtype=np.int32)
    above[child[is_node]] = parent[is_node]
    for node in range(n_nodes - 1, 0, -1):  # children come after their parents
        lowest[above[node]] = min(lowest[above[node]], lowest[node])
        highest[above[node]] = max(highest[above[node]], highest[node])
    pure = (lowest == highest) & (lowest > NOISE)
    top = pure & ~pure[above]
    top[0] = False  # the root is above itself, and is never a cluster
    return np.where(top, lowest, NOISE).astype(np.int32)
