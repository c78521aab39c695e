from __future__ import annotations

from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from classifiers.splits import (
    LeakError,
    SplitError,
    check_leaks,
    grouped_folds,
    held_out,
    max_folds,
    three_way_split,
)


def dfdc_like(n_groups: int = 200):
    """One real and up to three fakes per group."""
    rng = np.random.default_rng(3)
    n_fake = rng.integers(0, 4, n_groups)
    group = np.concatenate([[f"g{i:03d}"] * (1 + n) for i, n in enumerate(n_fake)])
    y = np.concatenate([[0] + [1] * n for n in n_fake])
    return group, y


def test_groups_stay_whole_and_shares_are_met():
    group, y = dfdc_like()
    split, fold = three_way_split(group, y, seed=0), grouped_folds(group, y, n_folds=5, seed=0)
    check_leaks(group, split)
    check_leaks(group, fold)
    for label in (0, 1):
        share = Counter(split[y == label].tolist())
        # Groups hold at most 4 videos, so a class share of ~200 videos can be met to about one group.
        assert share["train"] / (y == label).sum() == pytest.approx(0.6, abs=0.015)
        assert share["test"] / (y == label).sum() == pytest.approx(0.2, abs=0.015)
        per_fold = np.bincount(fold[y == label])
        assert per_fold.max() - per_fold.min() <= 2


def test_result_depends_on_seed_only_not_on_row_order():
    group, y = dfdc_like(60)
    order = np.random.default_rng(0).permutation(len(y))
    for deal in (three_way_split, partial(grouped_folds, n_folds=5)):
        first = deal(group, y, seed=7)
        assert (first[order] == deal(group[order], y[order], seed=7)).all()
        assert (first != deal(group, y, seed=8)).any()


@settings(max_examples=60, deadline=None)
@given(
    composition=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)).filter(any), min_size=2, max_size=14),
    n_folds=st.integers(2, 5),
    seed=st.integers(0, 99),
)
def test_every_fold_has_both_classes_or_says_why_not(composition, n_folds, seed):
    group = [g for g, (n_real, n_fake) in enumerate(composition) for _ in range(n_real + n_fake)]
    y = np.array([c for n_real, n_fake in composition for c in [0] * n_real + [1] * n_fake])
    possible = min(sum(r > 0 for r, _ in composition), sum(f > 0 for _, f in composition))
    assert max_folds(group, y) == possible
    if possible < n_folds:
        with pytest.raises(SplitError, match="source groups"):
            grouped_folds(group, y, n_folds=n_folds, seed=seed)
        return
    fold = grouped_folds(group, y, n_folds=n_folds, seed=seed)
    check_leaks(group, fold)
    for k in range(n_folds):
        assert set(y[fold == k]) == {0, 1}


def test_three_pairs_make_three_parts():
    group = np.repeat(["183_253", "469_481", "585_599"], 10)
    y = np.tile([0, 0] + [1] * 8, 3)
    assert Counter(three_way_split(group, y, seed=1).tolist()) == {"train": 10, "val": 10, "test": 10}


@pytest.mark.parametrize(
    ("group", "y", "message"),
    [
        ([0, 0, 1, 1], [0, 1, 0, 1], r"need 3 source groups with each class.*in 2 of 2 groups"),
        ([0, 1, 2, 3, 4], [1, 1, 1, 1, 1], r"'real' stands in 0 of 5 groups \(0 real and 5 fake items\).*add real"),
        ([0, 1, 2, 3, 4, 5], [0, 0, 1, 1, 1, 1], r"'real' stands in 2 of 6 groups"),
    ],
)
def test_too_few_groups_is_one_clear_sentence(group, y, message):
    with pytest.raises(SplitError, match=message):
        three_way_split(group, y, seed=0)


def test_too_many_folds_names_the_possible_number():
    with pytest.raises(SplitError, match=r"5 folds need 5 source groups.*lower the number of folds to 3"):
        grouped_folds([0, 0, 1, 1, 2, 2], [0, 1] * 3, n_folds=5, seed=0)


def test_parts_may_be_left_out_and_bad_shares_are_refused():
    group, y = dfdc_like(20)
    split = three_way_split(group, y, fractions=(0.7, 0.0, 0.3), seed=0)
    assert set(split.tolist()) == {"train", "test"}
    for shares in ((0.5, 0.2, 0.2), (0.0, 0.5, 0.5), (1.2, -0.2, 0.0)):
        with pytest.raises(ValueError, match="sum to 1"):
            three_way_split(group, y, fractions=shares, seed=0)


def test_bad_labels_and_groups_are_named():
    with pytest.raises(ValueError, match="also 2"):
        grouped_folds([0, 1, 2], [0, 1, 2], n_folds=2, seed=0)
    with pytest.raises(ValueError, match="1 of 3 items have no source group"):
        grouped_folds(["a", None, "b"], [0, 1, 1], n_folds=2, seed=0)


def test_held_out_part():
    group, y = dfdc_like(50)
    mask = held_out(group, y, fraction=0.2, seed=0)
    check_leaks(group, mask)
    assert mask.mean() == pytest.approx(0.2, abs=0.03)
    assert set(y[mask]) == {0, 1} == set(y[~mask])


def test_a_planted_leak_is_named():
    with pytest.raises(LeakError, match=r"1 of 3 source groups stand on more than one side: b \(test, train\)"):
        check_leaks(["a", "b", "b", "c"], ["train", "train", "test", "val"])


def test_many_groups_are_dealt_in_seconds():
    rng = np.random.default_rng(0)
    group = rng.integers(0, 5000, 30_000)
    y = rng.integers(0, 2, 30_000)
    fold = grouped_folds(group, y, n_folds=5, seed=0)
    counts = np.bincount(fold)
    assert counts.max() - counts.min() <= 0.002 * len(y)
