"""Whether channels are ranked alike by other seeds, other folds and other methods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from classifiers.bootstrap import interval
from classifiers.checks import Float64Array
from classifiers.importance import ImportanceRow
from classifiers.ranks import mean_ranks

MIN_CHANNELS = 3


@dataclass(frozen=True)
class AgreementRow:
    """Mean Spearman correlation over ``n_pairs`` pairs of rankings, with its interval over draws of groups."""

    kind: str
    first: str
    second: str
    spearman: float
    ci_low: float
    ci_high: float
    n_pairs: int
    reason: str | None = None


def stability(method: str, rows: Sequence[ImportanceRow], *, n_groups: int) -> list[AgreementRow]:
    """Agreement of one method with itself over seeds (repeats) and over folds; ``rows``: one per channel."""
    values = np.array([row.values for row in rows]).T  # [R, C]
    draws = np.stack([row.repeats.draws for row in rows if row.repeats], axis=-1)  # [R, B, C]
    folds = np.stack([row.repeats.folds for row in rows if row.repeats], axis=-1)  # [R, F, C]
    pairs = list(combinations(range(len(values)), 2))
    seeds = _row("seeds", method, method, values, draws, pairs, n_groups)
    of_folds = [_mean_pairs(f) for f in folds]
    known = [r for r in of_folds if np.isfinite(r)]
    n_pairs = len(known) * folds.shape[1] * (folds.shape[1] - 1) // 2
    reason = "folds are the repetition: no interval" if known else "no two folds can be compared"
    mean = float(np.mean(known)) if known else np.nan
    return [seeds, AgreementRow("folds", method, method, mean, np.nan, np.nan, n_pairs, reason)]


def agreement(
    first: tuple[str, Sequence[ImportanceRow]], second: tuple[str, Sequence[ImportanceRow]], *, n_groups: int
) -> AgreementRow:
    """Rank correlation of two methods' values over channels; both rows in the order of channels."""
    means = np.stack([[row.value for row in rows] for _, rows in (first, second)])  # [2, C]
    drawn = [
        np.stack([r.repeats.draws.mean(axis=0) for r in rows if r.repeats], axis=-1) for _, rows in (first, second)
    ]
    n_draws = min(len(d) for d in drawn)  # draws of equal seed begin alike, so they stay paired
    return _row("methods", first[0], second[0], means, np.stack([d[:n_draws] for d in drawn]), [(0, 1)], n_groups)


def _row(
    kind: str,
    first: str,
    second: str,
    values: Float64Array,
    draws: Float64Array,
    pairs: list[tuple[int, int]],
    n_groups: int,
) -> AgreementRow:
    """``values`` [K, C] rankings, ``draws`` [K, B, C] the same over draws of groups."""
    if not pairs or values.shape[1] < MIN_CHANNELS:
        reason = "one repeat only" if not pairs else f"fewer than {MIN_CHANNELS} channels"
        return AgreementRow(kind, first, second, np.nan, np.nan, np.nan, len(pairs), reason)
    value = float(np.mean([spearman(values[a], values[b]) for a, b in pairs]))
    drawn = np.mean([spearman(draws[a], draws[b]) for a, b in pairs], axis=0)
    low, high, _, limit = interval(np.asarray(drawn, dtype=np.float64), n_groups=n_groups)
    if np.isnan(value):
        limit = "all channels have the same value"
    return AgreementRow(kind, first, second, value, low, high, len(pairs), limit)


def _mean_pairs(values: Float64Array) -> float:
    """Mean rank correlation over pairs of rows [F, C] without NaN; NaN where there is no pair."""
    rows = values[np.isfinite(values).all(axis=1)]
    if len(rows) < 2 or rows.shape[1] < MIN_CHANNELS:
        return float("nan")
    return float(np.mean([spearman(a, b) for a, b in combinations(rows, 2)]))


def spearman(a: Float64Array, b: Float64Array) -> Float64Array:
    """Rank correlation along the last axis, ties at their mean rank; NaN where a side is constant or holds NaN."""
    known = np.isfinite(a).all(axis=-1) & np.isfinite(b).all(axis=-1)
    x, y = (mean_ranks(np.moveaxis(v, -1, 0)) for v in (a, b))
    x, y = (r - r.mean(axis=0) for r in (x, y))
    length = np.sqrt((x**2).sum(axis=0) * (y**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(known, (x * y).sum(axis=0) / length, np.nan))
