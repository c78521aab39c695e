"""DBCV against its formula spelled out with other programs' parts, and input that has none."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hdbscan.validity import all_points_core_distance, validity_index
from scipy.sparse.csgraph import minimum_spanning_tree
from scipy.spatial.distance import cdist

from embeddings.density_validity import density_validity


def blobs(*, apart: float, d: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three blobs and ten points of noise, in mixed order."""
    rng = np.random.default_rng(seed)
    cluster = np.repeat([0, 1, 2, -1], [40, 30, 20, 10])
    centres = np.vstack([apart * np.eye(d)[:3], np.zeros(d)])
    X = centres[cluster] + rng.normal(size=(100, d)) * np.where(cluster < 0, apart + 3, 1)[:, None]
    order = rng.permutation(100)
    return X[order], cluster[order]


def spelled_out(X: np.ndarray, cluster: np.ndarray) -> float:
    """Moulavi et al.'s formula: Kruskal's trees, and a hair of raw distance to part equal reachabilities."""
    inner, core, sparseness = {}, {}, {}
    for c in (0, 1, 2):
        members = X[cluster == c]
        raw = cdist(members, members)
        core[c] = all_points_core_distance(raw.copy(), d=X.shape[1])
        reach = np.maximum(np.maximum(raw, core[c]), core[c][:, None])
        tree = minimum_spanning_tree(reach + 1e-9 * raw).tocoo()
        degree = np.bincount(np.concatenate([tree.row, tree.col]))
        inner[c] = degree > 1
        between = inner[c][tree.row] & inner[c][tree.col]
        sparseness[c] = reach[tree.row, tree.col][between].max()
    total = 0.0
    for c in (0, 1, 2):
        separation = math.inf
        for other in {0, 1, 2} - {c}:
            raw = cdist(X[cluster == c][inner[c]], X[cluster == other][inner[other]])
            reach = np.maximum(np.maximum(raw, core[other][inner[other]]), core[c][inner[c]][:, None])
            separation = min(separation, reach.min())
        total += (cluster == c).sum() / len(X) * (separation - sparseness[c]) / max(separation, sparseness[c])
    return total


@pytest.mark.parametrize("apart", [2, 8])
def test_equals_the_formula(apart: float) -> None:
    X, cluster = blobs(apart=apart)
    found = density_validity(X, cluster)
    assert found == pytest.approx(spelled_out(X, cluster), abs=1e-9)
    # hdbscan's own function breaks ties of reachability by the order of rows, and so finds other inner nodes.
    assert found == pytest.approx(validity_index(X, cluster), abs=0.15)


def test_neither_order_nor_scale_matters() -> None:
    X, cluster = blobs(apart=6)
    order = np.random.default_rng(1).permutation(len(X))
    assert density_validity(X[order], cluster[order]) == pytest.approx(density_validity(X, cluster), abs=1e-12)
    assert density_validity(1e-9 * X, cluster) == pytest.approx(density_validity(X, cluster), abs=1e-9)


def test_clusters_apart_are_better_and_wrong_ones_are_bad() -> None:
    near, far = (density_validity(*blobs(apart=apart)) for apart in (2, 20))
    assert far > 0.5 > near
    X, cluster = blobs(apart=20)
    wrong = np.where(cluster < 0, -1, np.random.default_rng(2).integers(0, 3, len(X)))
    assert density_validity(X, wrong) < 0


def test_many_dimensions_do_not_overflow() -> None:
    X, cluster = blobs(apart=30, d=300)
    assert density_validity(1e3 * X, cluster) == pytest.approx(density_validity(1e-3 * X, cluster), abs=1e-9)


def test_what_has_no_validity() -> None:
    X, cluster = blobs(apart=6)
    assert math.isnan(density_validity(X, np.full(len(X), -1)))
    assert math.isnan(density_validity(X, np.where(cluster == 0, 0, -1)))
    assert math.isnan(density_validity(X, np.arange(len(X))))  # clusters of one point are none
    assert math.isnan(density_validity(np.empty((0, 2)), []))


def test_equal_points_are_as_dense_as_can_be() -> None:
    heaps = np.repeat(np.eye(3)[:2], [5, 7], axis=0)
    assert density_validity(heaps, np.repeat([0, 1], [5, 7])) == 1.0
    assert density_validity(np.ones((12, 3)), np.repeat([0, 1], [5, 7])) == 0.0  # nothing parts them


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected 3 clusters, got shape \[2\]"):
        density_validity(np.eye(3), [0, 1])
    with pytest.raises(ValueError, match="1 of 3 rows hold NaN"):
        density_validity(np.diag([1, 1, np.nan]) * 1.0, [0, 0, 1])
