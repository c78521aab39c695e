"""Shortcuts: can the label be told from something no forgery needs (borders, size, frame rate, file type)?

A tiny classifier is trained on each such family of numbers alone and judged out of fold by source group. Where it
beats what it reaches on shuffled labels, a model trained on the same material may be reading that instead of the face.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from classifiers.bootstrap import draw_groups, groups_per_class, metric_interval
from classifiers.checks import FAKE, REAL, Float64Array, Groups, IntArray, check_features, check_labels, group_codes
from classifiers.holm import holm
from classifiers.metrics import Scores
from classifiers.ranks import mean_ranks
from classifiers.splits import grouped_folds, max_folds

N_FOLDS = 5
N_SHUFFLES = 1000  # the least p-value is 1 / 1,001: small enough for a correction over the two dozen families
RIDGE = 0.1  # of a standardised number's variance
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class ShortcutRow:
    """One family of nuisance features.

    ``roc_auc`` is out of fold, with its interval over groups; ``p_value``: share of shufflings of the labels that reach
    it; ``p_holm`` is that corrected for the number of families; ``flagged``: the label can be told from this family.
    NaN and a reason where it cannot be measured.
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
    families: Mapping[str, npt.ArrayLike],
    y: npt.ArrayLike,
    groups: Groups,
    *,
    n_boot: int,
    seed: int,
    n_shuffles: int = N_SHUFFLES,
) -> list[ShortcutRow]:
    """Try each family alone.

    Parameters
    ----------
    families : name -> finite numbers [n, d]; one that is the same for all items cannot tell anything and is said so.
    y, groups : [n] labels and source groups; one item per video, for labels are shuffled between items.
    n_boot : draws of groups behind the intervals; n_shuffles : shufflings of the labels behind the p-values.

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
    rng = np.random.default_rng(seed)
    draws = draw_groups(len(names), n_boot=n_boot, rng=rng)
    tried = np.concatenate([labels[:, None], shuffled_labels(labels, codes, n=n_shuffles, rng=rng)], axis=1)
    rows = [_try(name, check_features(X), tried, codes, fold, draws) for name, X in families.items()]
    corrected = holm([row.p_value for row in rows])
    return [replace(r, p_holm=float(p), flagged=bool(p < SIGNIFICANT)) for r, p in zip(rows, corrected, strict=True)]


def shuffled_labels(y: IntArray, codes: IntArray, *, n: int, rng: np.random.Generator) -> IntArray:
    """Labels as they might be if they meant nothing, int64 [len(y), n]: groups of equal size exchange theirs, then
    each group shuffles its own. So groups keep compositions that occur, and folds their shares.
    """
    members: dict[int, list[IntArray]] = {}
    for g in np.unique(codes):
        rows = np.flatnonzero(codes == g)
        members.setdefault(len(rows), []).append(rows)
    out = np.empty((n, len(y)), dtype=np.int64)
    for same in members.values():
        rows = np.stack(same)  # [k, size]
        for shuffled in out:
            shuffled[rows] = rng.permuted(rng.permutation(y[rows]), axis=1)
    return out.T


def _try(
    name: str, X: npt.NDArray[np.float32], tried: IntArray, codes: IntArray, fold: IntArray, draws: IntArray
) -> ShortcutRow:
    """``tried`` [n, 1 + S]: the labels, then shuffled ones."""
    varying = X[:, (X[0] != X).any(axis=0)].astype(np.float64)
    if not varying.shape[1]:
        return ShortcutRow(name, np.nan, np.nan, np.nan, np.nan, np.nan, False, "the same for all videos")
    answers = _out_of_fold(varying, tried, fold)
    aucs = _roc_auc(answers, tried)
    p_value = (1 + int((aucs[1:] >= aucs[0] - 1e-12).sum())) / len(aucs)
    drawn = Scores.of(tried[:, 0], answers[:, 0], codes).evaluate(draws)["roc_auc"]
    low, high, _, limits = metric_interval(
        "roc_auc", float(aucs[0]), drawn, n_groups=draws.shape[1], per_class=groups_per_class(tried[:, 0], codes)
    )
    reason = "; ".join(why for why in (limits, _unmoved(tried)) if why) or None
    return ShortcutRow(name, float(aucs[0]), low, high, p_value, np.nan, False, reason)


def _unmoved(tried: IntArray) -> str | None:
    """Why no p-value can be small: shufflings [n, 1 + S] that say the same as the labels in the first column.

    Labels that are all exchanged say the same: a classifier trained on them ranks the other way round.
    """
    moved = (tried[:, 1:] != tried[:, :1]).mean(axis=0)
    n_same = int(((moved == 0) | (moved == 1)).sum())
    if n_same < SIGNIFICANT * len(moved):
        return None
    return f"{n_same} of {len(moved)} shufflings left the labels as they are: nothing can be flagged"


def _out_of_fold(X: Float64Array, tried: IntArray, fold: IntArray) -> Float64Array:
    """Answers of a ridge discriminant, trained with each column of labels apart, as ranks in (0, 1) [n, 1 + S].

    It reads standardised numbers and their squares, which let it use a number that is telling at both ends; its
    direction is the difference of class means over their covariance plus a ridge. Scaling is learned on the training
    folds alone. Answers are ranked within their fold: their levels differ by fold for no reason that matters here.
    """
    p = np.empty(tried.shape)
    for k in np.unique(fold):
        inside, outside = fold != k, fold == k
        mean, deviation = X[inside].mean(axis=0), X[inside].std(axis=0)
        Z = np.clip((X - mean) / np.where(deviation > 0, deviation, 1.0), -10, 10)
        Z = np.concatenate([Z, Z**2 - 1], axis=1)
        inner, fakes = Z[inside], tried[inside].astype(np.float64)
        n_fake = np.maximum(fakes.sum(axis=0), 1)
        gap = inner.T @ (fakes / n_fake) - inner.T @ ((1 - fakes) / np.maximum(len(inner) - n_fake, 1))  # [d, 1 + S]
        direction = np.linalg.solve(np.cov(inner.T, ddof=0) + RIDGE * np.eye(inner.shape[1]), gap)
        p[outside] = (mean_ranks(Z[outside] @ direction) - 0.5) / outside.sum()
    return p


def _roc_auc(answers: Float64Array, tried: IntArray) -> Float64Array:
    """ROC-AUC of each column as the Mann-Whitney statistic, float64 [1 + S]."""
    n_fake = (tried == FAKE).sum(axis=0)
    n_real = (tried == REAL).sum(axis=0)
    above = (mean_ranks(answers) * (tried == FAKE)).sum(axis=0) - n_fake * (n_fake + 1) / 2
    return np.asarray(above / (n_fake * n_real), dtype=np.float64)
