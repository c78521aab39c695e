"""Standardisation fitted on training rows only, in float32 without a hidden float64 copy of a big matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from classifiers.checks import CHUNK_ROWS, Float32Array, IntArray


@dataclass(frozen=True)
class Standardiser:
    """``(x - mean) / scale`` per feature; both float32 [d], scale is 1 where a feature is constant."""

    mean: Float32Array
    scale: Float32Array

    @classmethod
    def fit(cls, X: Float32Array, *, rows: IntArray | None = None, blocks: Sequence[int] = ()) -> Standardiser:
        """Population mean and deviation of the given rows (all for None), summed in float64 chunk by chunk.

        Two passes, so that large means do not cancel the deviation.

        Parameters
        ----------
        blocks
            Widths of the parts that X is made of. Where there are several, each gets a total variance in proportion to
            sqrt(d_b), halfway (as a geometric mean) between leaving features as they are, where a long part drowns a
            short one under an L2 penalty or in a distance, and the same say for every part (multiple factor analysis'
            idea, Escofier and Pages 1994), where a short one crowds a long one out. The total stays d. Figures for all
            three: docs/decisions.md.

        Raises
        ------
        ValueError
            Widths that do not add up to the number of features.
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
        scale = np.where(constant | (deviation == 0), 1.0, deviation) / block_weights(blocks, n_features=X.shape[1])
        return cls(mean=np.asarray(mean, dtype=np.float32), scale=scale.astype(np.float32))

    def apply(self, X: Float32Array, *, out: Float32Array | None = None) -> Float32Array:
        """Standardised copy, float32 [n, d]; with ``out=X`` in X's own memory."""
        out = np.subtract(X, self.mean, out=out)
        out /= self.scale
        return out


def block_weights(blocks: Sequence[int], *, n_features: int) -> np.ndarray:
    """Factor per feature, float64 [d], that makes a part's total variance go with the root of its width; else ones."""
    if len(blocks) < 2:
        return np.ones(n_features)
    if sum(blocks) != n_features or min(blocks) < 1:
        raise ValueError(f"Expected parts that add up to {n_features} features, got {'+'.join(map(str, blocks))}.")
    widths = np.asarray(blocks, dtype=np.float64)
    shares = np.sqrt(widths) / np.sqrt(widths).sum()
    return np.repeat(np.sqrt(n_features * shares / widths), blocks)
