"""Slices, their comparison with the rest, and shortcuts, on simulated material whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.binning import name_bins, thirds
from classifiers.holm import holm, t_p_value
from classifiers.shortcuts import find_shortcuts
from classifiers.slices import Slicer


def judged(n_groups: int = 40, *, seed: int = 0, failed: int | None = None):
    """Six faces per group (two real), P(fake) right in about 80 %; in attribute value ``failed``, in about 45 %."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), 6)
    y = np.tile([0, 0, 1, 1, 1, 1], n_groups)
    value = rng.integers(0, 4, n_groups)[group]
    of_group = rng.normal(0, 0.5, n_groups)[group]  # faces of a group are alike
    ease = np.where(value == failed, 0.0, 0.9)
    right = ease + of_group + rng.normal(0, 0.9, len(y)) > 0
    p = np.where(right == (y == 1), 0.8, 0.2)
    return y, p, group, value


def test_error_rates_are_the_shares_of_wrong_answers() -> None:
    y, p, group, value = judged()
    wrong = (p >= 0.5) != (y == 1)
    inside = value == 1
    error, balanced, auc = Slicer(group, n_boot=200, seed=0).scores(y, p, inside)
    assert error.value == pytest.approx(wrong[inside].mean())
    assert error.n_items == inside.sum()
    assert error.n_groups == len(set(group[inside]))
    assert error.ci_low <= error.value <= error.ci_high
    assert balanced.value == pytest.approx(1 - (wrong[inside & (y == 0)].mean() + wrong[inside & (y == 1)].mean()) / 2)
    assert 0 <= auc.ci_low <= auc.value <= auc.ci_high <= 1


def test_the_failed_slice_is_found_and_no_other() -> None:
    y, p, group, value = judged(80, failed=2)
    slicer = Slicer(group, n_boot=500, seed=0)
    rows = [slicer.scores(y, p, value == k)[0] for k in range(4)]
    corrected = holm([r.p_value for r in rows])
    assert int(np.argmax([r.difference for r in rows])) == 2
    assert corrected[2] < 0.01
    assert rows[2].diff_low > 0


def test_slices_that_differ_in_nothing_are_rarely_called_failed() -> None:
    """Holm keeps the chance of any false alarm at 5 %; of 100 runs, 12 or more would come once in 200 then."""
    alarms = 0
    for seed in range(100):
        y, p, group, value = judged(30, seed=seed)
        slicer = Slicer(group, n_boot=200, seed=seed)
        alarms += bool((holm([slicer.scores(y, p, value == k)[0].p_value for k in range(4)]) < 0.05).any())
    assert alarms < 12


def test_a_slice_of_fakes_is_held_against_fakes() -> None:
    """Every real is called fake: without standardising, the rest would look worse than any slice of fakes."""
    y, group = np.tile([0, 1, 1], 20), np.repeat(np.arange(20), 3)
    p = np.full(60, 0.9)
    p[1::3] = 0.1  # the first fake of each group is missed, the second found
    first = np.tile([False, True, False], 20)
    missed = Slicer(group, n_boot=200, seed=0).scores(y, p, first)[0]
    assert (missed.value, missed.rest, missed.difference) == (1.0, 0.0, 1.0)
    reals = Slicer(group, n_boot=200, seed=0).scores(y, p, y == 0)
    assert reals[0].reason == "the rest lacks a class that this slice holds"
    assert reals[2].reason == "only real items"


def test_few_groups_are_shown_but_not_compared() -> None:
    y, p, group, _ = judged(20)
    row = Slicer(group, n_boot=200, seed=0, min_groups=5).scores(y, p, group < 3)[0]
    assert np.isfinite(row.value)
    assert np.isnan(row.p_value)
    assert row.reason == "not compared: below 5 source groups"
    everything = Slicer(group, n_boot=200, seed=0).mean("coverage", np.ones(len(y)), np.ones(len(y), dtype=bool))
    assert everything.reason == "every item is in this slice: there is no rest"


