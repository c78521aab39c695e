"""Abstention: what answering only where P(fake) is far from 0.5 saves in errors (selective classification).

Coverage is the share of items that get an answer, selective risk the share of wrong answers among these. Answering the
surest items first gives the risk-coverage curve; AURC is its mean height, least where errors have the least sure
answers (El-Yaniv and Wiener 2010; Geifman, Uziel and El-Yaniv 2019). Where sureness says nothing about errors, AURC is
the error rate.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from classifiers.checks import FAKE, Float64Array, IntArray, check_labels, check_probabilities
from classifiers.metrics import BLOCK_CELLS, DEFAULT_THRESHOLD

ABSTENTION = ("band_coverage", "band_risk", "aurc")
# P(fake) that differs by less counts as equally sure: |0.3 - 0.5| and |0.7 - 0.5| are not equal in binary.
_SAME = 1e-12


@dataclass(frozen=True)
class RiskCoverage:
    """The curve: share of items answered, and share of these answered wrongly; float64 [U], surest first."""

    coverage: Float64Array
    risk: Float64Array
    aurc: float


def risk_coverage(y: npt.ArrayLike, p_fake: npt.ArrayLike) -> RiskCoverage:
    """The risk-coverage curve of labels [n] and P(fake) [n]; equally sure items are answered together.

    Raises
    ------
    ValueError
        No items, labels besides 0 and 1, P(fake) outside [0, 1].
    """
    labels = check_labels(y)
    p = check_probabilities(p_fake, n=len(labels))
    if not len(labels):
        raise ValueError("A risk-coverage curve needs at least one item, got none.")
    order, block_end = _by_sureness(p)
    wrong = ((p >= DEFAULT_THRESHOLD) != (labels == FAKE))[order]
    answered = block_end + 1
    risk = np.cumsum(wrong)[block_end] / answered
    steps = np.diff(answered, prepend=0)
    return RiskCoverage(answered / len(p), risk, float((risk * steps).sum() / len(p)))


def _by_sureness(p_fake: Float64Array) -> tuple[IntArray, IntArray]:
    """Order of the items, surest first, and the last position of each run of equally sure ones."""
    sure = np.abs(p_fake - DEFAULT_THRESHOLD)
    order = np.argsort(-sure, kind="stable")
    falls = np.diff(sure[order], append=-1.0) < -_SAME
    return order, np.flatnonzero(falls)


@dataclass(frozen=True)
class Abstention:
    """Share answered and share wrong for the configured band, and AURC, under weightings of the groups."""

    sums: Float64Array  # [G, 3] per group: items, answered, answered wrongly
    wrong: IntArray  # [n] 0 or 1, surest first
    codes: IntArray  # [n]
    block_end: IntArray
    undefined: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, y: IntArray, p_fake: Float64Array, codes: IntArray, *, uncertain: npt.NDArray[np.bool_]) -> Abstention:
        """Labels [n], P(fake) [n], group numbers [n] and which items [n] lie in the band without a verdict."""
        wrong = (p_fake >= DEFAULT_THRESHOLD) != (y == FAKE)
        answered = ~uncertain
        columns = (np.ones(len(y)), answered, answered & wrong)
        n_groups = int(codes.max()) + 1
        sums = np.stack([np.bincount(codes, weights=c, minlength=n_groups) for c in columns], axis=1).astype(np.float64)
        order, block_end = _by_sureness(p_fake)
        undefined: dict[str, str] = {}
        if len(np.unique(y)) < 2:
            undefined = dict.fromkeys(ABSTENTION, f"only {'fake' if y[0] == FAKE else 'real'} items")
        elif not answered.any():
            undefined = {"band_risk": "every item lies in the band without a verdict"}
        return cls(sums, wrong[order].astype(np.int64), codes[order], block_end, undefined)

    def evaluate(self, group_weights: npt.NDArray[np.int64]) -> dict[str, Float64Array]:
        """``ABSTENTION`` under every weighting [B, G]: float64 [B] each, NaN where it is undefined."""
        n, answered, wrong = (group_weights.astype(np.float64) @ self.sums).T
        n_block = max(1, BLOCK_CELLS // len(self.wrong))
        parts = [self._aurc(group_weights[s : s + n_block]) for s in range(0, len(group_weights), n_block)]
        with np.errstate(invalid="ignore", divide="ignore"):  # nothing is answered
            return {"band_coverage": answered / n, "band_risk": wrong / answered, "aurc": np.concatenate(parts)}

    def _aurc(self, group_weights: npt.NDArray[np.int64]) -> Float64Array:
        weights = group_weights[:, self.codes]  # [b, n]
        answered = np.cumsum(weights, axis=1)[:, self.block_end]  # [b, U]
        wrong = np.cumsum(weights * self.wrong, axis=1)[:, self.block_end]
        steps = np.diff(answered, axis=1, prepend=0)
        return (wrong / np.maximum(answered, 1) * steps).sum(axis=1) / answered[:, -1]
