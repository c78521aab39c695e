"""Metrics with group-bootstrap intervals.

Frames of one video, and a fake and its original, are not independent; source groups are taken to be. So whole groups
are drawn with replacement, as many as there are, and the interval spans the middle of the metric over the draws. It
covers the choice of measured groups, not the choice of training data.

With G groups the plain percentile interval is too narrow: the draws spread like sqrt((G - 1) / G) of the truth, and the
spread itself is estimated. The *expanded percentile* interval (Hesterberg 2015) widens the quantiles to
Phi(+-sqrt(G / (G - 1)) t(G - 1)), which makes it as wide as Student's t where the metric is a mean.

Near the end of a metric's range even that is too narrow: ten right groups of ten would give [1, 1]. For metrics in
[0, 1] each draw therefore also holds two imagined observations, one at 0 and one at 1 (``with_imagined``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

from classifiers.checks import (
    FAKE,
    REAL,
    Float64Array,
    Groups,
    IntArray,
    check_labels,
    check_probabilities,
    group_codes,
)
from classifiers.metrics import COUNTS, DEFAULT_THRESHOLD, Scores

# An interval from fewer usable draws than this share would describe only the lucky ones.
MIN_USABLE_SHARE = 0.5
# From 10 groups of each class on, simulated studies show what 95 % intervals hold (docs/decisions.md).
FEW_GROUPS = 10
# Metrics in [0, 1] that may come to lie at an end of it, where draws alone show too little spread.
BOUNDED = frozenset(
    {
        "accuracy",
        "balanced_accuracy",
        "recall",
        "specificity",
        "roc_auc",
        "average_precision",
        "eer",
        "tpr_at_fpr_01",
        "accuracy_reversed",
        "roc_auc_reversed",
    }
)
# An imagined observation weighs a third of a source group: chosen by the coverage seen in simulated studies.
IMAGINED_PER_GROUP = 3
ECE_REMARK = "chance adds to the calibration error: it and its interval are too high where items are few"


class Measure(Protocol):
    """Metrics of prepared items under many weightings of their groups, such as ``metrics.Scores``."""

    @property
    def undefined(self) -> Mapping[str, str]:
        """Metric -> why these items cannot give it."""
        ...

    def evaluate(self, group_weights: npt.NDArray[np.int64]) -> dict[str, Float64Array]:
        """Every metric under every weighting [B, G] of the groups: float64 [B] each, NaN where it is undefined."""
        ...


# Labels [n], P(fake) [n] and group numbers [n] -> a measure of them.
MeasureOf = Callable[[IntArray, Float64Array, IntArray], Measure]
# Low end, high end, number of unusable draws, and why there is no interval (or what limits it).
Interval = tuple[float, float, int, str | None]


@dataclass(frozen=True)
class MetricRow:
    """One metric: value and 95 % interval (NaN where they cannot be had; ``reason`` says why).

    ``n_boot_dropped`` counts draws without one of the classes, left out of this metric's interval.
    """

    metric: str
    value: float
    ci_low: float
    ci_high: float
    n_groups: int
    n_items: int
    n_boot_dropped: int = 0
    reason: str | None = None


def evaluate(
    y: npt.ArrayLike,
    p_fake: npt.ArrayLike,
    groups: Groups,
    *,
    score: npt.ArrayLike | None = None,
    more: Sequence[MeasureOf] = (),
    n_boot: int = 2000,
    seed: int,
    level: float = 0.95,
    threshold: float = DEFAULT_THRESHOLD,
) -> list[MetricRow]:
    """All of ``metrics.METRICS`` for frames, tracks or videos.

    One class or one source group gives counts alone: nothing else would speak about telling real from fake.

    Parameters
    ----------
    y : [n] labels, 0 real, 1 fake; one class alone is allowed.
    p_fake : [n] P(fake) in [0, 1].
    groups : [n] source groups, the unit that is drawn.
    score : [n] in [0, 1], what items are ranked by where it is not P(fake) itself (see ``Scores.of``).
    more : further measures on the same draws.
    n_boot : number of draws.
    level : coverage of the interval.
    threshold : P(fake) at or above it is called fake in accuracies and counts.

    Raises
    ------
    ValueError
        No items, lengths that differ, values out of range.
    """
    labels = check_labels(y)
    p = check_probabilities(p_fake, n=len(labels))
    ranked = p if score is None else check_probabilities(score, n=len(labels))
    if not len(labels):
        raise ValueError("Metrics need at least one item, got none.")
    if n_boot < 1 or not 0 < level < 1:
        raise ValueError(f"Expected n_boot of at least 1 and a level between 0 and 1, got {n_boot} and {level:g}.")
    codes, names = group_codes(groups, n=len(labels))
    measures = [Scores.of(labels, p, codes, threshold=threshold, score=ranked), *(of(labels, p, codes) for of in more)]
    weights = draw_groups(len(names), n_boot=n_boot, rng=np.random.default_rng(seed))
    per_class = groups_per_class(labels, codes)
    rows = []
    for measure in measures:
        values = measure.evaluate(np.ones((1, len(names)), dtype=np.int64))
        draws = measure.evaluate(weights)
        for metric, (value,) in values.items():
            why = measure.undefined.get(metric)
            if len(names) == 1 and metric not in COUNTS:
                why = why or "one source group: its items are not independent"
            found = metric_interval(
                metric, float(value), draws[metric], n_groups=len(names), per_class=per_class, level=level
            )
            rows.append(_row(metric, float(value), found, len(names), len(labels), why=why))
    return rows


def _row(metric: str, value: float, found: Interval, n_groups: int, n_items: int, *, why: str | None) -> MetricRow:
    """A metric with its interval; ``why`` says that there is none."""
    low, high, dropped, reason = found
    if why is not None or np.isnan(value):
        value, low, high, reason = np.nan, np.nan, np.nan, why or "not defined for these items"
    return MetricRow(metric, value, low, high, n_groups, n_items, dropped, reason)


def constant_answer(
    y: npt.ArrayLike, groups: Groups, *, share_fake: float, n_boot: int = 2000, seed: int
) -> list[MetricRow]:
    """The baseline that looks at nothing: P(fake) is ``share_fake`` for every item.

    Its accuracy is the majority class's share, its log-loss the entropy of the classes, its ROC-AUC 0.5.
    """
    return evaluate(y, np.full(len(check_labels(y)), share_fake), groups, n_boot=n_boot, seed=seed)


def group_mean(
    name: str, values: npt.ArrayLike, groups: Groups, *, n_boot: int = 2000, seed: int, level: float = 0.95
) -> MetricRow:
    """Mean of any finite per-item number (coverage, reconstruction error) with a group-bootstrap interval.

    Parameters
    ----------
    name : what the row is called.
    values : [n] finite numbers; groups : [n] source groups.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
        raise ValueError(f"Expected finite values of shape [n] with n of at least 1, got shape {numbers.shape}.")
    codes, names = group_codes(groups, n=len(numbers))
    sums = np.stack([np.bincount(codes), np.bincount(codes, weights=numbers)], axis=1)  # [G, 2]
    drawn = draw_groups(len(names), n_boot=n_boot, rng=np.random.default_rng(seed)).astype(np.float64) @ sums
    low, high, dropped, reason = interval(drawn[:, 1] / drawn[:, 0], n_groups=len(names), level=level)
    return MetricRow(name, float(numbers.mean()), low, high, len(names), len(numbers), dropped, reason)


