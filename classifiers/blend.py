"""From scores of unknown scale to P(fake): a logistic function of one score (Platt) or of several (stacking)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from classifiers.checks import FAKE, REAL, Float64Array, IntArray


@dataclass(frozen=True)
class Blend:
    """P(fake) = 1 / (1 + exp(-(scores . slopes + offset))); slopes float64 [m], none below 0."""

    slopes: Float64Array
    offset: float

    def apply(self, scores: npt.NDArray[np.floating]) -> Float64Array:
        """P(fake) float64 [n] of scores [n, m] (or [n] where m is 1)."""
        return expit(np.reshape(scores, (len(scores), -1)).astype(np.float64) @ self.slopes + self.offset)

    @property
    def is_blind(self) -> bool:
        """Whether the answer is the same for every item, because no score told anything."""
        return not self.slopes.any()


def fit_blend(scores: npt.NDArray[np.floating], y: IntArray, weights: Float64Array) -> Blend:
    """Fit slopes and offset by weighted maximum likelihood.

    Parameters
    ----------
    scores : [n, m] or [n], of items that the scores' makers were not trained on: else they look too sure.
    y : int64 [n], both classes.
    weights : float64 [n].

    Returns
    -------
    A blend whose slopes are at least 0 (Breiman 1996, "Stacked regressions"): a score that runs the wrong way on
    held-out items is left out, not turned round. Targets are Platt's (1999) (n1 + 1) / (n1 + 2) and 1 / (n0 + 2), so
    that scores which part the classes do not lead to certainty.
    """
    F = np.reshape(scores, (len(scores), -1)).astype(np.float64)
    middle = np.average(F, axis=0, weights=weights)
    spread = np.sqrt(np.average((F - middle) ** 2, axis=0, weights=weights))
    spread[spread <= 1e-12 * np.abs(middle)] = np.inf  # a constant score tells nothing
    Z = (F - middle) / spread
    n = [int((y == c).sum()) for c in (REAL, FAKE)]
    target = np.where(y == FAKE, (n[FAKE] + 1) / (n[FAKE] + 2), 1 / (n[REAL] + 2))
    share = weights / weights.sum()

    def loss(theta: Float64Array) -> tuple[float, Float64Array]:
        logit = Z @ theta[:-1] + theta[-1]
        pull = share * (expit(logit) - target)
        return float(share @ (np.logaddexp(0, logit) - target * logit)), np.append(Z.T @ pull, pull.sum())

    m = F.shape[1]
    bounds = [(0.0, None)] * m + [(None, None)]
    found = minimize(loss, np.zeros(m + 1), jac=True, method="L-BFGS-B", bounds=bounds, options={"gtol": 1e-8})
    slopes = found.x[:-1] / spread
    return Blend(slopes, float(found.x[-1] - slopes @ middle))
