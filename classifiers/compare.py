"""Two models on the same items: the difference of a metric, with a paired group bootstrap, and DeLong's test for AUC.

Both models answer the same items, so their errors rise and fall together; drawing groups for both at once keeps that,
and the interval of the difference is narrower than two intervals side by side suggest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri, stdtr

from classifiers.bootstrap import draw_groups, groups_per_class, interval
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
from classifiers.metrics import Scores

COMPARED = ("roc_auc", "log_loss", "accuracy")


@dataclass(frozen=True)
class Answers:
    """One model's answers: P(fake) float64 [n], and what it ranks items by where that is another number."""

    p_fake: npt.ArrayLike
    score: npt.ArrayLike | None = None


@dataclass(frozen=True)
class Comparison:
    """Metric of model a minus that of model b, with interval and two-sided p-value (NaN where they cannot be had)."""

    metric: str
    method: str
    difference: float
    ci_low: float
    ci_high: float
    p_value: float
    n_groups: int
    n_items: int
    reason: str | None = None


def paired_bootstrap(
    y: npt.ArrayLike,
    a: Answers,
    b: Answers,
    groups: Groups,
    *,
    n_boot: int = 2000,
    seed: int,
    level: float = 0.95,
    metrics: Sequence[str] = COMPARED,
) -> list[Comparison]:
    """``metrics`` of a minus b on the same items, whole groups drawn for both at once.

    The p-value is the smallest 1 - level at which the interval leaves out 0, so both always agree; it is never below
    what ``n_boot`` draws can tell.

    Raises
    ------
    ValueError
        No items, lengths that differ, values out of range.
    """
    labels, codes, n_groups = _checked(y, groups)
    both = [_scores(labels, answers, codes) for answers in (a, b)]
    whole = [s.evaluate(np.ones((1, n_groups), dtype=np.int64)) for s in both]
    weights = draw_groups(n_groups, n_boot=n_boot, rng=np.random.default_rng(seed))
    drawn = [s.evaluate(weights) for s in both]
    per_class = groups_per_class(labels, codes)
    out = []
    for metric in metrics:
        difference = float(whole[0][metric][0] - whole[1][metric][0])
        draws = drawn[0][metric] - drawn[1][metric]
        low, high, _, reason = interval(draws, n_groups=n_groups, level=level, per_class=per_class)
        why = both[0].undefined.get(metric) or ("one source group: nothing to compare on" if n_groups < 2 else None)
        p_value = _p_value(draws, n_groups) if np.isfinite(low) else np.nan
        if why is not None:
            difference, low, high, p_value, reason = np.nan, np.nan, np.nan, np.nan, why
        out.append(Comparison(metric, "group bootstrap", difference, low, high, p_value, n_groups, len(labels), reason))
    return out


def values(
    y: npt.ArrayLike, answers: Answers, groups: Groups, *, metrics: Sequence[str] = COMPARED
) -> dict[str, float]:
    """``metrics`` of one model's answers, NaN where these items cannot give one."""
    labels, codes, n_groups = _checked(y, groups)
    scores = _scores(labels, answers, codes)
    found = scores.evaluate(np.ones((1, n_groups), dtype=np.int64))
    return {m: np.nan if m in scores.undefined else float(found[m][0]) for m in metrics}


def delong(y: npt.ArrayLike, a: Answers, b: Answers, groups: Groups, *, level: float = 0.95) -> Comparison:
    """Difference of two ROC-AUCs on the same items after DeLong, DeLong and Clarke-Pearson (1988).

    It takes *items* as independent. Frames of a video are not, so it belongs on videos; videos of one source group are
    not either, which ``reason`` says where groups hold several. It is then too sure where items of a class repeat each
    other, and too timid where a real and its fakes rise and fall together, which leaves a ranking as it is.

    Raises
    ------
    ValueError
        No items, lengths that differ, values out of range.
    """
    labels, _, n_groups = _checked(y, groups)
    n = len(labels)
    counts = [int((labels == c).sum()) for c in (REAL, FAKE)]
    if min(counts) < 2:
        why = f"DeLong's test needs two items of each class, got {counts[REAL]} real and {counts[FAKE]} fake"
        return Comparison("roc_auc", "DeLong", np.nan, np.nan, np.nan, np.nan, n_groups, n, why)
    of_a, of_b = (_placements(labels, _ranked(x, n)) for x in (a, b))
    gap_fakes, gap_reals = of_a[0] - of_b[0], of_a[1] - of_b[1]
    difference = float(gap_fakes.mean())
    error = float(np.sqrt(gap_fakes.var(ddof=1) / len(gap_fakes) + gap_reals.var(ddof=1) / len(gap_reals)))
    reason = None
    if n_groups < n:
        reason = f"takes {n} items as independent, they come from {n_groups} groups: trust the group bootstrap"
    if error < 1e-12:  # the same ranking twice, up to rounding
        why = "both rank all items alike: nothing to test"
        return Comparison("roc_auc", "DeLong", difference, np.nan, np.nan, np.nan, n_groups, n, why)
    half = float(ndtri((1 + level) / 2)) * error
    p_value = float(2 * ndtr(-abs(difference) / error))
    return Comparison(
        "roc_auc", "DeLong", difference, difference - half, difference + half, p_value, n_groups, n, reason
    )


def _checked(y: npt.ArrayLike, groups: Groups) -> tuple[IntArray, IntArray, int]:
    labels = check_labels(y)
    if not len(labels):
        raise ValueError("A comparison needs at least one item, got none.")
    codes, names = group_codes(groups, n=len(labels))
    return labels, codes, len(names)


def _ranked(answers: Answers, n: int) -> Float64Array:
    return check_probabilities(answers.p_fake if answers.score is None else answers.score, n=n)


def _scores(labels: IntArray, answers: Answers, codes: IntArray) -> Scores:
    p = check_probabilities(answers.p_fake, n=len(labels))
    return Scores.of(labels, p, codes, score=_ranked(answers, len(labels)))


def _placements(labels: IntArray, score: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Share of reals below each fake, and of fakes above each real, ties counting half; both average to the AUC."""
    fakes, reals = np.sort(score[labels == FAKE]), np.sort(score[labels == REAL])
    below = _share_below(reals, score[labels == FAKE])
    above = 1 - _share_below(fakes, score[labels == REAL])
    return below, above


def _share_below(ordered: Float64Array, values: Float64Array) -> Float64Array:
    """Share of ``ordered`` below each of ``values``, equal ones counting half."""
    return (np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")) / (2 * len(ordered))


def _p_value(draws: Float64Array, n_groups: int) -> float:
    """Twice the tail beyond 0, read on the scale of the expanded percentile interval (``bootstrap.expanded_tail``)."""
    usable = draws[np.isfinite(draws)]
    tail = (min(int((usable <= 0).sum()), int((usable >= 0).sum())) + 1) / (len(usable) + 1)
    t = ndtri(min(tail, 0.5)) / np.sqrt(n_groups / (n_groups - 1))
    return float(min(1.0, 2 * stdtr(n_groups - 1, t)))
