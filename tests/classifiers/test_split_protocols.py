"""Units joined by people, folds that leave a domain out, and pairs that leak."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.leaks import alike_pairs, shared_keys
from classifiers.splits import SplitError, check_leaks, grouped_folds
from classifiers.splits_domains import leave_one_out
from classifiers.splits_units import join_groups, person_clusters


def test_groups_join_through_people_and_chains_of_them() -> None:
    groups = ["g1", "g2", "g3", "g4", "g4", "g5"]
    people = [["ann"], ["ann", "bob"], ["bob"], [], ["eve"], []]
    assert join_groups(groups, people).tolist() == ["g1", "g1", "g1", "g4", "g4", "g5"]
    assert join_groups(["b", "a"], [[], []]).tolist() == ["b", "a"]
    with pytest.raises(ValueError, match="keys of 2 items"):
        join_groups(["a", "b"], [[]])


def test_joined_units_never_part() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat([f"g{i:02d}" for i in range(40)], 3)
    people = [[f"p{i // 2}"] for i in np.repeat(np.arange(40), 3)]  # two groups show one person
    units = join_groups(groups, people)
    fold = grouped_folds(units, rng.integers(0, 2, 120), n_folds=5, seed=0)
    check_leaks([p[0] for p in people], fold)
    assert len(set(units)) == 20


def test_people_are_found_again_in_their_codes() -> None:
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(12), 4)
    codes = rng.normal(size=(12, 64))[people] + 0.4 * rng.normal(size=(48, 64)) + 5.0
    found = person_clusters(codes.astype(np.float32), max_distance=0.6)
    assert (found == people).all()
    assert person_clusters(codes[:1], max_distance=0.6).tolist() == [0]
    with pytest.raises(ValueError, match="between 0 and 2"):
        person_clusters(codes, max_distance=2.0)


def by_method(n_groups: int = 30):
    """One real and one fake of each of three methods per group."""
    group = np.repeat([f"g{i:02d}" for i in range(n_groups)], 4)
    y = np.tile([0, 1, 1, 1], n_groups)
    method = np.tile([None, "a", "b", "c"], n_groups).tolist()
    return group, y, method


def test_a_fold_tests_a_method_and_groups_that_its_training_never_saw() -> None:
    group, y, method = by_method()
    made = leave_one_out(group, y, method, what="manipulation method", seed=0)
    assert made.names == ("a", "b", "c")
    used = made.fold >= 0
    check_leaks(group[used], made.fold[used])
    for k, name in enumerate(made.names):
        tested = {m for m, f in zip(method, made.fold, strict=True) if f == k and m is not None}
        trained = {m for m, f in zip(method, made.fold, strict=True) if f not in (k, -1) and m is not None}
        assert tested == {name}
        assert name not in trained
        assert ((made.fold == k) & (y == 0)).sum() == 10  # reals are shared out evenly
    assert made.n_unused == 60  # two fakes of each group
    assert (y[~used] == 1).all()


def test_data_sets_stay_whole_and_a_fold_is_one_of_them() -> None:
    group = np.repeat([f"g{i}" for i in range(12)], 2)
    domain = np.repeat(["x", "y", "z"], 8).tolist()
    made = leave_one_out(group, [0, 1] * 12, domain, what="data set", seed=0)
    assert [made.names[f] for f in made.fold] == domain


@pytest.mark.parametrize(
    ("groups", "labels", "domains", "message"),
    [
        (["a", "b"], [0, 1], [None, "swap"], "at least two of them, but all are 'swap'"),
        (["a", "b"], [0, 1], [None, None], "none is known"),
        (["a", "a", "b"], [0, 1, 1], [None, "swap", "blend"], "would hold no real video"),
    ],
)
def test_what_cannot_be_left_out_is_said(groups, labels, domains, message) -> None:
    with pytest.raises(SplitError, match=message):
        leave_one_out(groups, labels, domains, what="manipulation method", seed=0)


def test_pairs_across_groups_are_found_once_per_pair_of_owners() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 32)).astype(np.float32)  # more than one block
    group, owner = np.arange(3000) // 4, np.arange(3000) // 2
    X[2990] = X[3] + 0.05 * rng.normal(size=32)
    X[2991] = X[2] + 0.01 * rng.normal(size=32)  # the same two videos, more alike
    X[5] = X[4]  # within a group: no leak
    X[100] = 0.0
    X[200] = 0.0  # flat pictures are like nothing
    pairs = alike_pairs(X, group, owner, above=0.95)
    assert [(p.first, p.second) for p in pairs] == [(2, 2991)]
    assert pairs[0].similarity > 0.99
    with pytest.raises(ValueError, match=r"\(0, 1\]"):
        alike_pairs(X, group, owner, above=0.0)


def test_people_in_several_groups_are_named() -> None:
    assert shared_keys([["ann"], ["ann", "bob"], ["bob"], ["eve"], ["eve"]], ["1", "2", "2", "3", "3"]) == {
        "ann": ["1", "2"]
    }
