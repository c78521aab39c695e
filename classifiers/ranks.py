"""Ranks with ties at their mean, many columns at once. (scipy.stats has them too; importing it costs over a second.)"""

from __future__ import annotations

import numpy as np

from classifiers.checks import Float64Array


def mean_ranks(values: Float64Array) -> Float64Array:
    """Ranks from 1 along the first axis, equal values at the mean of their ranks: float64, same shape.

    Where a column holds NaN, its ranks mean nothing: check before.
    """
    n = len(values)
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    place = np.arange(n).reshape(-1, *[1] * (values.ndim - 1))
    starts = np.ones(ordered.shape, dtype=bool)
    starts[1:] = ordered[1:] != ordered[:-1]
    ends = np.ones(ordered.shape, dtype=bool)
    ends[:-1] = starts[1:]
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=0)
    last = np.minimum.accumulate(np.where(ends, place, n)[::-1], axis=0)[::-1]
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, (first + last) / 2 + 1, axis=0)
    return ranks
