"""Standardisation fitted on training rows only, in float32 without a hidden float64 copy of a big matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from classifiers.checks import CHUNK_ROWS, Float32Array, IntArray


@dataclass(frozen=True)
class Standardiser:
    """``(x - mean) / scale`` per feature; both float32 [d], scale is 1 where a feature is constant."""

    mean: Float32Array
    scale: Float32Array

    @classmethod
    def fit(cls, X: Float32Array, *, rows: IntArray | None = None) -> Standardiser:
        """Population mean and deviation of the given rows (all for None), summed in float64 chunk by chunk.

        Two passes, so that large means do not cancel the deviation.
        """
        index = np.arange(len(X)) if rows is None else rows
        chunks = [index[s : s + CHUNK_ROWS] for s in range(0, len(index), CHUNK_ROWS)]
        mean = sum(X[c].sum(axis=0, dtype=np.float64) for c in chunks) / len(index)
        squares = np.zeros(X.shape[1])
        for c in chunks:
            centred = X[c] - mean  # float64, one chunk at a time
            squares += np.einsum("nd,nd->d", centred, centred)
        deviation = np.sqrt(squares / len(index))
        # A constant feature's deviation is rounding of its mean, which must not be blown up to 1.
        constant = deviation <= 10 * np.finfo(np.float32).eps * np.abs(mean)
        scale = np.where(constant | (deviation == 0), 1.0, deviation)
        return cls(mean=np.asarray(mean, dtype=np.float32), scale=scale.astype(np.float32))

    def apply(self, X: Float32Array) -> Float32Array:
        """Standardised copy, float32 [n, d]."""
        out = X - self.mean
        out /= self.scale
        return out
