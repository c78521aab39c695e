"""Logistic regression pulled towards given weights instead of towards zero."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from classifiers.checks import Float32Array, Float64Array, IntArray
from classifiers.scaling import Standardiser

MAX_ITERATIONS = 500
GRADIENT_TOLERANCE = 1e-6


@dataclass(frozen=True)
class LinearStart:
    """A trained linear model: weights float32 [d] on features standardised by ``scaler``, and its intercept."""

    scaler: Standardiser
    coef: Float32Array
    intercept: float


@dataclass(frozen=True)
class Solution:
    """Change of the weights, float64 [r], and intercept."""

    change: Float64Array
    intercept: float
    converged: bool

    def logit(self, Z: Float32Array, offset: Float64Array | None) -> Float64Array:
        """Logits float64 [n] of rows [n, r] whose logits under the given weights are ``offset`` (None: 0)."""
        logit = (Z @ self.change).astype(np.float64) + self.intercept
        return np.asarray(logit if offset is None else logit + offset)


def solve_from(
    Z: Float32Array, y: IntArray, weights: Float64Array, offset: Float64Array, *, C: float, start: Solution
) -> Solution:
    """Minimise |v|^2 / 2 + C sum_i a_i log(1 + exp(-s_i (z_i v + o_i + b))) over v and b by L-BFGS.

    With o_i = z_i w0 this is L2 regularisation towards w0, written for the change v = w - w0, which lies in the span of
    the rows like any L2 solution: Z [n, r] may be the rows' coordinates in their own span.
    """
    sign = np.where(y == 1, 1.0, -1.0)
    rows = Z.astype(np.float64)

    def objective(x: Float64Array) -> tuple[float, Float64Array]:
        margin = sign * (rows @ x[:-1] + offset + x[-1])
        slope = -C * weights * sign * expit(-margin)  # [n], of the loss with respect to the logit
        value = 0.5 * float(x[:-1] @ x[:-1]) + C * float(weights @ np.logaddexp(0.0, -margin))
        return value, np.append(x[:-1] + rows.T @ slope, slope.sum())

    found = minimize(
        objective,
        np.append(start.change, start.intercept),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": MAX_ITERATIONS, "gtol": GRADIENT_TOLERANCE},
    )
    return Solution(np.asarray(found.x[:-1]), float(found.x[-1]), bool(found.success))