def draw_groups(n_groups: int, *, n_boot: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """How often each group stands in each draw: int64 [n_boot, n_groups], rows sum to n_groups."""
    return rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=n_boot)


def groups_per_class(y: IntArray, codes: IntArray) -> tuple[int, int]:
    """Number of source groups that hold reals, and that hold fakes."""
    return len(np.unique(codes[y == REAL])), len(np.unique(codes[y == FAKE]))


def interval(
    draws: Float64Array, *, n_groups: int, level: float = 0.95, per_class: tuple[int, int] | None = None
) -> Interval:
    """Low end, high end, number of unusable draws, and why there is no interval (or what limits it).

    Parameters
    ----------
    draws : [B] the metric under draws of ``n_groups`` groups, NaN where it is undefined.
    per_class : groups that hold reals and fakes, of which the fewer tell whether there are enough; None: all hold both.
    """
    usable = draws[np.isfinite(draws)]
    n_dropped = len(draws) - len(usable)
    if n_groups < 2:
        return np.nan, np.nan, n_dropped, "one source group: no interval"
    if len(usable) < MIN_USABLE_SHARE * len(draws):
        return np.nan, np.nan, n_dropped, f"{n_dropped} of {len(draws)} draws lack a class: no interval"
    tail = expanded_tail(n_groups, level=level)
    low, high = np.quantile(usable, [tail, 1 - tail])
    remarks = [f"{n_dropped} of {len(draws)} draws lack a class (or any answer) and are left out"] if n_dropped else []
    if low == high:
        remarks = ["every draw gives the same value: the interval shows no uncertainty, there may be some"]
    fewest = min(per_class) if per_class and min(per_class) else n_groups
    if fewest < FEW_GROUPS:
        of_class = " of a class" if fewest < n_groups else ""
        remarks.append(f"{fewest} source groups{of_class}: the interval may be too narrow")
    return float(low), float(high), n_dropped, "; ".join(remarks) or None


