"""The prior of fakes: from evidence to a decision, as LatentForensics' equations 1 and 2 have it.

P(fake) here speaks for material with as many fakes as reals, so P / (1 - P) is the likelihood ratio p_m(x) / p_g(x).
Where a share pi of the material is fake, the mean error J = (1 - pi) P(called fake | real) + pi P(called real | fake)
(equation 1) is least when what has p_m / p_g >= (1 - pi) / pi is called fake (equation 2); with unequal costs of a
false alarm and a miss, (1 - pi) and pi are weighed by them (Elkan 2001).
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from classifiers.checks import FAKE, REAL, Float64Array, IntArray, check_probabilities
from classifiers.metrics import item_log_loss

NEUTRAL_PRIOR = 0.5
AT_PRIOR = ("accuracy_at_prior", "cost_at_prior", "precision_at_prior", "recall_at_prior", "log_loss_at_prior")


def shift_prior(p_fake: npt.ArrayLike, *, to: float, of: float = NEUTRAL_PRIOR) -> Float64Array:
    """P(fake) float64 [n] where a share ``to`` is fake, from P(fake) [n] that speaks for a share ``of``.

    Bayes' rule: the odds are multiplied by the ratio of both priors' odds. 0 and 1 stay as they are.

    Raises
    ------
    ValueError
        P(fake) outside [0, 1], a share that is not between 0 and 1.
    """
    p = check_probabilities(p_fake)
    _check_share(of)
    _check_share(to)
    fake, real = p * to / of, (1 - p) * (1 - to) / (1 - of)
    return fake / (fake + real)


def fake_threshold(*, prior_fake: float, cost_false_alarm: float = 1.0, cost_miss: float = 1.0) -> float:
    """P(fake) (for equal priors) at and above which calling an item fake costs least.

    With equal costs it is 1 - ``prior_fake``: where 1 in 100 is fake, evidence must be 99 to 1.

    Raises
    ------
    ValueError
        A share that is not between 0 and 1, a cost that is not above 0.
    """
    _check_share(prior_fake)
    if not (0 < cost_false_alarm < np.inf and 0 < cost_miss < np.inf):
        raise ValueError(f"Expected costs above 0, got {cost_false_alarm:g} (false alarm) and {cost_miss:g} (miss).")
    needed = cost_false_alarm * (1 - prior_fake)
    return needed / (needed + cost_miss * prior_fake)


def _check_share(share: float) -> None:
    if not 0 < share < 1:
        raise ValueError(f"Expected a share of fakes between 0 and 1, got {share:g}.")


@dataclass(frozen=True)
class AtPrior:
    """What decisions are worth where a share ``prior_fake`` is fake, whatever the share among the items measured.

    Everything is put together from the rates within each class, which do not depend on how many of each were measured.
    """

    prior_fake: float
    cost_false_alarm: float
    cost_miss: float
    sums: Float64Array  # [G, 6] per group: reals, fakes, false alarms, misses, log-loss of reals, of fakes
    undefined: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        y: IntArray,
        p_fake: Float64Array,
        codes: IntArray,
        *,
        prior_fake: float | None,
        cost_false_alarm: float = 1.0,
        cost_miss: float = 1.0,
    ) -> AtPrior:
        """Labels [n], P(fake) [n] for equal priors and group numbers [n]; ``prior_fake`` None: the share in ``y``."""
        share = float(y.mean()) if prior_fake is None else prior_fake
        if share in (0.0, 1.0):  # one class: every metric below is 0 / 0, the caller says why
            share = NEUTRAL_PRIOR
        threshold = fake_threshold(prior_fake=share, cost_false_alarm=cost_false_alarm, cost_miss=cost_miss)
        real, called = y == REAL, p_fake >= threshold
        loss = item_log_loss(y, shift_prior(p_fake, to=share))
        columns = (real, ~real, real & called, ~real & ~called, loss * real, loss * ~real)
        n_groups = int(codes.max()) + 1
        sums = np.stack([np.bincount(codes, weights=c, minlength=n_groups) for c in columns], axis=1).astype(np.float64)
        undefined: dict[str, str] = {}
        if len(np.unique(y)) < 2:
            undefined = dict.fromkeys(AT_PRIOR, f"only {'fake' if y[0] == FAKE else 'real'} items")
        elif not called.any():
            undefined = {"precision_at_prior": f"nothing is called fake from P(fake) = {threshold:.3g} on"}
        return cls(share, cost_false_alarm, cost_miss, sums, undefined)

    def evaluate(self, group_weights: npt.NDArray[np.int64]) -> dict[str, Float64Array]:
        """``AT_PRIOR`` under every weighting [B, G]: float64 [B] each, NaN where it is undefined."""
        reals, fakes, alarms, misses, real_loss, fake_loss = (group_weights.astype(np.float64) @ self.sums).T
        real, fake = 1 - self.prior_fake, self.prior_fake
        with np.errstate(invalid="ignore", divide="ignore"):  # a class is absent, or nothing is called fake
            false_alarm, miss = real * alarms / reals, fake * misses / fakes
            return {
                "accuracy_at_prior": 1 - false_alarm - miss,
                "cost_at_prior": self.cost_false_alarm * false_alarm + self.cost_miss * miss,
                "precision_at_prior": (fake - miss) / (fake - miss + false_alarm),
                "recall_at_prior": 1 - misses / fakes,
                "log_loss_at_prior": real * real_loss / reals + fake * fake_loss / fakes,
            }
