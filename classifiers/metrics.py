"""Metrics of P(fake) under item weights, many weightings at once, and points of ROC and calibration plots.

A bootstrap resample is a row of integer weights, so value and interval come from one code path.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.checks import (
    FAKE,
    REAL,
    Float64Array,
    IntArray,
    check_labels,
    check_probabilities,
)

METRICS = (
    "accuracy",
    "balanced_accuracy",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "eer",
    "tp",
    "fp",
    "tn",
    "fn",
)
# P(fake) is kept this far from 0 and 1 in the log-loss: a certain and wrong answer costs 34.5. The value is the one
# scikit-learn's log_loss had when Kaggle and York used it (later versions use the machine epsilon, 2.2e-16).
LOG_LOSS_EPS = 1e-15
DEFAULT_THRESHOLD = 0.5

# Resamples times items of one block of the curve metrics: bounds their memory to some 100 MB.
BLOCK_CELLS = 2_000_000


@dataclass(frozen=True)
class Scores:
    """Labels, P(fake) and group numbers, prepared once for any number of weightings of the groups."""

    y: IntArray  # [n] in descending order of P(fake)
    codes: IntArray  # [n]
    block_end: IntArray  # last position of each run of equal P(fake)
    sums: Float64Array  # [G, 6] per group: items, tp, fp, fn, squared error, log-loss

    @classmethod
    def of(cls, y: IntArray, p_fake: Float64Array, codes: IntArray, *, threshold: float = DEFAULT_THRESHOLD) -> Scores:
        """``threshold``: P(fake) at or above it is called fake."""
        order = np.argsort(-p_fake, kind="stable")
        y, p, codes = y[order], p_fake[order], codes[order]
        called = p >= threshold
        clipped = np.clip(p, LOG_LOSS_EPS, 1 - LOG_LOSS_EPS)
        loss = -np.where(y == FAKE, np.log(clipped), np.log1p(-clipped))
        tp, fp, fn = called & (y == FAKE), called & (y == REAL), ~called & (y == FAKE)
        n_groups = int(codes.max()) + 1
        columns = (np.ones(len(y)), tp, fp, fn, (p - y) ** 2, loss)
        sums = np.stack([np.bincount(codes, weights=c, minlength=n_groups) for c in columns], axis=1)
        return cls(y, codes, np.flatnonzero(np.diff(p, append=-1.0)), sums.astype(np.float64))

    def evaluate(self, group_weights: npt.NDArray[np.int64]) -> dict[str, Float64Array]:
        """Every metric under every weighting [B, G] of the groups: float64 [B] each, NaN where it is undefined."""
        n_block = max(1, BLOCK_CELLS // len(self.y))
        blocks = [self._curve_metrics(group_weights[s : s + n_block]) for s in range(0, len(group_weights), n_block)]
        out = self._sum_metrics(group_weights)
        for name in blocks[0]:
            out[name] = np.concatenate([b[name] for b in blocks])
        return {name: out[name] for name in METRICS}

    def _sum_metrics(self, group_weights: npt.NDArray[np.int64]) -> dict[str, Float64Array]:
        n, tp, fp, fn, squared, loss = (group_weights.astype(np.float64) @ self.sums).T
        tn = n - tp - fp - fn
        with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is NaN: the class is absent
            return {
                "accuracy": (tp + tn) / n,
                "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
                "log_loss": loss / n,
                "brier": squared / n,
                "tp": tp,
                "fp": fp,
                "tn": tn,
                "fn": fn,
            }

    def _curve_metrics(self, group_weights: npt.NDArray[np.int64]) -> dict[str, Float64Array]:
        weights = group_weights[:, self.codes]  # [b, n]
        # Counts of fakes and reals at or above each distinct P(fake), a zero first. [b, U + 1]
        fakes = _counts(weights * self.y, self.block_end)
        reals = _counts(weights * (1 - self.y), self.block_end)
        with np.errstate(invalid="ignore", divide="ignore"):
            tpr, fpr = fakes / fakes[:, -1:], reals / reals[:, -1:]
            precision = fakes[:, 1:] / np.maximum(fakes[:, 1:] + reals[:, 1:], 1)
            return {
                "roc_auc": (np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1])).sum(axis=1) / 2,
                "average_precision": np.where(reals[:, -1] > 0, (np.diff(tpr, axis=1) * precision).sum(axis=1), np.nan),
                "eer": _equal_error_rate(fpr, tpr),
            }


def _counts(weights: npt.NDArray[np.int64], block_end: IntArray) -> Float64Array:
    total = np.cumsum(weights, axis=1)[:, block_end]
    return np.concatenate([np.zeros((len(total), 1)), total], axis=1)


def _equal_error_rate(fpr: Float64Array, tpr: Float64Array) -> Float64Array:
    """Where the ROC's straight pieces [b, U + 1] cross miss rate = false-alarm rate; NaN where a class is absent."""
    gap = 1 - tpr - fpr  # falls from 1 to -1
    after = np.maximum((gap <= 0).argmax(axis=1), 1)
    row = np.arange(len(gap))
    share = gap[row, after - 1] / (gap[row, after - 1] - gap[row, after])
    return fpr[row, after - 1] + share * (fpr[row, after] - fpr[row, after - 1])


def roc_points(y: npt.ArrayLike, p_fake: npt.ArrayLike) -> tuple[Float64Array, Float64Array, Float64Array]:
    """ROC curve: false-positive rate, true-positive rate, threshold, each float64 [U + 1].

    The first point is (0, 0) with an infinite threshold; then one point for each distinct P(fake), highest first.

    Raises
    ------
    ValueError
        One class only, labels besides 0 and 1, P(fake) outside [0, 1].
    """
    labels = check_labels(y)
    p = check_probabilities(p_fake, n=len(labels))
    if len(np.unique(labels)) < 2:
        raise ValueError(f"A ROC curve needs both classes, got {len(labels)} items of one class.")
    scores = Scores.of(labels, p, np.zeros(len(p), dtype=np.int64))
    fakes = _counts(scores.y[None], scores.block_end)[0]
    reals = _counts(1 - scores.y[None], scores.block_end)[0]
    threshold = np.concatenate([[np.inf], -np.sort(-p, kind="stable")[scores.block_end]])
    return reals / reals[-1], fakes / fakes[-1], threshold


@dataclass(frozen=True)
class CalibrationPoints:
    """Per non-empty bin of P(fake): mean P(fake), share of fakes, number of items; all [n_bins] or fewer."""

    p_mean: Float64Array
    share_fake: Float64Array
    n_items: IntArray


def calibration_points(y: npt.ArrayLike, p_fake: npt.ArrayLike, *, n_bins: int = 10) -> CalibrationPoints:
    """Reliability diagram over ``n_bins`` bins of equal width; a value on an edge belongs to the bin above."""
    labels = check_labels(y)
    p = check_probabilities(p_fake, n=len(labels))
    if n_bins < 1:
        raise ValueError(f"Expected at least 1 bin, got {n_bins}.")
    bins = np.minimum((p * n_bins).astype(np.int64), n_bins - 1)
    n = np.bincount(bins, minlength=n_bins)
    used = np.flatnonzero(n)
    return CalibrationPoints(
        p_mean=np.bincount(bins, weights=p, minlength=n_bins)[used] / n[used],
        share_fake=np.bincount(bins, weights=labels, minlength=n_bins)[used] / n[used],
        n_items=n[used],
    )
