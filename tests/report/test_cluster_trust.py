"""The condensed tree as a figure, and words that follow the numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from embeddings.clusters import hdbscan_clusters
from pipeline.cluster_rows import tree_rows
from pipeline.report.cluster_plots import MAX_NODES, tree_figure
from pipeline.report.cluster_trust import family, verdict
from pipeline.report.plot_style import png
from pipeline.report.summary import main_clustering


def tree_of(X: np.ndarray, size: int) -> pd.DataFrame:
    made = hdbscan_clusters(X, space="x", min_cluster_size=size)
    assert made.tree is not None
    return pd.DataFrame(tree_rows([f"f{i}" for i in range(len(X))], "x", made.tree))


def test_every_kept_cluster_is_numbered_and_all_faces_fit() -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(8 * np.eye(4), 30, axis=0) + rng.normal(size=(120, 4))
    tree = tree_of(X, 10)
    (ax,) = tree_figure(tree).axes
    assert sorted(t.get_text() for t in ax.texts) == ["0", "1", "2", "3"]
    bounds = [c.get_datalim(ax.transData) for c in ax.collections]
    assert len(bounds) == 1 + int(tree["is_cluster"].sum())
    assert min(b.x0 for b in bounds) == 0
    assert max(b.x1 for b in bounds) == 120
    assert ax.yaxis.get_inverted()


@pytest.mark.parametrize("n", [6, 900])
def test_equal_points_and_many_nodes_are_drawn(n: int) -> None:
    rng = np.random.default_rng(0)
    X = np.repeat(rng.normal(size=(n // 3, 3)), 3, axis=0)  # three equal points each: infinite density
    tree = tree_of(X, 2)
    assert tree["density"].isna().any()
    figure = tree_figure(tree)
    assert len(figure.axes[0].collections) <= MAX_NODES + 1
    assert len(png(figure)) < 300_000


@pytest.mark.parametrize(
    ("stability", "words"), [(0.9, "they hold"), (0.5, "some hold"), (0.1, "a single cluster is no finding")]
)
def test_words_follow_the_stability(stability: float, words: str) -> None:
    row = {"stability": stability, "stability_low": stability - 0.1, "stability_high": stability + 0.05, "n_draws": 10}
    said = verdict(row)
    assert words in said
    assert f"{stability:.2f} [{stability - 0.1:.2f}, {stability + 0.05:.2f}]" in said


def test_no_stability_gives_its_reason() -> None:
    assert verdict({"stability": None, "reason": "4 source groups"}).endswith("is not known: 4 source groups.")
    assert verdict({"stability": float("nan"), "reason": "4 source groups"}).endswith("not known: 4 source groups.")


def test_hdbscan_in_components_stands_for_a_space() -> None:
    ids = ["wplus-dbscan-pca50-eps1-ms5", "wplus-hdbscan-umap10-nn30-s0-pca50-mcs5-ms5", "wplus-hdbscan-pca50-mcs5-ms5"]
    assert main_clustering(ids, space="wplus") == ids[2]
    assert main_clustering(ids[:1], space="wplus") == ids[0]
    assert main_clustering(ids, space="efficientnet") is None
    assert family(ids[2]) == family("wplus-hdbscan-pca50-mcs9-ms1") != family(ids[1])
