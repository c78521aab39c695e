"""What a threshold costs: arrays of labels and P(fake) in, rates and expected costs out. Pure numpy.

The dashboard does not load the package `classifiers`; a test holds these against `classifiers.prior` and
`classifiers.risk`, where the sources are named.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PER_ITEMS = 1000  # costs are stated per so many clips
N_BOOT = 1000
Floats = NDArray[np.float64]
_SAME = 1e-12  # P(fake) that differs by less counts as equally sure


@dataclass(frozen=True)
class Terms:
    """Where a model is to be used: share of fakes (between 0 and 1) and costs (above 0) of both kinds of error."""

    prior_fake: float
    cost_false_alarm: float
    cost_miss: float

    @property
    def threshold(self) -> float:
        """P(fake) for equal shares at and above which calling an item fake costs least (Elkan 2001)."""
        needed = self.cost_false_alarm * (1 - self.prior_fake)
        return needed / (needed + self.cost_miss * self.prior_fake)

    @property
    def cost_all_fake(self) -> float:
        """Expected cost of `PER_ITEMS` items where everything is called fake."""
        return PER_ITEMS * (1 - self.prior_fake) * self.cost_false_alarm

    @property
    def cost_all_real(self) -> float:
        """Expected cost of `PER_ITEMS` items where everything is called real."""
        return PER_ITEMS * self.prior_fake * self.cost_miss

    def cost(self, false_alarm_rate: Floats, miss_rate: Floats) -> Floats:
        """Expected cost of `PER_ITEMS` items from the share of reals called fake and of fakes called real."""
        return self.cost_all_fake * false_alarm_rate + self.cost_all_real * miss_rate


def shift_prior(p_fake: Floats, *, to: float) -> Floats:
    """P(fake) [n] where a share ``to`` is fake, from P(fake) [n] that speaks for equal shares (Bayes' rule)."""
    fake, real = p_fake * to, (1 - p_fake) * (1 - to)
    return fake / (fake + real)


def rates(label: NDArray[np.int64], p_fake: Floats, thresholds: Floats) -> tuple[Floats, Floats]:
    """Share of reals called fake, and of fakes called real, at each threshold; NaN where a class is missing.

    Parameters
    ----------
    label : [n] 0 real, 1 fake
    p_fake : [n]; ``p_fake >= threshold`` is called fake
    thresholds : [k]

    Returns
    -------
    (false_alarm_rate [k], miss_rate [k]) float64 in [0, 1]
    """
    real, fake = np.sort(p_fake[label == 0]), np.sort(p_fake[label == 1])
    with np.errstate(invalid="ignore"):  # a class is missing
        alarms = (len(real) - np.searchsorted(real, thresholds, side="left")) / np.float64(len(real))
        misses = np.searchsorted(fake, thresholds, side="left") / np.float64(len(fake))
    return alarms, misses


def cost_interval(
    label: NDArray[np.int64], p_fake: Floats, groups: NDArray[np.object_], *, threshold: float, terms: Terms
) -> tuple[float, float] | None:
    """95 % interval of the cost over draws of whole source groups; None for fewer than two groups or one class.

    Draws that lack a class are left out.
    """
    codes, n_groups = np.unique(groups, return_inverse=True)[1], len(np.unique(groups))
    if n_groups < 2 or len(np.unique(label)) < 2:
        return None
    called = p_fake >= threshold
    columns = (label == 0, label == 1, (label == 0) & called, (label == 1) & ~called)
    sums = np.stack([np.bincount(codes, weights=c, minlength=n_groups) for c in columns], axis=1)  # [G, 4]
    drawn = np.random.default_rng(0).multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=N_BOOT)
    reals, fakes, alarms, misses = (drawn @ sums).T
    whole = (reals > 0) & (fakes > 0)
    costs = terms.cost(alarms[whole] / reals[whole], misses[whole] / fakes[whole])
    low, high = np.quantile(costs, [0.025, 0.975])
    return float(low), float(high)


def risk_coverage(label: NDArray[np.int64], p_fake: Floats) -> tuple[Floats, Floats]:
    """Share of items answered, surest first, and share of these answered wrongly at 0.5; float64 [k] each, n above 0.

    Equally sure items are answered together.
    """
    sure = np.abs(p_fake - 0.5)
    order = np.argsort(-sure, kind="stable")
    block_end = np.flatnonzero(np.diff(sure[order], append=-1.0) < -_SAME)
    wrong = ((p_fake >= 0.5) != (label == 1))[order]
    answered = block_end + 1
    return answered / len(p_fake), np.cumsum(wrong)[block_end] / answered
