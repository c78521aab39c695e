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
    "recall",
    "specificity",
    "roc_auc",
    "average_precision",
    "log_loss",
    "brier",
    "eer",
    "tpr_at_fpr_01",
    "ece",
    "accuracy_over_majority",
    "accuracy_reversed",
    "roc_auc_reversed",
    "tp",
    "fp",
    "tn",
    "fn",
)
# P(fake) is kept this far from 0 and 1 in the log-loss: a certain and wrong answer costs 34.5. The value is the one
# scikit-learn's log_loss had when Kaggle and York used it (later versions use the machine epsilon, 2.2e-16).
LOG_LOSS_EPS = 1e-15
DEFAULT_THRESHOLD = 0.5
COUNTS = frozenset({"tp", "fp", "tn", "fn"})
LOW_FPR = 0.01
# Fewer reals and a single false alarm is more than 1 %.
MIN_REALS_FOR_LOW_FPR = round(1 / LOW_FPR)
MAX_ECE_BINS, MIN_ITEMS_PER_ECE_BIN = 10, 10

# Resamples times items of one block of the curve metrics: bounds their memory to some 100 MB.
BLOCK_CELLS = 2_000_000


@dataclass(frozen=True)
class Scores:
    """Labels, P(fake) and group numbers, prepared once for any number of weightings of the groups."""

    y: IntArray  # [n] in descending order of the score
    codes: IntArray  # [n]
    block_end: IntArray  # last position of each run of equal scores
    sums: Float64Array  # [G, 8] per group: items, tp, fp, fn, squared error, log-loss, right in reverse, majority
    gaps: Float64Array  # [2, G, n_bins] per class, group and bin of P(fake): sum of y - P(fake)
    undefined: dict[str, str]  # metric -> why these items cannot give it

    @classmethod
    def of(
        cls,
        y: IntArray,
        p_fake: Float64Array,
        codes: IntArray,
        *,
        threshold: float = DEFAULT_THRESHOLD,
        score: Float64Array | None = None,
    ) -> Scores:
        """Prepare labels [n], P(fake) [n] and group numbers [n].

        Parameters
        ----------
        threshold : P(fake) at or above it is called fake.
        score : [n] what items are ranked by in ROC-AUC, average precision, EER and TPR at 1 % FPR; P(fake) for None.
            Calibrators of several folds shift P(fake) by fold, which would mix their scales in a ranking.
        """
        order = np.argsort(-(p_fake if score is None else score), kind="stable")
        y, p, codes = y[order], p_fake[order], codes[order]
        ranked = p if score is None else score[order]
        called = p >= threshold
        tp, fp, fn = called & (y == FAKE), called & (y == REAL), ~called & (y == FAKE)
        reverse = (1 - p >= threshold) == (y == FAKE)
        majority = y == (FAKE if 2 * y.sum() >= len(y) else REAL)
        n_groups = int(codes.max()) + 1
        columns = (np.ones(len(y)), tp, fp, fn, (p - y) ** 2, item_log_loss(y, p), reverse, majority)
        return cls(
            y=y,
            codes=codes,
            block_end=np.flatnonzero(np.diff(ranked, append=-np.inf)),
            sums=np.stack([np.bincount(codes, weights=c, minlength=n_groups) for c in columns], axis=1),
            gaps=_bin_gaps(y, p, codes, n_groups),
            undefined=_undefined(y),
        )

    def evaluate(self, group_weights: npt.NDArray[np.int64]) -> dict[str, Float64Array]:
        """Every metric under every weighting [B, G] of the groups: float64 [B] each, NaN where it is undefined."""
        n_block = max(1, BLOCK_CELLS // len(self.y))
        blocks = [self._curve_metrics(group_weights[s : s + n_block]) for s in range(0, len(group_weights), n_block)]
        out = self._sum_metrics(group_weights.astype(np.float64))
        for name in blocks[0]:
            out[name] = np.concatenate([b[name] for b in blocks])
        out["roc_auc_reversed"] = 1 - out["roc_auc"]
        return {name: out[name] for name in METRICS}

    def _sum_metrics(self, group_weights: Float64Array) -> dict[str, Float64Array]:
        n, tp, fp, fn, squared, loss, reverse, majority = (group_weights @ self.sums).T
        tn = n - tp - fp - fn
        with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is NaN: the class is absent
            # What each class alone is short of or in excess of its bins' P(fake), as if both had the same size.
            real_gap = (group_weights @ self.gaps[REAL]) / (tn + fp)[:, None]  # [B, n_bins]
            fake_gap = (group_weights @ self.gaps[FAKE]) / (tp + fn)[:, None]
            return {
                "accuracy": (tp + tn) / n,
                "balanced_accuracy": (tp / (tp + fn) + tn / (tn + fp)) / 2,
                "recall": tp / (tp + fn),
                "specificity": tn / (tn + fp),
                "log_loss": loss / n,
                "brier": squared / n,
                "ece": np.abs(real_gap + fake_gap).sum(axis=1) / 2,
                "accuracy_over_majority": (tp + tn - majority) / n,
                "accuracy_reversed": reverse / n,
                "tp": tp,
                "fp": fp,
                "tn": tn,
                "fn": fn,
            }

    def _curve_metrics(self, group_weights: npt.NDArray[np.int64]) -> dict[str, Float64Array]:
        weights = group_weights[:, self.codes]  # [b, n]
        # Counts of fakes and reals at or above each distinct score, a zero first. [b, U + 1]
        fakes = _counts(weights * self.y, self.block_end)
        reals = _counts(weights * (1 - self.y), self.block_end)
        with np.errstate(invalid="ignore", divide="ignore"):
            tpr, fpr = fakes / fakes[:, -1:], reals / reals[:, -1:]
            precision = fakes[:, 1:] / np.maximum(fakes[:, 1:] + reals[:, 1:], 1)
            # The ROC's corners alone, no straight pieces: a threshold that exists. 1e-12 forgives rounding.
            low_fpr = np.where(fpr <= LOW_FPR + 1e-12, tpr, 0).max(axis=1)
            return {
                "roc_auc": (np.diff(fpr, axis=1) * (tpr[:, 1:] + tpr[:, :-1])).sum(axis=1) / 2,
                "average_precision": np.where(reals[:, -1] > 0, (np.diff(tpr, axis=1) * precision).sum(axis=1), np.nan),
                "eer": _equal_error_rate(fpr, tpr),
                "tpr_at_fpr_01": np.where(np.isfinite(tpr[:, -1] + fpr[:, -1]), low_fpr, np.nan),
            }


def item_log_loss(y: IntArray, p_fake: Float64Array) -> Float64Array:
    """Minus the log of the probability given to each item's true class, float64 [n]."""
    clipped = np.clip(p_fake, LOG_LOSS_EPS, 1 - LOG_LOSS_EPS)
    return -np.where(y == FAKE, np.log(clipped), np.log1p(-clipped))


def _undefined(y: IntArray) -> dict[str, str]:
    """Metric -> why labels [n] cannot give it."""
    n_real = int((y == REAL).sum())
    if n_real in (0, len(y)):
        return dict.fromkeys(set(METRICS) - COUNTS, f"only {'fake' if n_real == 0 else 'real'} items")
    if n_real < MIN_REALS_FOR_LOW_FPR:
        why = f"1 % of {n_real} reals is less than one: at least {MIN_REALS_FOR_LOW_FPR} are needed"
        return {"tpr_at_fpr_01": why}
    return {}


def _bin_gaps(y: IntArray, p_fake: Float64Array, codes: IntArray, n_groups: int) -> Float64Array:
    """Sums of y - P(fake) per class, group and bin of equally many items: float64 [2, G, n_bins]."""
    n_bins = int(np.clip(len(y) // MIN_ITEMS_PER_ECE_BIN, 1, MAX_ECE_BINS))
    edges = np.unique(np.quantile(p_fake, np.linspace(0, 1, n_bins + 1)[1:-1]))
    bins = np.searchsorted(edges, p_fake, side="right")  # equal P(fake), equal bin
    out = np.zeros((2, n_groups, len(edges) + 1))
    np.add.at(out, (y, codes, bins), y - p_fake)
    return out


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
