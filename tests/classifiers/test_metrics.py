from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import binom, norm
from sklearn import metrics as sk

from classifiers.aggregate import aggregate_p_fake
from classifiers.bootstrap import ECE_REMARK, constant_answer, draw_groups, evaluate, group_mean, interval
from classifiers.metrics import COUNTS, METRICS, Scores, calibration_points, roc_points


def scored(n: int = 300, n_groups: int = 40, *, decimals: int = 2, seed: int = 0):
    """Labels, P(fake) with many ties (two decimals), and groups."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, n)
    p = np.clip(0.5 + 0.2 * (y - 0.5) + 0.25 * rng.normal(size=n), 0, 1).round(decimals)
    return y, p, rng.integers(0, n_groups, n)


def reference(y, p, w=None):
    """scikit-learn's answers; EER by bisection on the interpolated ROC curve."""
    called = (p >= 0.5).astype(int)
    tn, fp, fn, tp = sk.confusion_matrix(y, called, sample_weight=w, labels=[0, 1]).ravel()
    fpr, tpr, _ = sk.roc_curve(y, p, sample_weight=w, drop_intermediate=False)
    eer = brentq(lambda x: 1 - np.interp(x, fpr, tpr) - x, 0, 1) if (np.diff(fpr) > 0).all() else None
    return {
        "accuracy": sk.accuracy_score(y, called, sample_weight=w),
        "balanced_accuracy": sk.balanced_accuracy_score(y, called, sample_weight=w),
        "roc_auc": sk.roc_auc_score(y, p, sample_weight=w),
        "average_precision": sk.average_precision_score(y, p, sample_weight=w),
        "log_loss": sk.log_loss(y, np.clip(p, 1e-15, 1 - 1e-15), sample_weight=w),
        "brier": np.average((p - y) ** 2, weights=w),
        "eer": eer,
        "recall": sk.recall_score(y, called, sample_weight=w),
        "specificity": sk.recall_score(y, called, sample_weight=w, pos_label=0),
        "tpr_at_fpr_01": tpr[fpr <= 0.01].max() if (y == 0).sum() >= 100 else None,
        "roc_auc_reversed": sk.roc_auc_score(y, 1 - p, sample_weight=w),
        "accuracy_reversed": sk.accuracy_score(y, (1 - p >= 0.5).astype(int), sample_weight=w),
        "tp": tp,
        "fp": fp,
        "tn": tn,
        "fn": fn,
    }


def test_values_equal_scikit_learn():
    y, p, group = scored()
    rows = {r.metric: r for r in evaluate(y, p, group, n_boot=10, seed=0)}
    assert tuple(rows) == METRICS
    for name, value in reference(y, p).items():
        if value is not None:
            assert rows[name].value == pytest.approx(value, abs=1e-12), name
        assert (rows[name].n_items, rows[name].n_groups) == (300, len(set(group.tolist())))


def test_each_draw_equals_scikit_learn_with_weights(monkeypatch):
    monkeypatch.setattr("classifiers.metrics.BLOCK_CELLS", 700)  # several blocks, the last one shorter
    y, p, group = scored()
    codes = np.unique(group, return_inverse=True)[1]
    draws = draw_groups(codes.max() + 1, n_boot=5, rng=np.random.default_rng(1))
    found = Scores.of(y, p, codes).evaluate(draws)
    for b, weights in enumerate(draws):
        for name, value in reference(y, p, weights[codes]).items():
            if value is not None:
                assert found[name][b] == pytest.approx(value, abs=1e-12), (name, b)


def test_eer_closed_forms():
    def eer(y, p):
        return next(r.value for r in evaluate(y, p, np.arange(len(y)), n_boot=1, seed=0) if r.metric == "eer")

    assert eer([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]) == 0
    assert eer([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]) == 1
    assert eer([0, 1, 0, 1], [0.5] * 4) == pytest.approx(0.5)
    assert eer([0, 0, 0, 1, 1, 1], [0.1, 0.2, 0.8, 0.3, 0.9, 0.7]) == pytest.approx(1 / 3)
    # Two unit Gaussians 2 apart: the rates cross half-way, at Phi(-1) = 0.1587. Standard error about 0.004.
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 10_000)
    score = 1 / (1 + np.exp(-(2 * y + rng.normal(size=20_000))))
    assert eer(y, score) == pytest.approx(0.1587, abs=0.012)


def test_log_loss_of_a_certain_wrong_answer_is_bounded():
    rows = {r.metric: r.value for r in evaluate([0, 1], [1.0, 1.0], ["a", "b"], n_boot=1, seed=0)}
    assert rows["log_loss"] == pytest.approx(-np.log(1e-15) / 2, rel=1e-2)  # 1 - 1e-15 is rounded in float64


