"""Our spanning tree against package hdbscan's: sorted weights are the same whichever of equal edges a tree takes."""

from __future__ import annotations

import numpy as np
import pytest
from hdbscan import HDBSCAN
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import cdist
from sklearn.metrics import adjusted_rand_score

from embeddings import hdbscan_fit
from embeddings.clusters import hdbscan_clusters
from embeddings.spanning_tree import reach_tree


def clusters(d: int = 20) -> np.ndarray:
    """Blobs of different spread, one inside a sparse cloud."""
    rng = np.random.default_rng(0)
    sizes = [150, 100, 60, 40, 50]
    spread = np.repeat([1.0, 0.3, 2.0, 0.1, 6.0], sizes)
    X = np.repeat(6 * rng.normal(size=(5, d)), sizes, axis=0) + spread[:, None] * rng.normal(size=(400, d))
    return X[rng.permutation(400)]


def one_cloud() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(300, 16)) * np.geomspace(3, 0.1, 16)


def theirs(X: np.ndarray, min_samples: int) -> np.ndarray:
    model = HDBSCAN(
        min_cluster_size=5, min_samples=min_samples, approx_min_span_tree=False, gen_min_span_tree=True
    ).fit(X)
    return np.sort(model.minimum_spanning_tree_.to_numpy()[:, 2])


@pytest.mark.parametrize("min_samples", [1, 5, 40])
@pytest.mark.parametrize("make", [clusters, one_cloud])
def test_has_the_weights_of_the_minimum_tree(make, min_samples: int) -> None:
    X = make()
    edges = reach_tree(X, min_samples)
    np.testing.assert_allclose(edges[:, 2], theirs(X, min_samples), rtol=1e-9)
    # With its weights as the reach of its ends, a spanning tree of the least weights is the least tree.
    a, b = ends = edges[:, :2].astype(int).T
    core = np.sort(cdist(X, X), axis=1)[:, min_samples]
    reach = np.maximum(np.maximum(core[a], core[b]), np.linalg.norm(X[a] - X[b], axis=1))
    np.testing.assert_allclose(edges[:, 2], reach, rtol=1e-9)
    graph = coo_array((np.ones(len(edges)), ends), shape=(len(X), len(X)))
    assert connected_components(graph, directed=False)[0] == 1


def test_many_components_are_joined_with_more_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    # One neighbour known at first: nearly every point is a component of its own or of a pair.
    monkeypatch.setattr("embeddings.spanning_tree._N_NEIGHBOURS", 2)
    X = clusters()
    for limit in (2, 20, 1000):
        np.testing.assert_allclose(reach_tree(X, 1, max_components=limit)[:, 2], theirs(X, 1), rtol=1e-9)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    X = clusters()
    whole = reach_tree(X, 5)
    monkeypatch.setattr("embeddings.spanning_tree._BLOCK_VALUES", 3000)
    np.testing.assert_allclose(reach_tree(X, 5)[:, 2], whole[:, 2], rtol=1e-9)


def test_heaps_of_equal_points_stay_together_far_from_the_origin() -> None:
    heaps = 1e3 + np.repeat(np.eye(20)[:3], [100, 80, 2], axis=0)
    weights = reach_tree(heaps, 5)[:, 2]
    # Each of the pair needs three more neighbours from a heap, as does the way between the heaps.
    np.testing.assert_allclose(weights, np.repeat([0, np.sqrt(2)], [178, 3]), atol=1e-9)
    found = hdbscan_clusters(heaps[:180], space="x")
    np.testing.assert_array_equal(found.cluster, np.repeat([0, 1], [100, 80]))
    equal = hdbscan_clusters(np.full((50, 20), 0.1), space="x")
    assert (equal.cluster == -1).all()
    assert (equal.outlier_score == 0).all()


def test_clusters_are_the_packages_on_either_side_of_the_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    X = clusters()
    ours = hdbscan_clusters(X, space="x", min_cluster_size=15)
    assert ours.n_clusters > 2
    monkeypatch.setattr(hdbscan_fit, "TREES_TO_DIMS", 1000)
    other = hdbscan_clusters(X, space="x", min_cluster_size=15)
    # A point that parts two clusters is at the density of both, and may go to either.
    same = ours.cluster == other.cluster
    assert (~same).sum() <= ours.n_clusters - 1
    np.testing.assert_allclose(ours.membership[same], other.membership[same], atol=1e-6)


def test_the_order_of_rows_changes_no_cluster() -> None:
    rng = np.random.default_rng(2)
    # Sparse points between two blobs could go to either by reach alone.
    X = np.vstack([4 * np.eye(15)[[i]] + rng.normal(size=(40, 15)) for i in (0, 1)] + [3 * rng.normal(size=(20, 15))])
    order = rng.permutation(len(X))
    first, second = hdbscan_clusters(X, space="x"), hdbscan_clusters(X[order], space="x")
    assert first.n_clusters > 0
    np.testing.assert_array_equal(first.membership[order], second.membership)
    assert adjusted_rand_score(first.cluster[order], second.cluster) == 1.0
