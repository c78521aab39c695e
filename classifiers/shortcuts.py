"""Shortcuts: can the label be told from something no forgery needs (borders, size, frame rate, file type)?

A tiny classifier is trained on each such family of numbers alone and judged out of fold by source group. Where it
beats chance, a model trained on the same material may be reading that instead of the face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from classifiers.bootstrap import draw_groups, interval
from classifiers.checks import (
    FAKE,
    REAL,
    Float64Array,
    Groups,
    IntArray,
    check_features,
    check_labels,
    group_codes,
)
from classifiers.holm import holm, t_p_value
from classifiers.metrics import Scores
from classifiers.splits import grouped_folds, max_folds

N_FOLDS = 5
RIDGE = 0.1  # of a standardised number's variance
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class ShortcutRow:
    """One family of nuisance features.

    ``roc_auc`` is out of fold, with its interval over groups; ``p_holm`` tests it against 0.5, corrected for the number
    of families; ``flagged``: the label can be told from this family. NaN and a reason where it cannot be measured.
    """

    feature: str
    roc_auc: float
    ci_low: float
    ci_high: float
    p_value: float
    p_holm: float
    flagged: bool
    reason: str | None = None


def find_shortcuts(
    families: Mapping[str, npt.ArrayLike], y: npt.ArrayLike, groups: Groups, *, n_boot: int, seed: int
) -> list[ShortcutRow]:
    """Try each family alone.

    Parameters
    ----------
    families : name -> finite numbers [n, d]; one that is the same for all items cannot tell anything and is said so.
    y, groups : [n] labels and source groups.

    Raises
    ------
    SplitError
        A class stands in fewer than two groups.
    ValueError
        Input of the wrong shape or range.
    """
    labels = check_labels(y, both_classes=True)
    codes, names = group_codes(groups, n=len(labels))
    n_folds = max(2, min(N_FOLDS, max_folds(codes, labels)))
    fold = grouped_folds(codes, labels, n_folds=n_folds, seed=seed)
    draws = draw_groups(len(names), n_boot=n_boot, rng=np.random.default_rng(seed))
    tried = [_try(name, check_features(X), labels, codes, fold, draws) for name, X in families.items()]
    corrected = holm([row.p_value for row in tried])
    return [
        ShortcutRow(**{**row.__dict__, "p_holm": float(p), "flagged": bool(p < SIGNIFICANT)})
        for row, p in zip(tried, corrected, strict=True)
    ]


def _try(
    name: str, X: npt.NDArray[np.float32], y: IntArray, codes: IntArray, fold: IntArray, draws: npt.NDArray[np.int64]
) -> ShortcutRow:
    varying = X[:, (X[0] != X).any(axis=0)]
    if not varying.shape[1]:
        return ShortcutRow(name, np.nan, np.nan, np.nan, np.nan, np.nan, False, "the same for all videos")
    p = _out_of_fold(varying.astype(np.float64), y, fold)
    scores = Scores.of(y, p, codes)
    auc = float(scores.evaluate(np.ones((1, draws.shape[1]), dtype=np.int64))["roc_auc"][0])
    drawn = scores.evaluate(draws)["roc_auc"]
    low, high, _, reason = interval(drawn, n_groups=draws.shape[1])
    p_value = t_p_value(auc - 0.5, float(np.nanstd(drawn)), n_groups=draws.shape[1], two_sided=False)
    return ShortcutRow(name, auc, low, high, p_value, np.nan, False, reason)


def _out_of_fold(X: Float64Array, y: IntArray, fold: IntArray) -> Float64Array:
    """Answers of a ridge discriminant on standardised numbers and their squares, as ranks in (0, 1): float64 [n].

    Squares let it use a number that is telling at both ends. Scaling is learned on the training folds alone. Each
    fold's answers are ranked within the fold: their levels differ by fold for no reason that matters here.
    """
    p = np.empty(len(y))
    for k in np.unique(fold):
        inside, outside = fold != k, fold == k
        mean, deviation = X[inside].mean(axis=0), X[inside].std(axis=0)
        Z = np.clip((X - mean) / np.where(deviation > 0, deviation, 1.0), -10, 10)
        Z = np.concatenate([Z, Z**2 - 1], axis=1)
        answer = Z[outside] @ _ridge_direction(Z[inside], y[inside])
        p[outside] = (np.searchsorted(np.sort(answer), answer, "left") + 0.5) / len(answer)
    return p


def _ridge_direction(Z: Float64Array, y: IntArray) -> Float64Array:
    """Fisher's discriminant with a ridge: the difference of class means over the covariance within classes, [d]."""
    means = np.stack([Z[y == c].mean(axis=0) for c in (REAL, FAKE)])
    within = Z - means[y]
    covariance = within.T @ within / len(Z)
    return np.linalg.solve(covariance + RIDGE * np.eye(Z.shape[1]), means[FAKE] - means[REAL])
