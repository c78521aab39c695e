"""Who is failed: errors, ranking and any per-item number inside a slice of the material, and against the rest.

Groups are drawn with replacement once, and every slice and its rest are measured on the same draws, so a group that
stands in both counts in both. The rest's error rate is standardised to the slice's mix of classes: a slice with more
fakes than the rest would otherwise differ for that alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.bootstrap import draw_groups, interval
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
from classifiers.holm import t_p_value
from classifiers.metrics import DEFAULT_THRESHOLD, Scores

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class SliceRow:
    """One measure of one slice; NaN where it cannot be had, with the reason.

    Attributes
    ----------
    value, ci_low, ci_high : inside the slice, with its interval.
    rest : the same outside, for error rates at the slice's mix of classes.
    difference, diff_low, diff_high, p_value : value - rest, with interval and two-sided p-value (not corrected).
    n_items, n_groups : inside the slice.
    """

    measure: str
    value: float
    ci_low: float = np.nan
    ci_high: float = np.nan
    rest: float = np.nan
    difference: float = np.nan
    diff_low: float = np.nan
    diff_high: float = np.nan
    p_value: float = np.nan
    n_items: int = 0
    n_groups: int = 0
    reason: str | None = None


class Slicer:
    """Measures slices of items that belong to groups, all on the same draws of groups."""

    def __init__(self, groups: Groups, *, n_boot: int, seed: int, min_groups: int = 5) -> None:
        """``groups`` [n]; slices (or rests) of fewer than ``min_groups`` groups are measured but not compared."""
        self.codes, names = group_codes(groups)
        self.n_groups = len(names)
        self.min_groups = min_groups
        self.weights = draw_groups(self.n_groups, n_boot=n_boot, rng=np.random.default_rng(seed))  # int64 [B, G]
        self._drawn = self.weights.astype(np.float64)

    def scores(
        self,
        y: npt.ArrayLike,
        p_fake: npt.ArrayLike,
        inside: Mask,
        *,
        score: npt.ArrayLike | None = None,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> list[SliceRow]:
        """``error_rate`` (compared with the rest), ``balanced_accuracy`` and ``roc_auc`` of one slice.

        Parameters
        ----------
        y, p_fake : [n] labels and P(fake); P(fake) at or above ``threshold`` is called fake.
        inside : bool [n], true for at least one item.
        score : [n] in [0, 1], what ``roc_auc`` ranks items by; None: ``p_fake``.
        """
        labels = check_labels(y, n=len(self.codes))
        p = check_probabilities(p_fake, n=len(labels))
        ranked = p if score is None else check_probabilities(score, n=len(labels))
        inside = self._checked(inside)
        wrong = (p >= threshold) != (labels == FAKE)
        here, rest = (self._counts(labels, wrong, mask) for mask in (inside, ~inside))
        rows = [self._compare("error_rate", _rate(here), _rate_like(rest, here), inside)]
        balanced = self._plain("balanced_accuracy", _balanced(here), inside)
        codes = np.unique(self.codes[inside], return_inverse=True)[1].astype(np.int64)
        if len(np.unique(labels[inside])) < 2:
            only = "fake" if labels[inside][0] == FAKE else "real"
            empty = {"n_items": balanced.n_items, "n_groups": balanced.n_groups, "reason": f"only {only} items"}
            return [*rows, *(SliceRow(m, np.nan, **empty) for m in ("balanced_accuracy", "roc_auc"))]  # type: ignore[arg-type]
        curve = Scores.of(labels[inside], ranked[inside], codes)
        columns = np.unique(self.codes[inside])
        ones = np.ones((1, len(columns)), dtype=np.int64)
        auc = np.concatenate([curve.evaluate(w)["roc_auc"] for w in (ones, self.weights[:, columns])])
        return [*rows, balanced, self._plain("roc_auc", auc, inside)]

    def mean(self, measure: str, values: npt.ArrayLike, inside: Mask) -> SliceRow:
        """Mean of finite per-item numbers [n] (coverage, reconstruction error) in a slice, compared with the rest."""
        numbers = np.asarray(values, dtype=np.float64)
        if numbers.shape != self.codes.shape or not np.isfinite(numbers).all():
            raise ValueError(f"Expected finite values of shape [{len(self.codes)}], got shape {numbers.shape}.")
        inside = self._checked(inside)
        here, rest = (self._sums(mask, [np.ones(len(numbers)), numbers]) for mask in (inside, ~inside))
        with np.errstate(invalid="ignore", divide="ignore"):  # 0 / 0 is NaN: a draw without the slice
            return self._compare(measure, here[:, 1] / here[:, 0], rest[:, 1] / rest[:, 0], inside)

    def _checked(self, inside: Mask) -> Mask:
        mask = np.asarray(inside)
        if mask.shape != self.codes.shape or mask.dtype != np.bool_ or not mask.any():
            raise ValueError(f"Expected a mask bool [{len(self.codes)}] with at least one true value.")
        return mask

    def _sums(self, mask: Mask, columns: list[Float64Array]) -> Float64Array:
        """Sums over the masked items as measured (row 0) and under each draw: float64 [1 + B, k]."""
        kept = [np.bincount(self.codes, weights=np.where(mask, c, 0.0), minlength=self.n_groups) for c in columns]
        per_group = np.stack(kept, axis=1)  # [G, k]
        return np.concatenate([per_group.sum(axis=0, keepdims=True), self._drawn @ per_group])

    def _counts(self, y: IntArray, wrong: Mask, mask: Mask) -> Float64Array:
        """Reals, fakes, wrong reals, wrong fakes: float64 [1 + B, 4]."""
        classes = [(y == c).astype(np.float64) for c in (REAL, FAKE)]
        return self._sums(mask, [*classes, *(c * wrong for c in classes)])

    def _groups_in(self, mask: Mask) -> int:
        return len(np.unique(self.codes[mask]))

    def _plain(self, measure: str, values: Float64Array, inside: Mask) -> SliceRow:
        """A row without comparison, from the value and its draws [1 + B]."""
        n_groups = self._groups_in(inside)
        low, high, _, reason = interval(values[1:], n_groups=n_groups)
        return SliceRow(
            measure, float(values[0]), low, high, n_items=int(inside.sum()), n_groups=n_groups, reason=reason
        )

    def _compare(self, measure: str, values: Float64Array, rests: Float64Array, inside: Mask) -> SliceRow:
        row = self._plain(measure, values, inside)
        if inside.all():
            return _with(row, reason="every item is in this slice: there is no rest")
        if not np.isfinite(rests[0]):
            return _with(row, reason="the rest lacks a class that this slice holds")
        n_groups = min(row.n_groups, self._groups_in(~inside))
        if n_groups < self.min_groups:
            return _with(row, rest=float(rests[0]), reason=f"not compared: below {self.min_groups} source groups")
        gaps = values - rests
        low, high, _, _ = interval(gaps[1:], n_groups=n_groups)
        deviation = float(np.nanstd(gaps[1:]))
        p_value = t_p_value(float(gaps[0]), deviation, n_groups=n_groups)
        return _with(
            row, rest=float(rests[0]), difference=float(gaps[0]), diff_low=low, diff_high=high, p_value=p_value
        )


def _with(row: SliceRow, **changes: Any) -> SliceRow:
    return replace(row, **changes)


def _rate(counts: Float64Array) -> Float64Array:
    """Share of wrong items, float64 [1 + B]; NaN where a draw holds none."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return counts[:, 2:].sum(axis=1) / counts[:, :2].sum(axis=1)


def _balanced(counts: Float64Array) -> Float64Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - (counts[:, 2:] / counts[:, :2]).mean(axis=1)


def _rate_like(rest: Float64Array, here: Float64Array) -> Float64Array:
    """The rest's share of wrong items if its classes were mixed as in the slice; NaN where it lacks one of them."""
    with np.errstate(invalid="ignore", divide="ignore"):
        mix = here[:, :2] / here[:, :2].sum(axis=1, keepdims=True)  # [1 + B, 2]
        rate = rest[:, 2:] / rest[:, :2]
    return np.where(mix > 0, mix * rate, np.where(np.isnan(mix), np.nan, 0.0)).sum(axis=1)
