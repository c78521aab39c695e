"""Two models on the same items: DeLong against brute force and the bootstrap, pairing, agreement of p and interval."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from classifiers.compare import Answers, delong, paired_bootstrap


def two_models(n: int = 240, *, gain: float = 0.6, shared: float = 1.0, seed: int = 0):
    """Labels, one item per group, and two models' P(fake) that share part of their noise."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    common = shared * rng.normal(size=n)
    score = [s * y + common + 0.7 * rng.normal(size=n) for s in (1 + gain, 1.0)]
    return y, *(Answers(np.clip(1 / (1 + np.exp(0.5 - x)), 0.01, 0.99).round(2)) for x in score), np.arange(n)


def brute_force(y, a, b):
    """Difference and variance after DeLong, DeLong and Clarke-Pearson (1988), section 2, with loops over all pairs."""
    parts = []
    for p in (np.asarray(a.p_fake), np.asarray(b.p_fake)):
        wins = (p[y == 1][:, None] > p[y == 0]) + 0.5 * (p[y == 1][:, None] == p[y == 0])  # [fakes, reals]
        parts.append((wins.mean(), wins.mean(axis=1), wins.mean(axis=0)))
    s10 = np.cov([parts[0][1], parts[1][1]]) / (y == 1).sum()
    s01 = np.cov([parts[0][2], parts[1][2]]) / (y == 0).sum()
    s = s10 + s01
    return parts[0][0] - parts[1][0], s[0, 0] + s[1, 1] - 2 * s[0, 1]


def test_delong_equals_its_definition():
    y, a, b, groups = two_models()
    found = delong(y, a, b, groups)
    difference, variance = brute_force(y, a, b)
    assert found.difference == pytest.approx(difference)
    assert found.difference == pytest.approx(roc_auc_score(y, a.p_fake) - roc_auc_score(y, b.p_fake))
    assert (found.ci_high - found.ci_low) / (2 * 1.959964) == pytest.approx(np.sqrt(variance))
    assert found.reason is None


def test_delong_and_the_bootstrap_agree_on_independent_items():
    y, a, b, groups = two_models(400)
    one, other = delong(y, a, b, groups), paired_bootstrap(y, a, b, groups, n_boot=4000, seed=0)[0]
    assert (other.metric, other.method) == ("roc_auc", "group bootstrap")
    assert other.difference == pytest.approx(one.difference)
    assert other.ci_high - other.ci_low == pytest.approx(one.ci_high - one.ci_low, rel=0.1)


def test_delong_says_that_groups_hold_several_items():
    y, a, b, groups = two_models()
    assert "takes 240 items as independent, they come from 60 groups" in delong(y, a, b, groups // 4).reason
    nothing = delong(y, a, a, groups)
    assert (nothing.difference, nothing.reason) == (0, "both rank all items alike: nothing to test")
    assert np.isnan(nothing.p_value)
    assert "two items of each class" in delong([0, 1, 1], *[Answers([0.1, 0.2, 0.3])] * 2, [0, 1, 2]).reason


def test_pairing_narrows_the_interval():
    y, a, b, groups = two_models(shared=3.0)
    paired = paired_bootstrap(y, a, b, groups, n_boot=500, seed=0)[0]
    # The other model's answers handed to other items of the same class: as good, but its errors fall elsewhere.
    order = np.concatenate([np.random.default_rng(1).permutation(np.flatnonzero(y == c)) for c in (0, 1)])
    moved = np.empty(len(y))
    moved[np.concatenate([np.flatnonzero(y == c) for c in (0, 1)])] = np.asarray(b.p_fake)[order]
    apart = paired_bootstrap(y, a, Answers(moved), groups, n_boot=500, seed=0)[0]
    assert apart.difference == pytest.approx(paired.difference)
    assert paired.ci_high - paired.ci_low < 0.7 * (apart.ci_high - apart.ci_low)


@pytest.mark.parametrize("gain", [0.0, 0.25, 0.4, 1.0])
def test_p_value_and_interval_say_the_same(gain):
    y, a, b, groups = two_models(gain=gain)
    for found in [*paired_bootstrap(y, a, b, groups // 8, n_boot=999, seed=0), delong(y, a, b, groups)]:
        outside = found.ci_low > 0 or found.ci_high < 0
        assert abs(found.p_value - 0.05) < 0.01 or (found.p_value < 0.05) == outside, found


def test_chance_is_seldom_called_a_difference():
    rng = np.random.default_rng(3)
    small = 0
    for study in range(120):
        y, a, b, groups = two_models(60, gain=0.0, seed=int(rng.integers(1 << 30)))
        small += paired_bootstrap(y, a, b, groups // 3, n_boot=200, seed=study)[0].p_value < 0.05
    assert small <= 14  # binomial(120, 0.05) exceeds 14 once in 1,500 times


def test_the_score_ranks_and_p_fake_is_judged():
    y, a, b, groups = two_models()
    constant = Answers(np.full(len(y), 0.5), score=a.p_fake)
    auc, log_loss, _ = paired_bootstrap(y, constant, b, groups, n_boot=50, seed=0)
    assert auc.difference == pytest.approx(roc_auc_score(y, a.p_fake) - roc_auc_score(y, b.p_fake))
    assert log_loss.difference == pytest.approx(np.log(2) - np.mean(-np.log(np.where(y, b.p_fake, 1 - b.p_fake))))


def test_one_class_or_one_group_gives_reasons():
    y, a, b, groups = two_models()
    for labels, where, why in ((np.ones(240), groups, "only fake items"), (y, np.zeros(240), "one source group")):
        for found in paired_bootstrap(labels, a, b, where, n_boot=20, seed=0):
            assert np.isnan([found.difference, found.ci_low, found.p_value]).all()
            assert why in found.reason
    with pytest.raises(ValueError, match="at least one item"):
        paired_bootstrap([], Answers([]), Answers([]), [], seed=0)