def test_bad_masks_and_values_are_refused() -> None:
    y, p, group, _ = judged(8)
    slicer = Slicer(group, n_boot=100, seed=0)
    with pytest.raises(ValueError, match="at least one true value"):
        slicer.scores(y, p, np.zeros(len(y), dtype=bool))
    with pytest.raises(ValueError, match="finite values"):
        slicer.mean("lpips", np.full(len(y), np.nan), y == 1)


def test_holm_by_hand() -> None:
    # 0.01 * 3, then 0.03 * 2, then max(0.04 * 1, 0.06)
    np.testing.assert_allclose(holm([0.01, 0.04, np.nan, 0.03]), [0.03, 0.06, np.nan, 0.06])
    assert holm([0.6, 0.9]).max() == 1.0
    with pytest.raises(ValueError, match="p-values"):
        holm([1.2])


def test_the_p_value_is_student_s() -> None:
    # t = 2.228 is the two-sided 5 % point at 10 degrees of freedom.
    assert t_p_value(2.228, 1.0, n_groups=11) == pytest.approx(0.05, abs=1e-4)
    assert t_p_value(2.228, 1.0, n_groups=11, two_sided=False) == pytest.approx(0.025, abs=1e-4)
    assert np.isnan(t_p_value(1.0, 1.0, n_groups=1))


def test_bins_name_every_value() -> None:
    assert name_bins([0, 10, 24.9, 25, np.nan], [10, 25], ["a", "b", "c"]).tolist() == ["a", "b", "b", "c", None]
    assert [sum(thirds(np.arange(9.0), unit="px") == n) for n in dict.fromkeys(thirds(np.arange(9.0), unit="px"))] == [
        3
    ] * 3
    assert thirds([4.0, 4.0, np.nan]).tolist() == ["all", "all", None]
    with pytest.raises(ValueError, match="ascending"):
        name_bins([1], [2, 1], ["a", "b", "c"])


def test_a_planted_shortcut_is_flagged_and_noise_is_not() -> None:
    rng = np.random.default_rng(0)
    group, y = np.repeat(np.arange(24), 3), np.tile([0, 1, 1], 24)
    background = rng.normal(100, 30, (24, 3))[group] + rng.normal(0, 3, (72, 3))
    families = {
        "marked corner": background + np.outer(y, [-60, 40, -60]),
        "clean corner": background,
        "frame rate": np.where(y == 1, rng.choice([24.0, 30.0], 72), 27.0)[:, None],  # telling at both ends
        "length": np.full((72, 1), 4.0),
    }
    rows = {r.feature: r for r in find_shortcuts(families, y, group, n_boot=300, seed=0)}
    assert {name for name, r in rows.items() if r.flagged} == {"marked corner", "frame rate"}
    assert rows["marked corner"].roc_auc > 0.9
    assert rows["length"].reason == "the same for all videos"


def test_shortcuts_raise_few_false_alarms() -> None:
    """As for slices: 60 runs at 5 % give 9 or more about once in 200."""
    alarms = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        group, y = np.repeat(np.arange(24), 3), np.tile([0, 1, 1], 24)
        families = {str(k): rng.normal(size=(24, 4))[group] + rng.normal(size=(72, 4)) for k in range(4)}
        alarms += any(r.flagged for r in find_shortcuts(families, y, group, n_boot=20, seed=seed, n_shuffles=100))
    assert alarms < 9


def test_shufflings_that_cannot_move_labels_are_said() -> None:
    """Groups of one class and of different sizes: nothing can be exchanged."""
    sizes = (2, 3, 4, 5, 6, 7)
    group = np.repeat(np.arange(6), sizes)
    y = group % 2
    row = find_shortcuts({"x": np.random.default_rng(0).normal(size=(27, 1))}, y, group, n_boot=50, seed=0)[0]
    assert row.p_value == 1
    assert "1000 of 1000 shufflings left the labels as they are" in (row.reason or "")