def metric_interval(
    metric: str,
    value: float,
    draws: Float64Array,
    *,
    n_groups: int,
    per_class: tuple[int, int] | None = None,
    level: float = 0.95,
) -> Interval:
    """Like ``interval``, as the metric needs it.

    Draws of a metric in ``BOUNDED`` get imagined observations, and the interval holds the value. That of the
    calibration error is mirrored at the value and kept in [0, 1]: it is a sum of absolute gaps, so chance can only add
    to it, and the draws lie above the value as the value lies above the truth.
    """
    if metric in BOUNDED:
        draws = with_imagined(draws, per_class or (n_groups, n_groups), mirrored=metric.endswith("_reversed"))
    low, high, n_dropped, reason = interval(draws, n_groups=n_groups, level=level, per_class=per_class)
    if metric in BOUNDED:
        low, high = min(low, value), max(high, value)
    if metric != "ece" or np.isnan(low):
        return low, high, n_dropped, reason
    low, high = (float(np.clip(2 * value - end, 0, 1)) for end in (high, low))
    return low, high, n_dropped, "; ".join([*([reason] if reason else []), ECE_REMARK])


def with_imagined(draws: Float64Array, per_class: tuple[int, int], *, mirrored: bool = False) -> Float64Array:
    """Draws of a metric in [0, 1] as they would be with two more observations, one at 0 and one at 1: float64 [B].

    A draw d becomes (n d + e1) / (n + e0 + e1), with e0 and e1 from the standard exponential distribution, the weights
    of the Bayesian bootstrap (Rubin 1981; imagined observations as its prior: Muliere and Secchi 1996). n is three
    times the harmonic mean of the groups per class, so both lose their influence as groups are added.

    Parameters
    ----------
    draws : [B]; NaN stays NaN.
    mirrored : exchange e0 and e1, so that 1 - metric gets the mirrored interval.
    """
    if not min(per_class):
        return draws
    n = IMAGINED_PER_GROUP * 2 / (1 / per_class[0] + 1 / per_class[1])
    # The same for every metric and seed: equal draws, equal interval.
    at_0, at_1 = np.random.default_rng(0).exponential(size=(2, len(draws)))[:: -1 if mirrored else 1]
    return np.asarray((n * draws + at_1) / (n + at_0 + at_1), dtype=np.float64)


def expanded_tail(n_groups: int, *, level: float = 0.95) -> float:
    """Share of the draws beyond each end of the expanded percentile interval of ``n_groups`` (2 or more) groups."""
    t = stdtrit(n_groups - 1, (1 + level) / 2)
    return float(ndtr(-t * np.sqrt(n_groups / (n_groups - 1))))
