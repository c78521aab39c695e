"""What a model of all channels loses when one channel is taken from another face: grouped permutation importance.

A channel that tells alone may add nothing to the others, and one that tells little alone may matter to them; this
measures the second. All numbers of a channel move together, out of fold, and come from a face of another source group,
so that a face's own group cannot hand it back (L. Breiman, "Random Forests", Machine Learning 45, 2001; for groups of
features: B. Gregorutti, B. Michel, P. Saint-Pierre, Computational Statistics & Data Analysis 90, 2015).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from classifiers.bootstrap import draw_groups, interval
from classifiers.checks import Float32Array, Float64Array, Groups, IntArray, check_features, check_labels, group_codes
from classifiers.importance import ImportanceRow, ImportanceSettings, Repeats, _models, fold_values
from classifiers.metrics import Scores
from classifiers.protocol import Classifier
from classifiers.splits import grouped_folds

BLOCK_BYTES = 128 * 1024 * 1024  # of permuted copies handed to a model at once


def permutation_importance(
    wplus: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Groups,
    *,
    parts: Sequence[Sequence[int]],
    n_permutations: int,
    settings: ImportanceSettings,
) -> list[ImportanceRow]:
    """The fall of ``settings.metric`` of a model on all channels when one part's numbers come from other groups.

    Parameters
    ----------
    wplus : [n, n_channels, w_dim] float32.
    y, groups : [n] labels and source groups.
    parts : sets of channels, each replaced together; ``channel`` of a row is the number of its part.
    n_permutations : replacements per fold and repeat; their mean is taken.

    Returns
    -------
    Rows whose ``null_value`` is 0: what a part that the model does not use gives.

    Raises
    ------
    SplitError
        A class stands in fewer source groups than there are folds.
    ValueError
        Input of the wrong shape or range.
    """
    codes_3d = np.asarray(wplus, dtype=np.float32)
    if codes_3d.ndim != 3 or n_permutations < 1:
        raise ValueError(f"Expected W+ codes [n, n_channels, w_dim] and a permutation, got shape {codes_3d.shape}.")
    n, n_channels, _ = codes_3d.shape
    flat = check_features(codes_3d.reshape(n, -1))
    labels = check_labels(y, n=n)
    group, names = group_codes(groups, n=n)
    draws = draw_groups(len(names), n_boot=settings.n_boot, rng=np.random.default_rng(settings.seed))
    weights = np.concatenate([np.ones((1, len(names)), dtype=np.int64), draws])  # as measured, then drawn
    falls, folds = [], []  # [R][P, 1 + B], [R][P, F]
    for repeat in range(settings.n_repeats):
        fold = grouped_folds(group, labels, n_folds=settings.n_folds, seed=settings.seed + repeat)
        base, moved = _answers(flat, labels, group, fold, n_channels, parts, n_permutations, settings, repeat)
        whole = Scores.of(labels, base, group).evaluate(weights)[settings.metric]
        each = [
            np.mean([Scores.of(labels, p, group).evaluate(weights)[settings.metric] for p in part], axis=0)
            for part in moved
        ]
        falls.append(whole - np.stack(each))
        own = fold_values(labels, base, fold, settings.metric)
        folds.append(
            np.stack(
                [own - np.mean([fold_values(labels, p, fold, settings.metric) for p in part], axis=0) for part in moved]
            )
        )
    return [_row(k, np.stack([f[k] for f in falls]), np.stack([f[k] for f in folds]), labels, settings, len(names))
            for k in range(len(parts))]  # fmt: skip


def _row(
    part: int, falls: Float64Array, folds: Float64Array, y: IntArray, settings: ImportanceSettings, n_groups: int
) -> ImportanceRow:
    """``falls`` float64 [R, 1 + B]: as measured, then per draw."""
    rng = np.random.default_rng(settings.seed + 1)
    drawn = falls[:, 1:]
    chosen = rng.integers(0, len(drawn), size=drawn.shape)
    low, high, _, reason = interval(
        np.take_along_axis(drawn, chosen, axis=0).mean(axis=0), n_groups=n_groups, level=settings.level
    )
    share = float(y.mean())
    return ImportanceRow(
        channel=part,
        value=float(falls[:, 0].mean()),
        ci_low=low,
        ci_high=high,
        null_value=0.0,
        n_repeats=settings.n_repeats,
        metric=settings.metric,
        majority_share=max(share, 1 - share),
        reason=reason,
        values=tuple(falls[:, 0].tolist()),
        repeats=Repeats(drawn, folds),
    )


def _answers(
    X: Float32Array,
    y: IntArray,
    group: IntArray,
    fold: IntArray,
    n_channels: int,
    parts: Sequence[Sequence[int]],
    n_permutations: int,
    settings: ImportanceSettings,
    repeat: int,
) -> tuple[Float64Array, Float64Array]:
    """Out-of-fold P(fake) as it is [n] and with each part replaced [P, n_permutations, n]."""
    base, moved = np.empty(len(y)), np.empty((len(parts), n_permutations, len(y)))
    seed = settings.seed + 1000 * repeat
    rng = np.random.default_rng(seed)
    make = _models(settings)
    for k in np.unique(fold).tolist():
        inside, rows = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        model = make(seed + k).fit(X[inside], y[inside], groups=group[inside])
        base[rows] = model.predict_p_fake(X[rows])
        jobs = [(p, q, _donors(group[rows], rng)) for p in range(len(parts)) for q in range(n_permutations)]
        for (p, q), answer in _replaced(model, X[rows], n_channels, parts, jobs):
            moved[p, q, rows] = answer
    return base, moved


def _replaced(
    model: Classifier,
    X: Float32Array,
    n_channels: int,
    parts: Sequence[Sequence[int]],
    jobs: list[tuple[int, int, IntArray]],
) -> Iterator[tuple[tuple[int, int], Float64Array]]:
    """Answers with parts replaced, several replacements per call of the model as memory allows."""
    n_at_once = max(1, BLOCK_BYTES // X.nbytes)
    for start in range(0, len(jobs), n_at_once):
        block = jobs[start : start + n_at_once]
        copies = np.repeat(X[None], len(block), axis=0).reshape(len(block), len(X), n_channels, -1)
        source = X.reshape(len(X), n_channels, -1)
        for copy, (p, _, donors) in zip(copies, block, strict=True):
            channels = list(parts[p])
            copy[:, channels] = source[donors][:, channels]
        answers = model.predict_p_fake(copies.reshape(len(block) * len(X), -1)).reshape(len(block), len(X))
        yield from (((p, q), answer) for (p, q, _), answer in zip(block, answers, strict=True))


def _donors(group: IntArray, rng: np.random.Generator) -> IntArray:
    """For each row a row of another group, any of them equally likely; its own where there is one group only."""
    order = np.argsort(group, kind="stable")
    start = np.searchsorted(group[order], group, "left")
    size = np.searchsorted(group[order], group, "right") - start
    others = len(group) - size
    pick = (rng.random(len(group)) * others).astype(np.int64)
    pick = np.where(pick >= start, pick + size, pick)
    return np.where(others > 0, order[np.minimum(pick, len(group) - 1)], np.arange(len(group)))