def test_one_class_gives_nan_with_a_reason():
    rows = {r.metric: r for r in evaluate([1, 1, 1], [0.9, 0.4, 0.7], ["a", "b", "c"], n_boot=50, seed=0)}
    assert (rows["tp"].value, rows["fn"].value) == (2, 1)
    for name in set(METRICS) - COUNTS:  # an accuracy on fakes alone would reward calling everything fake
        row = rows[name]
        assert np.isnan([row.value, row.ci_low, row.ci_high]).all()
        assert row.reason == "only fake items"


def test_one_group_and_rare_classes_have_no_interval():
    rows = {r.metric: r for r in evaluate([0, 1], [0.2, 0.9], ["a", "a"], n_boot=50, seed=0)}
    for name in set(METRICS) - COUNTS - {"tpr_at_fpr_01"}:
        assert np.isnan([rows[name].value, rows[name].ci_low]).all()
        assert rows[name].reason == "one source group: its items are not independent"
    # Two groups, one class each: half of the draws take one group twice.
    rows = {r.metric: r for r in evaluate([0, 1], [0.2, 0.9], ["a", "b"], n_boot=1001, seed=0)}
    dropped = rows["roc_auc"].n_boot_dropped
    assert abs(dropped - 500) < 80  # binomial(1001, 1/2), five standard deviations
    assert rows["accuracy"].n_boot_dropped == 0
    low, high, n, reason = interval(np.array([np.nan, np.nan, 0.5]), n_groups=4)
    assert np.isnan([low, high]).all()
    assert n == 2
    assert "2 of 3 draws lack a class" in reason


def values(y, p, **options):
    """Metric -> value, every item a group of its own."""
    return {r.metric: r.value for r in evaluate(y, p, np.arange(len(y)), n_boot=1, seed=0, **options)}


def test_calibration_error_by_hand():
    # Five items are one bin. As if both classes had the same size: 0.5 are fake where 0.6 was said.
    assert values([1, 1, 1, 0, 0], [0.6] * 5)["ece"] == pytest.approx(0.1)
    # Two bins of ten: 0.2 said, none or (with equal classes) all of the bin's weight fake.
    y = np.array([0] * 8 + [1] * 2 + [0] * 2 + [1] * 8)
    p = np.repeat([0.2, 0.7], 10)
    # Reals: 0.8 in the low bin, 0.2 in the high one; fakes the other way round.
    by_hand = abs(0.5 * (0.2 * 0.8 - 0.8 * 0.2)) + abs(0.5 * (0.8 * 0.3 - 0.2 * 0.7))
    assert values(y, p)["ece"] == pytest.approx(by_hand)


def test_calibration_error_of_true_probabilities_is_small_whatever_the_class_shares():
    rng = np.random.default_rng(0)
    for share in (0.5, 0.9):
        y = (rng.random(40_000) < share).astype(int)
        ratio = rng.normal(2.0 * y - 1, np.sqrt(2))  # its own log-likelihood ratio
        p = 1 / (1 + np.exp(-ratio))
        assert values(y, p)["ece"] < 0.015
        assert values(y, 1 / (1 + np.exp(-3 * ratio)))["ece"] > 0.08
    rows = {r.metric: r for r in evaluate(y[:300], p[:300], np.arange(300), n_boot=200, seed=0)}
    assert rows["ece"].ci_low < rows["ece"].value  # the draws alone lie above it
    assert ECE_REMARK in rows["ece"].reason


def test_one_per_cent_of_false_alarms_needs_a_hundred_reals():
    # Real k scores k / 1000; fakes beat 98, 99 and all of the 100 reals.
    y = np.array([0] * 100 + [1] * 3)
    p = np.append(np.arange(100) / 1000, [0.0975, 0.0985, 0.5])
    assert values(y, p)["tpr_at_fpr_01"] == pytest.approx(2 / 3)  # one false alarm (0.099) is allowed
    row = next(r for r in evaluate(y[1:], p[1:], np.arange(102), n_boot=9, seed=0) if r.metric == "tpr_at_fpr_01")
    assert np.isnan(row.value)
    assert row.reason == "1 % of 99 reals is less than one: at least 100 are needed"


