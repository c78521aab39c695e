"""Nearest neighbours: the inverted file finds nearly all, leaves a point itself out, and knows equal points."""

from __future__ import annotations

import numpy as np
import pytest

from embeddings import neighbours
from embeddings.neighbours import nearest


@pytest.fixture
def by_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "EXACT_TO_N_POINTS", 100)


def points(n: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, 4)) @ rng.normal(size=(4, 20)) + rng.normal(size=(n, 20)) * 0.3).astype(np.float32)


@pytest.mark.usefixtures("by_cells")
def test_cells_find_nearly_all_that_are_near() -> None:
    X = points(4000)
    found = nearest(X, 30, seed=3, n_jobs=2)
    assert (found.method, found.indices.shape) == ("ivf", (4000, 30))
    distance = np.linalg.norm(X[:, None] - X[found.indices], axis=2)
    np.testing.assert_allclose(found.distances, distance, rtol=1e-4)
    assert (np.diff(found.distances, axis=1) >= 0).all()
    square = ((X[:200, None].astype(np.float64) - X[None]) ** 2).sum(axis=2)
    square[np.arange(200), np.arange(200)] = np.inf
    true = np.argsort(square, axis=1)[:, :30]
    recall = np.mean([len(set(a) & set(b)) / 30 for a, b in zip(found.indices[:200], true, strict=True)])
    assert recall > 0.97
    again = nearest(X, 30, seed=3, n_jobs=1)
    np.testing.assert_array_equal(found.indices, again.indices)


@pytest.mark.usefixtures("by_cells")
@pytest.mark.parametrize("n_equal", [3, 400])
def test_equal_points_are_each_other_s_neighbours_and_never_their_own(n_equal: int) -> None:
    X = points(600)
    X[:n_equal] = X[0]
    found = nearest(X, 20, seed=0, n_jobs=1)
    assert not (found.indices == np.arange(600)[:, None]).any()
    assert all(len(set(row)) == 20 for row in found.indices.tolist())
    np.testing.assert_allclose(found.distances[:n_equal, : min(n_equal - 1, 20)], 0, atol=1e-5)


@pytest.mark.usefixtures("by_cells")
def test_cells_that_hold_too_few_are_not_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_CELLS_SEARCHED", 1)
    X = points(300)
    found = nearest(X, 60, seed=0, n_jobs=1)
    assert (found.indices >= 0).all()
    assert np.isfinite(found.distances).all()


def test_few_points_are_searched_exactly() -> None:
    X = points(50)
    found = nearest(X, 49, seed=0, n_jobs=1)
    assert found.method == "exact"
    assert [sorted([i, *row]) for i, row in enumerate(found.indices.tolist())] == [list(range(50))] * 50
