"""Learning curves on simulated vectors whose structure is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from classifiers.learning import (
    LearningSettings,
    TrainedDraw,
    curve_sizes,
    learning_curve,
    plan_draws,
    train_draws,
)
from classifiers.models import make_model
from classifiers.splits import SplitError
from tests.classifiers.helpers import blobs

SETTINGS = LearningSettings(sizes=(4, 8, 16), n_draws=3, share_held_out=1 / 3)


def one_c(seed: int):
    return make_model("logistic", profile="quick", seed=seed, overrides={"c_grid": (1e-2,)})


def test_measured_groups_never_train_and_draws_are_nested() -> None:
    _, y, group = blobs(n_groups=30)
    plan = plan_draws(y, group, settings=SETTINGS)
    measured = set(group[plan.measured])
    assert len(measured) == 10
    assert [(t.n_groups, t.draw) for t in plan.training] == [
        (size, draw) for size in (4, 8, 16) for draw in range(3)
    ] + [(20, 0)]  # all there are, which can be drawn in one way
    by = {(t.n_groups, t.draw): set(group[t.rows]) for t in plan.training}
    for (size, draw), groups in by.items():
        assert len(groups) == size
        assert not groups & measured
        if size in (8, 16):
            assert groups > by[(size // 2, draw)]
    assert by[(8, 0)] != by[(8, 1)], "draws differ"


def test_a_rare_class_comes_up_early_twice_and_then_at_its_share() -> None:
    # 90 groups of reals, 9 of fakes, one item each
    y = np.r_[np.zeros(90, int), np.ones(9, int)]
    plan = plan_draws(y, np.arange(99), settings=LearningSettings(sizes=(5, 44), n_draws=4))
    for training in plan.training:
        n_fake = y[training.rows].sum()
        assert n_fake in {5: [2], 44: [3, 4, 5], 66: [6]}[training.n_groups]


@pytest.mark.parametrize(("wanted", "available", "expected"), [
    ((5, 10, 20), 16, [5, 10, 16]), ((5, 10, 20), 11, [5, 10]), ((5, 10), 4, []), ((5, 10), 1000, [5, 10, 1000]),
])  # fmt: skip
def test_sizes_go_as_far_as_the_material(wanted: tuple[int, ...], available: int, expected: list[int]) -> None:
    assert curve_sizes(wanted, available) == expected


def test_too_little_material_is_refused_with_the_reason() -> None:
    _, y, group = blobs(n_groups=5)
    with pytest.raises(SplitError, match="needs more than the 5 source groups"):
        plan_draws(y, group, settings=SETTINGS)
    with pytest.raises(SplitError, match="'fake' stands in 0 of"):
        plan_draws(np.zeros(20, int), np.arange(20), settings=SETTINGS)
    with pytest.raises(SplitError, match="each class in two or more"):
        plan_draws(np.r_[np.zeros(20, int), 1, 1], np.arange(22), settings=SETTINGS)
    with pytest.raises(ValueError, match="rising sizes of at least 4"):
        LearningSettings(sizes=(3, 10))


def test_more_groups_teach_more_and_the_curve_says_so() -> None:
    X, y, group = blobs(n_groups=120, n_features=40, shift=1.0, seed=1)
    video = np.array([f"{g}-{label}" for g, label in zip(group, y, strict=True)])
    plan = plan_draws(y, group, settings=LearningSettings(sizes=(5, 20, 80), n_draws=4))
    trained = list(train_draws(X, y, group, plan, model_factory=one_c))
    assert [t.n_items for t in trained] == [20] * 4 + [80] * 4 + [320]
    points = learning_curve(trained, plan, y, group, video, n_boot=200, seed=0)
    assert len(points) == 2 * 2 * 3
    frame = [p for p in points if p.level == "frame" and p.metric == "roc_auc"]
    assert [p.n_groups for p in frame] == [5, 20, 80]
    assert frame[0].value < frame[1].value < frame[2].value
    assert frame[1].gain == pytest.approx(frame[1].value - frame[0].value)
    assert frame[1].gain_low < frame[1].gain < frame[1].gain_high
    assert math.isnan(frame[0].gain)
    assert all(0 <= p.ci_low < p.value < p.ci_high <= 1 for p in frame)
    assert (frame[0].n_items_measured, frame[0].n_groups_measured) == (160, 40)
    videos = [p for p in points if p.level == "video" and p.metric == "roc_auc"]
    assert videos[0].n_items_measured == 80
    assert videos[2].value > frame[2].value, "two frames of a video tell more than one"
    assert "one draw" in (frame[2].reason or "")
    loss = [p for p in points if p.level == "frame" and p.metric == "log_loss"]
    assert loss[2].value < loss[0].value


def test_the_interval_covers_the_draw_of_training_groups() -> None:
    """With hundreds of measured groups, what is left is how much models of two draws differ."""
    rng = np.random.default_rng(0)
    n = 1200
    y, group = np.tile([0, 1], n // 2), np.repeat(np.arange(n // 2), 2)
    plan = plan_draws(y, group, settings=LearningSettings(sizes=(4,), n_draws=8, share_held_out=0.9))
    m = plan.measured
    strength = rng.normal(1.5, 0.6, size=8)  # how much each draw's model knows
    trained = [
        TrainedDraw(4, d, 8, 1 / (1 + np.exp(-(s * (y[m] - 0.5) + rng.normal(size=len(m))))), 0.0)
        for d, s in enumerate(strength)
    ]
    point = learning_curve(trained, plan, y, group, group, n_boot=400, seed=0)[0]
    same = learning_curve(
        [TrainedDraw(4, d, 8, trained[0].p_fake, 0.0) for d in range(8)], plan, y, group, group, n_boot=400, seed=0
    )[0]
    width = point.ci_high - point.ci_low
    assert width > 3 * (same.ci_high - same.ci_low)
    assert width > 2 * 1.96 * point.sd_draws * 0.6
    assert same.sd_draws == pytest.approx(0, abs=1e-12)


def test_the_seed_reaches_split_and_draws() -> None:
    _, y, group = blobs(n_groups=30)
    plans = [plan_draws(y, group, settings=LearningSettings(sizes=(4, 8), seed=s)) for s in (0, 0, 1)]
    rows = [[t.rows.tolist() for t in p.training] for p in plans]
    assert rows[0] == rows[1] != rows[2]