def test_accuracy_equal_to_the_class_share_is_seen_for_what_it_is():
    rng = np.random.default_rng(0)
    y = (rng.random(400) < 0.8).astype(int)
    blind = {r.metric: r for r in evaluate(y, np.full(400, 0.9), np.arange(400), n_boot=200, seed=0)}
    assert blind["accuracy"].value == pytest.approx(y.mean())
    assert (blind["accuracy_over_majority"].value, blind["accuracy_over_majority"].ci_high) == (0, 0)
    good = {r.metric: r for r in evaluate(y, np.clip(y, 0.1, 0.9), np.arange(400), n_boot=200, seed=0)}
    gain = good["accuracy_over_majority"]
    assert gain.value == pytest.approx(1 - y.mean())
    assert 0 < gain.ci_low < gain.value < gain.ci_high
    assert good["accuracy_reversed"].value == 0


def test_items_are_ranked_by_the_score_and_judged_by_p_fake():
    y, p, _ = scored()
    found, alone = values(y, np.full(len(y), 0.5), score=p), values(y, p)
    for name in ("roc_auc", "average_precision", "eer"):
        assert found[name] == alone[name]
    assert found["log_loss"] == pytest.approx(np.log(2))


def test_width_zero_is_said():
    low, high, _, reason = interval(np.full(100, 0.3), n_groups=20)
    assert (low, high) == (0.3, 0.3)
    assert "no uncertainty" in reason


@pytest.mark.parametrize(("n", "least", "most"), [(10, 0.7, 0.93), (100, 0.97, 0.995)])
def test_all_right_is_not_certain(n, least, most):
    # Of 2 n groups all are right: "rule of three", the lower end of 95 % is near 1 - 3.7 / (2 n).
    y = np.tile([0, 1], n)
    rows = {r.metric: r for r in evaluate(y, y * 0.8 + 0.1, np.arange(2 * n), n_boot=2000, seed=0)}
    for metric in ("accuracy", "balanced_accuracy", "roc_auc", "average_precision"):
        assert (rows[metric].value, rows[metric].ci_high) == (1, 1)
        assert least < rows[metric].ci_low < most
    for metric in ("roc_auc", "accuracy"):
        end = rows[f"{metric}_reversed"]
        assert (end.ci_low, end.ci_high) == (0, pytest.approx(1 - rows[metric].ci_low))


def test_few_groups_of_a_class_are_said_however_many_the_other_has():
    y = np.r_[np.zeros(5, int), np.ones(25, int)]
    p = np.random.default_rng(0).random(30)
    rows = {r.metric: r for r in evaluate(y, p, np.arange(30), n_boot=200, seed=0)}
    assert "5 source groups of a class: the interval may be too narrow" in rows["roc_auc"].reason
    rows = {r.metric: r for r in evaluate(np.tile([0, 1], 10), p[:20], np.arange(20), n_boot=200, seed=0)}
    assert rows["accuracy"].reason is None


def test_accuracy_interval_is_the_binomial_one():
    # With one item per group, resampled accuracy is binomial(n, accuracy) / n exactly.
    y = np.arange(200) % 2
    p = np.where(np.arange(200) < 40, 0.9 - 0.8 * y, 0.1 + 0.8 * y)  # accuracy 0.8
    row = next(r for r in evaluate(y, p, np.arange(200), n_boot=20_000, seed=0) if r.metric == "accuracy")
    low, high = binom.ppf([0.025, 0.975], 200, 0.8) / 200
    assert row.ci_low == pytest.approx(low, abs=0.006)  # one item is 0.005
    assert row.ci_high == pytest.approx(high, abs=0.006)


def test_correlated_frames_widen_the_group_interval():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 20)
    y = np.repeat(rng.integers(0, 2, 30), 20)
    right = np.repeat(rng.random(30) < 0.7, 20)  # all frames of a group are right or wrong together
    p = np.where(right, 0.1 + 0.8 * y, 0.9 - 0.8 * y)

    def width(groups):
        row = evaluate(y, p, groups, n_boot=2000, seed=0)[0]
        return row.ci_high - row.ci_low

    # Fully correlated groups of 20: sqrt(20) = 4.5 times as wide.
    assert width(group) / width(np.arange(600)) == pytest.approx(np.sqrt(20), rel=0.15)


def test_interval_covers_the_truth():
    """150 simulated studies of 60 groups with correlated frames: about 95 % of the intervals hold the true AUC."""
    rng = np.random.default_rng(0)
    n_groups, n_frames = 60, 5
    # A group has one real and one fake video; scores = class + group effect + noise, deviations 0.6 and 0.8.
    # The difference of a fake's and a real's score is N(1, 2 * (0.36 + 0.64)) across groups, so AUC = Phi(1 / sqrt 2).
    # Within a group the group effect cancels, which one in 60 pairs of videos shares: 0.001 of AUC.
    truth = norm.cdf(1 / np.sqrt(2))
    held = 0
    for study in range(150):
        group = np.repeat(np.arange(n_groups), 2 * n_frames)
        y = np.tile(np.repeat([0, 1], n_frames), n_groups)
        score = y + 0.6 * rng.normal(size=n_groups)[group] + 0.8 * rng.normal(size=len(y))
        rows = evaluate(y, 1 / (1 + np.exp(-score)), group, n_boot=300, seed=study)
        auc = next(r for r in rows if r.metric == "roc_auc")
        held += auc.ci_low <= truth <= auc.ci_high
    # Binomial(150, 0.95) has deviation 2.7; a percentile interval of 60 groups falls a little short.
    assert 0.88 <= held / 150 <= 0.99


