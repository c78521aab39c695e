"""Stability: planted clusters hold, noise does not, and material that allows no draws says so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from embeddings.cluster_grid import GridPoint, explore, grid_settings, partition_agreement, sample_groups
from embeddings.clusters import hdbscan_clusters


def planted(spread: float) -> tuple[np.ndarray, np.ndarray]:
    """120 points of 30 groups in three clusters, each group in one of them; a large spread leaves one cloud."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(30), 4)
    return 10 * np.eye(5)[groups % 3] + spread * rng.normal(size=(120, 5)), groups


def measure(X: np.ndarray, groups: np.ndarray, *, n_draws: int = 8, size: int = 5, seed: int = 0) -> GridPoint:
    (point,) = explore(X, groups, [(size, size)], space="x", n_draws=n_draws, seed=seed)
    return point


def test_planted_clusters_hold_and_a_cloud_does_not() -> None:
    good = measure(*planted(0.5))
    assert (good.n_clusters, good.n_clusters_spread) == (3, (3.0, 3.0))
    assert good.stability > 0.9
    assert good.stability_spread[0] <= good.stability <= good.stability_spread[1] <= 1
    assert good.validity > 0.5
    assert (good.clustering_id, good.n_points, good.n_groups, good.n_draws) == ("hdbscan-x-mcs5-ms5", 120, 30, 8)
    cloud = measure(*planted(20), size=3)
    assert cloud.n_clusters > 1
    assert cloud.stability < 0.6
    assert cloud.validity < 0.3


def test_draws_leave_out_whole_groups() -> None:
    # Two groups of four make a cluster of at least five: it is lost with either, but not with a point or two.
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(12), 4)
    X = 10 * np.eye(6)[groups // 2] + rng.normal(size=(48, 6))
    (by_group,) = explore(X, groups, [(5, 1)], space="x", n_draws=20, seed=0)
    (by_point,) = explore(X, np.arange(48), [(5, 1)], space="x", n_draws=20, seed=0)
    assert by_group.n_clusters == by_point.n_clusters == 6
    assert by_group.stability < by_point.stability - 0.1


def test_the_seed_makes_the_draws() -> None:
    X, groups = planted(3)
    first, again, other = (measure(X, groups, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.stability_spread != other.stability_spread


def test_grid_starts_with_the_setting_in_use_and_repeats_none() -> None:
    assert grid_settings((5, None), [3, 5], [None, 1]) == [(5, 5), (3, 3), (3, 1), (5, 1)]
    assert grid_settings((4, 2), [], [None]) == [(4, 2)]


def test_noise_belongs_nowhere() -> None:
    half = np.repeat([0, -1], 10)
    assert partition_agreement(half, half) == 1.0
    # As one cluster of noise these would agree fully.
    assert partition_agreement(half, np.repeat([0, 1], 10)) < 0.8
    assert partition_agreement(half, np.full(20, -1)) == 0.0
    assert math.isnan(partition_agreement(np.full(20, -1), np.full(20, -1)))


def test_too_few_groups_and_all_noise_are_said() -> None:
    X, groups = planted(0.5)
    few = measure(X, groups % 4)
    assert math.isnan(few.stability)
    assert few.reason == "4 source group(s); draws need at least 5"
    assert few.n_clusters == 3
    assert measure(X, groups, n_draws=0).reason == "no draws were asked for"
    noise = measure(np.ones((40, 3)), np.arange(40))
    assert (noise.n_clusters, noise.noise_share) == (0, 1.0)
    assert "all points are noise" in str(noise.reason)
    assert math.isnan(noise.validity)
    with pytest.raises(ValueError, match=r"expected 120 groups, got shape \[3\]"):
        measure(X, groups[:3])


def test_a_sample_takes_whole_groups() -> None:
    groups = np.repeat(list("abcdef"), [5, 5, 5, 5, 5, 50])
    np.testing.assert_array_equal(sample_groups(groups, 75, seed=0), np.arange(75))
    for seed in range(5):
        rows = sample_groups(groups, 55, seed=seed)
        assert 0 < len(rows) <= 55
        taken, counts = np.unique(groups[rows], return_counts=True)
        whole = dict(zip(*np.unique(groups, return_counts=True), strict=True))
        assert all(whole[name] == n for name, n in zip(taken, counts, strict=True))
    assert len(sample_groups(["a"] * 20, 10, seed=0)) == 10


def test_the_tree_leads_to_the_clusters() -> None:
    X, _ = planted(1.5)
    made = hdbscan_clusters(X, space="x", min_cluster_size=4)
    tree = made.tree
    assert tree is not None
    kept = np.flatnonzero(tree.cluster >= 0)
    assert sorted(tree.cluster[kept]) == list(range(made.n_clusters))
    for row in kept:
        below = {int(tree.child[row])}
        while more := set(tree.child[np.isin(tree.parent, list(below)) & tree.is_node].tolist()) - below:
            below |= more
        points = tree.child[np.isin(tree.parent, list(below)) & ~tree.is_node] - tree.n_nodes
        np.testing.assert_array_equal(np.sort(points), np.flatnonzero(made.cluster == tree.cluster[row]))
        assert len(points) == tree.size[row]
    assert sorted(tree.child[~tree.is_node] - tree.n_nodes) == list(range(len(X)))
    assert hdbscan_clusters(X[:3], space="x").tree is None
