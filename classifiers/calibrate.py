"""Calibration: P(fake) that means what it says, learned from answers about source groups the model never saw.

Platt scaling (Platt 1999) and isotonic regression (Zadrozny and Elkan 2002) by scikit-learn. Both classes weigh the
same in the fit, so calibrated P(fake) speaks for material with as many fakes as reals, and P / (1 - P) is a likelihood
ratio; ``prior.shift_prior`` takes it to another share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from classifiers.checks import (
    FAKE,
    LABEL_NAMES,
    REAL,
    Float64Array,
    Groups,
    IntArray,
    check_labels,
    check_probabilities,
    group_codes,
)
from classifiers.prior import NEUTRAL_PRIOR, shift_prior
from classifiers.splits import check_leaks, grouped_folds, max_folds

Method = Literal["none", "platt", "isotonic"]
Kind = Literal["none", "prior", "platt", "isotonic"]

# Groups with each class below which a fit does more harm than good (docs/decisions.md, `lf bench calibration`).
MIN_GROUPS = {"platt": 10, "isotonic": 50}
# P(fake) is kept this far from 0 and 1 where its logit is taken.
LOGIT_EPS = 1e-6
MAX_VAL_FOLDS = 5


@dataclass(frozen=True)
class Calibrator:
    """A monotone map of P(fake).

    Attributes
    ----------
    method
        ``none``: as it is. ``prior``: corrected by Bayes' rule from the share of fakes in training, ``share_trained``,
        to equal shares. ``platt``: expit(slope * logit(P) + intercept). ``isotonic``: straight pieces between ``knots``
        (P, calibrated P), constant beyond.
    n_groups, n_items : what it was fitted on.
    reason : why it is not what was asked for, or what limits it.
    """

    method: Kind
    slope: float = 1.0
    intercept: float = 0.0
    share_trained: float = NEUTRAL_PRIOR
    knots: tuple[tuple[float, float], ...] = ()
    n_groups: int = 0
    n_items: int = 0
    reason: str | None = None

    def apply(self, p_fake: npt.ArrayLike) -> Float64Array:
        """Calibrated P(fake) float64 [n] of P(fake) [n]; ValueError outside [0, 1]."""
        p = check_probabilities(p_fake)
        if self.method == "platt":
            return np.asarray(expit(self.slope * _logit(p) + self.intercept), dtype=np.float64)
        if self.method == "isotonic":
            x, value = np.array(self.knots).T
            return np.interp(p, x, value)
        return p if self.method == "none" else shift_prior(p, to=NEUTRAL_PRIOR, of=self.share_trained)

    def to_json(self) -> dict[str, Any]:
        """JSON-able; ``from_json`` reads it back."""
        return asdict(self) | {"knots": [list(k) for k in self.knots]}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Calibrator:
        """Read what ``to_json`` wrote.

        Raises
        ------
        ValueError
            Unknown or missing entries, or values that make no calibrator.
        """
        names = {f.name for f in fields(cls)}
        if not isinstance(stored, Mapping) or set(stored) != names:
            raise ValueError(f"A stored calibrator has the entries {', '.join(sorted(names))}, got {stored!r}.")
        try:
            made = cls(**{**stored, "knots": tuple((float(x), float(v)) for x, v in stored["knots"])})
            numbers = np.array([made.slope, made.intercept, made.share_trained], dtype=np.float64)
            made.apply(np.array([0.0, 0.5, 1.0]))
        except (TypeError, ValueError) as error:
            raise ValueError(f"A stored calibrator cannot be read: {error}") from None
        x = np.array([k for k, _ in made.knots])
        rises = (np.diff(x) > 0).all() and all(0 <= v <= 1 for _, v in made.knots)
        if made.method not in get_args(Kind) or not np.isfinite(numbers).all() or made.slope < 0 or not rises:
            raise ValueError(f"A stored calibrator holds impossible values: {dict(stored)!r}.")
        return made


@dataclass(frozen=True)
class Calibrated:
    """P(fake) float64 [n] of items, each by a calibrator that never saw its group, and the one kept for new ones."""

    p_fake: Float64Array
    kept: Calibrator


def fit(p_fake: npt.ArrayLike, y: npt.ArrayLike, groups: Groups, *, method: Method) -> Calibrator:
    """A calibrator of held-out P(fake) [n] with labels [n] and source groups [n].

    Targets are Platt's, (g1 + 1) / (g1 + 2) for fakes and 1 / (g0 + 2) for reals, but with the numbers of *groups* in
    place of items, as items of a group repeat each other: no answer becomes surer than the groups can show. Where
    fewer than ``MIN_GROUPS`` groups hold some class, it is ``none`` with the reason.

    Raises
    ------
    ValueError
        An unknown method, lengths that differ, values out of range.
    """
    if method not in get_args(Method):
        raise ValueError(f"Unknown calibration '{method}': expected one of {', '.join(get_args(Method))}.")
    labels = check_labels(y)
    p = check_probabilities(p_fake, n=len(labels))
    codes, names = group_codes(groups, n=len(labels))
    size: dict[str, Any] = {"n_groups": len(names), "n_items": len(labels)}
    n_with = [len(np.unique(codes[labels == c])) for c in (REAL, FAKE)]
    if method == "none":
        return Calibrator("none", **size)
    if min(n_with) < MIN_GROUPS[method]:
        scarce = LABEL_NAMES[int(np.argmin(n_with))]
        why = f"{method} needs {MIN_GROUPS[method]} source groups with each class, got {min(n_with)} with {scarce} ones"
        return Calibrator("none", reason=why, **size)
    target = np.where(labels == FAKE, (n_with[FAKE] + 1) / (n_with[FAKE] + 2), 1 / (n_with[REAL] + 2))
    weight = len(labels) / 2 / np.bincount(labels, minlength=2)[labels]
    return _platt(p, target, weight, size) if method == "platt" else _isotonic(p, target, weight, size)


def _platt(p: Float64Array, target: Float64Array, weight: Float64Array, size: dict[str, Any]) -> Calibrator:
    # A soft target t is an item of label 1 with weight t and one of label 0 with weight 1 - t.
    x = np.concatenate([_logit(p), _logit(p)])[:, None]
    label = np.repeat([1, 0], len(p))
    # C so large that nothing is penalised.
    model = LogisticRegression(C=1e10, max_iter=1000)
    model.fit(x, label, sample_weight=np.concatenate([weight * target, weight * (1 - target)]))
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    if slope <= 0:
        why = "higher answers did not mean more fakes in held-out groups: every answer becomes 0.5"
        return Calibrator("platt", slope=0.0, intercept=0.0, reason=why, **size)
    return Calibrator("platt", slope=slope, intercept=intercept, **size)


def _isotonic(p: Float64Array, target: Float64Array, weight: Float64Array, size: dict[str, Any]) -> Calibrator:
    model = IsotonicRegression(out_of_bounds="clip").fit(p, target, sample_weight=weight)
    pairs = zip(model.X_thresholds_.tolist(), model.y_thresholds_.tolist(), strict=True)
    return Calibrator("isotonic", knots=tuple(pairs), **size)


def uncalibrated(share_trained: float | None, *, reason: str | None = None) -> Calibrator:
    """The map without calibration: as it is, or (with ``share_trained``) from that share of fakes to equal shares."""
    if share_trained is None or not 0 < share_trained < 1:
        return Calibrator("none", reason=reason)
    return Calibrator("prior", share_trained=share_trained, reason=reason)


def out_of_fold(
    p_fake: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Groups,
    fold: npt.ArrayLike,
    *,
    method: Method,
    share_trained: float | None = None,
    learn: npt.NDArray[np.bool_] | None = None,
) -> Calibrated:
    """Calibrate out-of-fold P(fake) [n]: fold k by a calibrator fitted on the other folds; the one kept on all.

    Parameters
    ----------
    fold : [n] int, two or more distinct values; whole source groups.
    share_trained : share of fakes built into P(fake) by models trained on unbalanced classes, None for balanced ones.
    learn : bool [n], items that calibrators are fitted on; all for None. Every item is calibrated.

    Raises
    ------
    LeakError
        A source group stands in more than one fold.
    ValueError
        Input of the wrong shape or range.
    """
    labels = check_labels(y)
    p = check_probabilities(p_fake, n=len(labels))
    codes, _ = group_codes(groups, n=len(labels))
    folds = np.asarray(fold, dtype=np.int64)
    check_leaks(groups, folds)
    taught = np.ones(len(p), dtype=bool) if learn is None else learn
    made = [(folds == k, _fit_rows(p, labels, codes, taught & (folds != k), method)) for k in np.unique(folds).tolist()]
    refused = next((c for _, c in made if c.method == "none"), None)
    if refused is not None:
        bare = uncalibrated(share_trained, reason=refused.reason)
        return Calibrated(bare.apply(p), bare)
    out = np.empty(len(p))
    for rows, calibrator in made:
        out[rows] = calibrator.apply(p[rows])
    return Calibrated(out, _fit_rows(p, labels, codes, taught, method))


def on_validation(
    p_fake: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Groups,
    split: npt.ArrayLike,
    *,
    method: Method,
    share_trained: float | None = None,
    learn: npt.NDArray[np.bool_] | None = None,
) -> Calibrated:
    """Calibrate P(fake) [n] of a hold-out: fitted on the rows of ``val``, which are themselves done fold by fold.

    Raises
    ------
    LeakError
        A source group stands on more than one side.
    ValueError
        Input of the wrong shape or range.
    """
    labels = check_labels(y)
    p = check_probabilities(p_fake, n=len(labels))
    codes, _ = group_codes(groups, n=len(labels))
    check_leaks(groups, np.asarray(split, dtype=np.str_))
    val = np.asarray(split, dtype=np.str_) == "val"
    n_folds = min(MAX_VAL_FOLDS, max_folds(codes[val], labels[val])) if val.any() else 0
    if method == "none" or n_folds < 2:
        why = None if method == "none" else "the part val holds fewer than 2 source groups with each class"
        bare = uncalibrated(share_trained, reason=why)
        return Calibrated(bare.apply(p), bare)
    folds = grouped_folds(codes[val], labels[val], n_folds=n_folds, seed=0)
    taught = None if learn is None else learn[val]
    inside = out_of_fold(
        p[val], labels[val], codes[val], folds, method=method, share_trained=share_trained, learn=taught
    )
    out = inside.kept.apply(p)
    out[val] = inside.p_fake
    return Calibrated(out, inside.kept)


def _fit_rows(p: Float64Array, y: IntArray, codes: IntArray, rows: npt.NDArray[np.bool_], method: Method) -> Calibrator:
    return fit(p[rows], y[rows], codes[rows], method=method)


def _logit(p: Float64Array) -> Float64Array:
    return np.asarray(logit(np.clip(p, LOGIT_EPS, 1 - LOGIT_EPS)), dtype=np.float64)
