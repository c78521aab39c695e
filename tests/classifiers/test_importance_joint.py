"""Permutation within a joint model, and agreement between rankings."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from classifiers.agreement import agreement, spearman, stability
from classifiers.importance import ImportanceSettings, channel_importance
from classifiers.importance_joint import _donors, permutation_importance
from tests.classifiers.test_crossval import planted

SETTINGS = ImportanceSettings(metric="roc_auc", n_trees=20, n_repeats=2, n_boot=60)


def test_only_the_channel_the_model_uses_costs_anything() -> None:
    wplus, y, group, _ = planted(30, 4, 2)
    parts = [[0], [1], [2], [3], [0, 1], [2, 3]]
    rows = permutation_importance(wplus, y, group, parts=parts, n_permutations=3, settings=SETTINGS)
    fall = np.array([r.value for r in rows])
    assert fall[2] > 0.25
    assert fall[5] > 0.25
    assert np.abs(fall[[0, 1, 3, 4]]).max() < 0.08
    assert all(r.ci_low <= r.value <= r.ci_high for r in rows)
    assert {r.null_value for r in rows} == {0.0}
    assert rows == permutation_importance(wplus, y, group, parts=parts, n_permutations=3, settings=SETTINGS)


def test_donors_are_of_other_groups_and_any_of_them() -> None:
    group = np.array([3, 1, 1, 2, 3, 3])
    rng = np.random.default_rng(0)
    drawn = np.stack([_donors(group, rng) for _ in range(400)])
    assert (group[drawn] != group).all()
    for row in range(len(group)):
        assert set(drawn[:, row]) == set(np.flatnonzero(group != group[row]))
    assert _donors(np.zeros(4, dtype=np.int64), rng).tolist() == [0, 1, 2, 3]


def test_parts_are_trained_on_together() -> None:
    wplus, y, group, video = planted(20, 3, 1)
    settings = ImportanceSettings(n_trees=10, n_repeats=1, n_boot=50)
    rows = list(channel_importance(wplus, y, group, videos=video, settings=settings, parts=[[0, 2], [0, 1]]))
    assert rows[1].value > 0.8 > rows[0].value
    with pytest.raises(ValueError, match="parts of channels 0 to 2"):
        channel_importance(wplus, y, group, settings=settings, parts=[[3]])


def test_networks_can_be_asked_too() -> None:
    """`mlp2` stands for `mlp5`, which takes the same way and ten times as long."""
    wplus, y, group, video = planted(8, 2, 1)
    settings = ImportanceSettings(model="mlp2", profile="quick", n_repeats=1, n_boot=50)
    rows = list(channel_importance(wplus, y, group, videos=video, settings=settings))
    assert rows[1].value > 0.85
    assert abs(rows[0].value - 0.5) < 0.25


def test_rank_correlation_is_scipys() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 4, (2, 5, 9)).astype(float)
    np.testing.assert_allclose(spearman(a, b), [spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)])
    assert np.isnan(spearman(np.ones(4), np.arange(4.0)))
    assert np.isnan(spearman(np.array([1.0, np.nan, 2.0]), np.arange(3.0)))


def test_a_steady_ranking_agrees_with_itself_and_with_another_method() -> None:
    rng = np.random.default_rng(0)
    group, y = np.repeat(np.arange(30), 4), np.tile([0, 0, 1, 1], 30)
    strength = np.array([0.0, 1.0, 2.0, 4.0])
    wplus = rng.normal(size=(120, 4, 6)).astype(np.float32)
    wplus[:, :, 0] += strength * y[:, None]
    settings = ImportanceSettings(metric="roc_auc", n_trees=10, n_repeats=3, n_boot=40)
    alone = list(channel_importance(wplus, y, group, settings=settings))
    seeds, folds = stability("alone", alone, n_groups=30)
    assert seeds.spearman > 0.7
    assert seeds.n_pairs == 3
    assert folds.spearman > 0.4
    assert folds.n_pairs == 9
    joint = permutation_importance(wplus, y, group, parts=[[c] for c in range(4)], n_permutations=2, settings=settings)
    both = agreement(("alone", alone), ("joint", joint), n_groups=30)
    assert both.spearman > 0.7
    assert both.ci_low <= both.spearman <= both.ci_high
