"""Metrics with group-bootstrap intervals.

Frames of one video, and a fake and its original, are not independent; source groups are taken to be. So whole groups
are drawn with replacement, as many as there are, and the interval spans the middle 95 % of the metric over the draws
(percentile bootstrap). It covers the choice of measured groups, not the choice of training data.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.checks import FAKE, Float64Array, Groups, check_labels, check_probabilities, group_codes
from classifiers.metrics import DEFAULT_THRESHOLD, METRICS, Scores

# An interval from fewer usable draws than this share would describe only the lucky ones.
MIN_USABLE_SHARE = 0.5


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
    n_boot: int = 2000,
    seed: int,
    level: float = 0.95,
    threshold: float = DEFAULT_THRESHOLD,
) -> list[MetricRow]:
    """All of ``metrics.METRICS`` for frames or for videos.

    Parameters
    ----------
    y : [n] labels, 0 real, 1 fake; one class alone is allowed.
    p_fake : [n] P(fake) in [0, 1].
    groups : [n] source groups, the unit that is drawn.
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
    if not len(labels):
        raise ValueError("Metrics need at least one item, got none.")
    if n_boot < 1 or not 0 < level < 1:
        raise ValueError(f"Expected n_boot of at least 1 and a level between 0 and 1, got {n_boot} and {level:g}.")
    codes, names = group_codes(groups, n=len(labels))
    scores = Scores.of(labels, p, codes, threshold=threshold)
    values = scores.evaluate(np.ones((1, len(names)), dtype=np.int64))
    draws = scores.evaluate(draw_groups(len(names), n_boot=n_boot, rng=np.random.default_rng(seed)))
    rows = []
    for metric in METRICS:
        value = float(values[metric][0])
        low, high, dropped, reason = interval(draws[metric], n_groups=len(names), level=level)
        if np.isnan(value):
            low, high, reason = np.nan, np.nan, f"only {'fake' if labels[0] == FAKE else 'real'} items"
        rows.append(MetricRow(metric, value, low, high, len(names), len(labels), dropped, reason))
    return rows


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


def interval(draws: Float64Array, *, n_groups: int, level: float = 0.95) -> tuple[float, float, int, str | None]:
    """Low end, high end, number of unusable draws, and why there is no interval (or what limits it)."""
    usable = draws[np.isfinite(draws)]
    n_dropped = len(draws) - len(usable)
    if n_groups < 2:
        return np.nan, np.nan, n_dropped, "one source group: no interval"
    if len(usable) < MIN_USABLE_SHARE * len(draws):
        return np.nan, np.nan, n_dropped, f"{n_dropped} of {len(draws)} draws lack a class: no interval"
    tail = (1 - level) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    reason = f"{n_dropped} of {len(draws)} draws lack a class and are left out" if n_dropped else None
    if low == high:
        reason = "every draw gives the same value: the interval shows no uncertainty, there may be some"
    return float(low), float(high), n_dropped, reason
