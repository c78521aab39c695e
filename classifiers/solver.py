"""L2-regularised logistic regression: the minimiser, and an exact short-cut for fewer rows than features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from classifiers.checks import Float32Array, Float64Array, IntArray

# Above this many rows the decomposition of the Gram matrix costs more than it saves.
MAX_ROWS_TO_ROTATE = 4_000
GRAM_CHUNK_COLUMNS = 2_048
MAX_ITERATIONS = 500
GRADIENT_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Solution:
    """Weights [d] and intercept of the logit; ``converged`` False when the iterations ran out."""

    coef: Float64Array
    intercept: float
    converged: bool


def fit_l2(Z: Float32Array, y: IntArray, weights: Float64Array, *, C: float, start: Solution | None = None) -> Solution:
    """Minimise ``|w|^2 / 2 + C sum_i weights_i log(1 + exp(-s_i (z_i w + b)))`` with s = +1 for fake, -1 for real.

    The objective and C are scikit-learn's ``LogisticRegression`` (intercept not penalised). L-BFGS; products with Z
    stay in Z's dtype, sums and the iterate are float64.

    Parameters
    ----------
    Z : [n, d]; y : [n] in {0, 1}; weights : [n], not negative.
    start : where to begin, for a path over C.
    """
    total = weights.sum()
    strength = 1.0 / (C * total)  # the whole objective is divided by C * total, so that its gradient is of order 1

    def objective(theta: Float64Array) -> tuple[float, Float64Array]:
        w, b = theta[:-1], theta[-1]
        logit = (Z @ w.astype(Z.dtype)).astype(np.float64) + b
        loss = np.dot(weights, np.logaddexp(0.0, logit) - y * logit) / total
        residual = weights * (expit(logit) - y) / total
        gradient = np.empty_like(theta)
        gradient[:-1] = residual.astype(Z.dtype) @ Z + strength * w
        gradient[-1] = residual.sum()
        return float(loss + 0.5 * strength * np.dot(w, w)), gradient

    theta0 = np.zeros(Z.shape[1] + 1) if start is None else np.append(start.coef, start.intercept)
    options = {"maxiter": MAX_ITERATIONS, "gtol": GRADIENT_TOLERANCE, "ftol": 1e-10, "maxcor": 20}
    result = minimize(objective, theta0, jac=True, method="L-BFGS-B", options=options)
    # Status 2 is a line search stopped by float32 rounding, which happens at the minimum only.
    flat = float(np.abs(result.jac).max()) < 100 * GRADIENT_TOLERANCE
    return Solution(result.x[:-1], float(result.x[-1]), bool(result.success or (result.status == 2 and flat)))


@dataclass(frozen=True)
class Rotation:
    """Rows in an orthonormal basis of their own span: Z [n, r] with r <= n, and how to carry weights back.

    An L2 penalty does not see a rotation, and the best weights lie in the span of the rows, so a fit on Z equals a fit
    on the rows themselves at a fraction of the cost when n < d.
    """

    Z: Float32Array
    basis: Float64Array  # [n, r]: weights on features = rows.T @ (basis @ weights on Z)

    @classmethod
    def of(cls, rows: Float32Array) -> Rotation | None:
        """The rotation of rows [n, d], or None where it would not pay (n >= d, or very many rows)."""
        n, d = rows.shape
        if n >= d or n > MAX_ROWS_TO_ROTATE:
            return None
        gram = np.zeros((n, n))
        for s in range(0, d, GRAM_CHUNK_COLUMNS):
            block = rows[:, s : s + GRAM_CHUNK_COLUMNS].astype(np.float64)
            gram += block @ block.T
        values, vectors = np.linalg.eigh(gram)
        keep = values > 1e-10 * max(float(values[-1]), np.finfo(np.float64).tiny)
        if not keep.any():  # all rows are equal: nothing to separate
            return cls(np.zeros((n, 1), dtype=np.float32), np.zeros((n, 1)))
        length = np.sqrt(values[keep])
        return cls((vectors[:, keep] * length).astype(np.float32), vectors[:, keep] / length)

    def to_features(self, coef: Float64Array, rows: Float32Array) -> Float64Array:
        """Weights on the d features from weights [r] on Z."""
        return ((self.basis @ coef).astype(np.float32) @ rows).astype(np.float64)