def test_group_mean_is_a_ratio_of_group_sums():
    values, group = [1.0, 0.0, 1.0, 1.0], ["a", "a", "a", "b"]
    row = group_mean("coverage", values, group, n_boot=500, seed=0)
    # Draws: a twice (2/3), b twice (1) or both (3/4).
    assert (row.metric, row.value, row.n_groups, row.n_items) == ("coverage", 0.75, 2, 4)
    assert (row.ci_low, row.ci_high) == (pytest.approx(2 / 3), pytest.approx(1))
    assert group_mean("x", [1.0], ["a"], seed=0).reason == "one source group: no interval"
    with pytest.raises(ValueError, match="finite values"):
        group_mean("x", [np.nan], ["a"], seed=0)


def test_constant_answer():
    y, _, group = scored()
    rows = {r.metric: r.value for r in constant_answer(y, group, share_fake=0.64, n_boot=10, seed=0)}
    share = y.mean()
    assert rows["accuracy"] == pytest.approx(share)
    assert rows["roc_auc"] == 0.5
    assert rows["log_loss"] == pytest.approx(-share * np.log(0.64) - (1 - share) * np.log(0.36))


def test_york_sized_evaluation_is_fast():
    y, p, group = scored(200, 60, decimals=6)
    start = time.process_time()
    evaluate(y, p, group, n_boot=2000, seed=0)
    assert time.process_time() - start < 2


def test_seed_decides_and_bad_values_are_refused():
    y, p, group = scored()
    assert evaluate(y, p, group, n_boot=99, seed=1) == evaluate(y, p, group, n_boot=99, seed=1)
    assert evaluate(y, p, group, n_boot=99, seed=1) != evaluate(y, p, group, n_boot=99, seed=2)
    with pytest.raises(ValueError, match=r"1 of 300 values outside or NaN"):
        evaluate(y, np.where(np.arange(300) == 7, np.nan, p), group, seed=0)
    with pytest.raises(ValueError, match="at least one item"):
        evaluate([], [], [], seed=0)


def test_roc_and_calibration_points():
    y, p, _ = scored()
    fpr, tpr, threshold = roc_points(y, p)
    for ours, theirs in zip((fpr, tpr, threshold), sk.roc_curve(y, p, drop_intermediate=False), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-12)
    with pytest.raises(ValueError, match="both classes"):
        roc_points([1, 1], [0.2, 0.3])
    points = calibration_points([0, 1, 1, 0, 1], [0.05, 0.1, 0.19, 0.95, 1.0], n_bins=10)
    np.testing.assert_allclose(points.p_mean, [0.05, 0.145, 0.975])
    np.testing.assert_allclose(points.share_fake, [0, 1, 0.5])
    assert points.n_items.tolist() == [1, 2, 2]


@pytest.mark.parametrize(
    ("method", "expected"),
    [("mean", [0.5, 0.3]), ("median", [0.6, 0.3]), ("topk", [0.75, 0.3]), ("noisy_or", [1 - 0.4 * 0.1, 0.3])],
)
def test_aggregation_closed_forms(method, expected):
    p, video = [0.3, 0.0, 0.6, 0.9], ["b", "a", "a", "a"]
    ids, value = aggregate_p_fake(p, video, method=method, top_k=2)
    assert ids.tolist() == ["a", "b"]
    np.testing.assert_allclose(value, expected)


def test_aggregation_against_loops_and_limits():
    _, p, video = scored()
    for method, loop in {"mean": np.mean, "median": np.median, "noisy_or": lambda q: 1 - np.prod(1 - q)}.items():
        ids, value = aggregate_p_fake(p, video, method=method)
        np.testing.assert_allclose(value, [loop(p[video.astype(str) == i]) for i in ids], atol=1e-12)
    assert aggregate_p_fake([1.0, 0.0], ["v", "v"], method="noisy_or")[1].tolist() == [1.0]
    with pytest.raises(ValueError, match="Unknown aggregation 'max'"):
        aggregate_p_fake(p, video, method="max")
    with pytest.raises(ValueError, match="top_k"):
        aggregate_p_fake(p, video, method="topk", top_k=0)
