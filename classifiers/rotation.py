"""An exact short-cut for linear layers with an L2 penalty and fewer rows than features."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from classifiers.checks import Float32Array, Float64Array

# Above this many rows the decomposition of the Gram matrix costs more than it saves.
MAX_ROWS_TO_ROTATE = 4_000
GRAM_CHUNK_COLUMNS = 2_048


@dataclass(frozen=True)
class Rotation:
    """Rows in an orthonormal basis of their own span: Z [n, r] with r <= n, and how to carry weights back.

    An L2 penalty does not see a rotation, and the best weights lie in the span of the rows, so a fit on Z equals a fit
    on the rows themselves at a fraction of the cost when n < d.
    """

    Z: Float32Array
    basis: Float64Array  # [n, r]: weights on features = rows.T @ (basis @ weights on Z)

    @staticmethod
    def pays(n: int, d: int) -> bool:
        """Whether `of` would rotate n rows of d features."""
        return n < d and n <= MAX_ROWS_TO_ROTATE

    @classmethod
    def of(cls, rows: Float32Array) -> Rotation | None:
        """The rotation of rows [n, d], or None where it would not pay (n >= d, or very many rows)."""
        n, d = rows.shape
        if not cls.pays(n, d):
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
