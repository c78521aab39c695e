"""Significance of many comparisons at once: p-values from bootstrap deviations, and Holm's correction."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import stdtr

from classifiers.checks import Float64Array

# A bootstrap that never moves shows no uncertainty, not certainty: differences are held against at least this.
MIN_DEVIATION = 1e-3


def t_p_value(difference: float, deviation: float, *, n_groups: int, two_sided: bool = True) -> float:
    """P-value of a difference whose deviation was found by drawing groups, after Student's t with n_groups - 1.

    Counting draws beyond zero cannot give a p-value below 2 / n_boot, which no correction for many slices survives;
    a t statistic with the bootstrap's deviation can, and its few degrees of freedom keep it honest with few groups.

    Parameters
    ----------
    difference : value that is 0 where there is nothing; one-sided: larger is more.
    deviation : standard deviation of it over draws of groups.
    n_groups : groups behind it; below 2 there is no p-value.

    Returns
    -------
    float in [0, 1], NaN where there is none.
    """
    if n_groups < 2 or not np.isfinite(difference) or not np.isfinite(deviation):
        return float("nan")
    t = difference / max(deviation, MIN_DEVIATION)
    return float(2 * stdtr(n_groups - 1, -abs(t)) if two_sided else stdtr(n_groups - 1, -t))


def holm(p_values: npt.ArrayLike) -> Float64Array:
    """Holm's step-down correction: float64 [n]; NaN stays NaN and is not counted among the comparisons.

    Rejecting where the result is below 0.05 keeps the chance of any false alarm among all comparisons below 5 %,
    whatever their dependence (S. Holm, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal
    of Statistics 6, 1979).

    Raises
    ------
    ValueError
        Not [n], or a value outside [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or (p < 0).any() or (p > 1).any():
        raise ValueError(f"Expected p-values [n] in [0, 1], got shape {p.shape}.")
    corrected = np.full(len(p), np.nan)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    steps = p[order] * np.arange(len(order), 0, -1)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return corrected
