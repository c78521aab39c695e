"""Calibration: what it recovers, whom it may see, when it refuses, and how it is stored."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression

from classifiers.calibrate import MIN_GROUPS, Calibrator, fit, on_validation, out_of_fold, uncalibrated


def answers(n_groups: int = 60, *, bold: float = 3.0, per_class: int = 3, n_extra_fakes: int = 0, seed: int = 0):
    """P(fake) whose logits are ``bold`` times too large, labels, groups; log likelihood ratios are N(+-1, 2)."""
    rng = np.random.default_rng(seed)
    of_group = np.repeat([0, 1], [per_class, per_class + n_extra_fakes])
    y = np.tile(of_group, n_groups)
    ratio = rng.normal(2.0 * y - 1, np.sqrt(2))  # a Gaussian of mean m and variance 2 m is its own log-likelihood ratio
    return expit(bold * ratio), y, np.repeat(np.arange(n_groups), len(of_group))


def test_platt_takes_boldness_back():
    p, y, group = answers(400)
    found = fit(p, y, group, method="platt")
    assert found.slope == pytest.approx(1 / 3, rel=0.15)
    assert found.intercept == pytest.approx(0, abs=0.15)
    assert (found.n_groups, found.n_items, found.reason) == (400, 2400, None)


def test_class_shares_do_not_move_it():
    # Nine fakes to a real: P(fake) still speaks for equal shares.
    p, y, group = answers(400, per_class=1, n_extra_fakes=8, bold=1.0)
    found = fit(p, y, group, method="platt")
    assert found.apply([0.5])[0] == pytest.approx(0.5, abs=0.06)
    assert found.slope == pytest.approx(1, rel=0.25)


def test_isotonic_is_scikit_learns_on_soft_targets():
    p, y, group = answers(200)
    found = fit(p, y, group, method="isotonic")
    low, high = 1 / 202, 201 / 202
    theirs = IsotonicRegression(out_of_bounds="clip").fit(p, np.where(y, high, low))
    grid = np.linspace(0, 1, 50)
    np.testing.assert_allclose(found.apply(grid), theirs.predict(grid), atol=1e-9)
    assert found.apply([0.0, 1.0]).tolist() == pytest.approx([low, high], abs=0.05)
    assert (np.diff(found.apply(grid)) >= 0).all()


def test_a_fold_is_calibrated_without_its_own_labels():
    p, y, group = answers(40)
    fold = group % 4
    before = out_of_fold(p, y, group, fold, method="platt")
    changed = np.where(fold == 2, 1 - y, y)
    after = out_of_fold(p, changed, group, fold, method="platt")
    np.testing.assert_array_equal(before.p_fake[fold == 2], after.p_fake[fold == 2])
    assert np.abs(before.p_fake[fold != 2] - after.p_fake[fold != 2]).max() > 0.01
    assert before.kept == fit(p, y, group, method="platt")


def test_a_hold_out_is_calibrated_on_its_validation_part_alone():
    p, y, group = answers(60)
    split = np.array(["train", "val", "test"])[group % 3]
    before = on_validation(p, y, group, split, method="platt")
    assert before.kept == fit(p[split == "val"], y[split == "val"], group[split == "val"], method="platt")
    np.testing.assert_allclose(before.p_fake[split == "test"], before.kept.apply(p[split == "test"]))
    other = on_validation(p, np.where(split == "val", y, 1 - y), group, split, method="platt")
    np.testing.assert_array_equal(before.p_fake, other.p_fake)
    # A row of val is not judged by a calibrator that saw its own group.
    first = group == group[split == "val"][0]
    moved = on_validation(p, np.where(first, 1 - y, y), group, split, method="platt")
    np.testing.assert_array_equal(moved.p_fake[first], before.p_fake[first])
    assert not np.allclose(moved.kept.apply(p), before.kept.apply(p))
    without = on_validation(p, y, group, np.where(split == "val", "test", split), method="platt")
    assert without.kept.method == "none"
    assert "val holds fewer than 2 source groups" in without.kept.reason


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_too_few_groups_fall_back_with_a_reason(method):
    n = MIN_GROUPS[method]
    p, y, group = answers(n)  # the other folds hold fewer
    done = out_of_fold(p, y, group, group % 5, method=method)
    np.testing.assert_array_equal(done.p_fake, p)
    assert done.kept.method == "none"
    assert f"{method} needs {n} source groups with each class, got {n * 4 // 5}" in done.kept.reason
    assert fit(p, y, group, method=method).method == method


def test_answers_that_tell_nothing_or_the_wrong_way_become_one_half():
    p, y, group = answers(60)
    found = fit(1 - p, y, group, method="platt")
    assert found.apply([0.0, 0.3, 1.0]).tolist() == [0.5, 0.5, 0.5]
    assert "did not mean more fakes" in found.reason
    constant = fit(np.full(len(y), 0.3), y, group, method="platt")
    assert constant.apply([0.3])[0] == pytest.approx(0.5, abs=1e-3)


def test_a_share_built_in_is_taken_out_where_nothing_is_calibrated():
    p, y, group = answers(4)
    done = out_of_fold(p, y, group, group % 2, method="platt", share_trained=0.8)
    assert done.kept.method == "prior"
    np.testing.assert_allclose(logit(done.p_fake), logit(p) - np.log(4), atol=1e-6)
    assert done.kept.apply([0.8])[0] == pytest.approx(0.5)
    assert uncalibrated(None).apply([0.8]).tolist() == [0.8]


@pytest.mark.parametrize("method", ["none", "platt", "isotonic"])
def test_json_round_trip(method):
    p, y, group = answers(60)
    made = fit(p, y, group, method=method)
    read = Calibrator.from_json(json.loads(json.dumps(made.to_json())))
    assert read == made
    np.testing.assert_array_equal(read.apply(p), made.apply(p))


@pytest.mark.parametrize(
    "change",
    [
        {"method": "magic"}, {"slope": float("nan")}, {"slope": -1.0}, {"knots": [[0.5, 0.2], [0.5, 0.3]]},
        {"knots": [[0.1, 7.0]]}, {"slope": "steep"}, {"method": "isotonic"}, {"extra": 1}, {"share_trained": None},
    ],
)  # fmt: skip
def test_a_spoilt_calibrator_is_refused(change):
    stored = Calibrator("platt", slope=2.0).to_json()
    with pytest.raises(ValueError, match="A stored calibrator"):
        Calibrator.from_json(stored | change)


def test_bad_input_is_refused():
    p, y, group = answers(20)
    with pytest.raises(ValueError, match="Unknown calibration 'beta'"):
        fit(p, y, group, method="beta")
    with pytest.raises(ValueError, match="stand on more than one side"):
        out_of_fold(p, y, group, np.arange(len(y)) % 5, method="platt")
