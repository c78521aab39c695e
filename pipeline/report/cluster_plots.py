"""HDBSCAN's condensed tree with matplotlib: rows of the table ``cluster_tree`` in, a `Figure` out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.palette import INK, NOISE, category_style
from pipeline.report.plot_style import new_axes, styled

MAX_NODES = 200  # the largest; smaller ones would be hairlines
# Nodes of a smaller share of the faces have no room for their number.
_NAMED_FROM_SHARE = 0.02


@styled
def tree_figure(tree: pd.DataFrame) -> Figure:
    """A tree from sparse (top) to dense: as wide as faces are left, kept clusters in their colour.

    Parameters
    ----------
    tree : DataFrame
        Rows of one clustering: ``parent, child, density, size, is_cluster, cluster``.
    """
    figure, (ax,) = new_axes(9.6, 3.6)
    finite = tree["density"].max()
    top = 1.0 if pd.isna(finite) else float(finite)
    edges = tree.assign(density=tree["density"].fillna(1.05 * top).astype("float64"))
    leaving = dict(tuple(edges.sort_values("density").groupby("parent")))
    start = float(edges["density"].min())
    n_faces = int((~edges["is_cluster"]).sum())
    # Node -> left end of its room, faces in it, density it begins at, its kept cluster or that of a node above.
    rooms: list[tuple[int, float, int, float, int]] = [(0, 0.0, n_faces, start, -1)]
    drawn = set(edges[edges["is_cluster"]].nlargest(MAX_NODES, "size")["child"]) | {0}
    while rooms:
        node, left, size, begin, cluster = rooms.pop()
        rows = leaving[node]
        _draw_node(ax, rows, left + size / 2, size, begin, cluster)
        nodes = rows[rows["is_cluster"]].sort_values("child")
        x = left + (size - nodes["size"].sum()) / 2
        for child in nodes.to_dict("records"):
            kept = cluster if pd.isna(child["cluster"]) else int(child["cluster"])
            if child["child"] in drawn:
                rooms.append((child["child"], x, child["size"], child["density"], kept))
                if kept != cluster and child["size"] >= _NAMED_FROM_SHARE * n_faces:
                    place = (x + child["size"] / 2, child["density"])
                    ax.annotate(f"{kept}", place, xytext=(0, 3), textcoords="offset points", ha="center", va="bottom",
                                fontsize=8, color=INK)  # fmt: skip
            x += child["size"]
    ax.set(xlabel="faces", ylabel="density (1 / reachability)", xlim=(-0.01 * n_faces, 1.01 * n_faces))
    ax.invert_yaxis()
    ax.grid(axis="y")
    return figure


def _draw_node(ax: Axes, rows: pd.DataFrame, centre: float, size: int, begin: float, cluster: int) -> None:
    """Half the faces on each side of the centre; every row that leaves makes the node narrower."""
    density = np.concatenate([[begin], rows["density"].to_numpy()])
    left = size - np.concatenate([[0], np.cumsum(rows["size"].to_numpy())])
    colour = NOISE if cluster < 0 else category_style(cluster)[0]
    ax.fill_betweenx(
        np.repeat(density, 2)[1:],
        centre - np.repeat(left, 2)[:-1] / 2,
        centre + np.repeat(left, 2)[:-1] / 2,
        color=colour,
        lw=0.4,
    )
