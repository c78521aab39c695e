"""Decisions under a prior and abstention, against numbers worked by hand."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from classifiers.bootstrap import evaluate
from classifiers.prior import AtPrior, fake_threshold, shift_prior
from classifiers.risk import Abstention, risk_coverage

ONES = np.ones((1, 4), dtype=np.int64)


def test_shift_is_bayes_rule():
    np.testing.assert_allclose(shift_prior([0.0, 0.5, 0.9, 1.0], to=0.1), [0, 0.1, 0.5, 1])  # 9 to 1 against 1 to 9
    np.testing.assert_allclose(shift_prior(shift_prior([0.3], to=0.02), to=0.5, of=0.02), [0.3])
    np.testing.assert_allclose(shift_prior([0.8], to=0.5, of=0.8), [0.5])
    for share in (0.0, 1.0):
        with pytest.raises(ValueError, match="share of fakes between 0 and 1"):
            shift_prior([0.5], to=share)


def test_threshold_is_equation_2():
    assert fake_threshold(prior_fake=0.01) == pytest.approx(0.99)  # p_m / p_g >= 99
    assert fake_threshold(prior_fake=0.1, cost_miss=9) == pytest.approx(0.5)  # costs undo the prior
    with pytest.raises(ValueError, match="costs above 0"):
        fake_threshold(prior_fake=0.1, cost_miss=0)


def test_the_threshold_is_where_the_mean_error_of_equation_1_is_least():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 200_000)
    # Unit Gaussians 2 apart: log likelihood ratio 2 x at distance x from the middle.
    p = 1 / (1 + np.exp(-2 * (2 * y - 1 + rng.normal(size=len(y)))))
    grid = np.linspace(0.05, 0.99, 95)
    error = [0.8 * (p[y == 0] >= t).mean() + 0.2 * (p[y == 1] < t).mean() for t in grid]
    assert grid[int(np.argmin(error))] == pytest.approx(fake_threshold(prior_fake=0.2), abs=0.04)


def test_metrics_at_a_prior_by_hand():
    # Called fake from 0.9 on: 1 of 10 reals is a false alarm, 2 of 10 fakes are missed.
    y = np.repeat([0, 1], 10)
    p = np.array([0.95] + [0.5] * 9 + [0.89] * 2 + [0.9] * 8)
    codes = np.arange(20) % 4
    found = {k: v[0] for k, v in AtPrior.of(y, p, codes, prior_fake=0.1).evaluate(ONES).items()}
    assert found["accuracy_at_prior"] == pytest.approx(1 - 0.9 * 0.1 - 0.1 * 0.2)
    assert found["cost_at_prior"] == pytest.approx(0.11)
    assert found["precision_at_prior"] == pytest.approx(0.08 / (0.08 + 0.09))
    assert found["recall_at_prior"] == pytest.approx(0.8)
    # With a miss 9 times as dear the threshold is 0.5: everything is called fake.
    dear = AtPrior.of(y, p, codes, prior_fake=0.1, cost_miss=9).evaluate(ONES)
    assert dear["cost_at_prior"][0] == pytest.approx(0.9)
    same = AtPrior.of(y, np.full(20, 0.5), codes, prior_fake=0.1).evaluate(ONES)
    assert same["log_loss_at_prior"][0] == pytest.approx(-0.9 * np.log(0.9) - 0.1 * np.log(0.1))
    assert np.isnan(same["precision_at_prior"][0])  # nothing is called fake


def test_without_a_prior_the_share_of_the_data_counts():
    rng = np.random.default_rng(1)
    y = (rng.random(300) < 0.8).astype(np.int64)
    p = np.clip(0.5 + 0.2 * (y - 0.5) + 0.2 * rng.normal(size=300), 0.01, 0.99)
    found = AtPrior.of(y, p, np.arange(300) % 4, prior_fake=None).evaluate(ONES)
    shifted = shift_prior(p, to=y.mean())
    assert found["accuracy_at_prior"][0] == pytest.approx(((shifted >= 0.5) == y).mean())
    rows = {r.metric: r for r in evaluate(y, shifted, np.arange(300), n_boot=10, seed=0)}
    assert found["log_loss_at_prior"][0] == pytest.approx(rows["log_loss"].value)


def test_risk_coverage_by_hand():
    # Sureness 0.4, 0.3, 0.1, 0.1: the last two are answered together, and both wrongly.
    curve = risk_coverage([1, 0, 1, 0], [0.9, 0.2, 0.4, 0.6])
    assert curve.coverage.tolist() == [0.25, 0.5, 1]
    assert curve.risk.tolist() == [0, 0, 0.5]
    assert curve.aurc == 0.25
    worst = risk_coverage([0, 0, 1, 0], [0.9, 0.2, 0.6, 0.4])  # the surest answer is the wrong one
    assert worst.aurc == pytest.approx((1 + 1 / 2 + 2 * 1 / 4) / 4)
    with pytest.raises(ValueError, match="at least one item"):
        risk_coverage([], [])


def test_abstention_under_weights_is_the_curve_of_repeated_items():
    rng = np.random.default_rng(2)
    y, codes = rng.integers(0, 2, 60), np.arange(60) % 4
    p = rng.random(60).round(1)
    uncertain = (p >= 0.4) & (p <= 0.6)
    weights = np.array([[2, 0, 1, 1]])
    found = Abstention.of(y, p, codes, uncertain=uncertain).evaluate(weights)
    again = np.repeat(np.arange(60), weights[0][codes])
    assert found["aurc"][0] == pytest.approx(risk_coverage(y[again], p[again]).aurc)
    answered = ~uncertain[again]
    assert found["band_coverage"][0] == pytest.approx(answered.mean())
    wrong = (p[again] >= 0.5) != y[again]
    assert found["band_risk"][0] == pytest.approx(wrong[answered].mean())


def test_a_band_around_everything_has_no_risk_but_a_reason():
    y, p = np.tile([0, 1], 20), np.full(40, 0.5)
    more = [partial(Abstention.of, uncertain=np.ones(40, dtype=bool)), partial(AtPrior.of, prior_fake=None)]
    rows = {r.metric: r for r in evaluate(y, p, np.arange(40), more=more, n_boot=50, seed=0)}
    assert rows["band_coverage"].value == 0
    assert np.isnan(rows["band_risk"].value)
    assert rows["band_risk"].reason == "every item lies in the band without a verdict"
    rare = partial(AtPrior.of, prior_fake=0.1)
    silent = {r.metric: r for r in evaluate(y, p, np.arange(40), more=[rare], n_boot=50, seed=0)}
    assert silent["precision_at_prior"].reason == "nothing is called fake from P(fake) = 0.9 on"
    one = {r.metric: r for r in evaluate(np.ones(40), p, np.arange(40), more=more, n_boot=50, seed=0)}
    assert {r.reason for m, r in one.items() if m not in ("tp", "fp", "tn", "fn")} == {"only fake items"}
    assert all(np.isnan(r.value) for m, r in one.items() if m not in ("tp", "fp", "tn", "fn"))
