"""Out-of-fold and hold-out predictions: every item is judged by a model that never saw its source group."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from classifiers.checks import (
    Float32Array,
    Float64Array,
    Groups,
    IntArray,
    check_features,
    check_labels,
    check_weights,
    group_codes,
)
from classifiers.protocol import Classifier, fit_given
from classifiers.splits import SPLIT_NAMES, check_leaks

ModelFactory = Callable[[int], Classifier]
# Training rows -> those of them to train on, such as as many of each class.
ChooseRows = Callable[[IntArray], IntArray]
# Held-out rows are cut out so many at a time: the training part is the one copy of a big matrix.
PREDICT_ROWS = 1024


class Projector(Protocol):
    """A step fitted on training rows before the classifier, such as scikit-learn's PCA."""

    def fit(self, X: Float32Array, y: None = None) -> Any: ...

    def transform(self, X: Float32Array) -> npt.NDArray[np.floating[Any]]: ...


@dataclass(frozen=True)
class FoldResult:
    """One fold: its number, the rows held out (int64 [m]), their P(fake) (float64 [m]) and the model that judged."""

    fold: int
    rows: IntArray
    p_fake: Float64Array
    model: Classifier


@dataclass(frozen=True)
class HoldoutResult:
    """A model trained on ``train`` and P(fake) float64 [n] of all rows; those of ``train`` are in-sample."""

    model: Classifier
    p_fake: Float64Array


def cross_validate(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Groups,
    fold: npt.ArrayLike,
    *,
    model_factory: ModelFactory,
    projector_factory: Callable[[int], Projector] | None = None,
    sample_weight: npt.ArrayLike | None = None,
    choose_rows: ChooseRows | None = None,
) -> Iterator[FoldResult]:
    """Train on all folds but one and predict that one, fold after fold; together every row is predicted once.

    Parameters
    ----------
    X : [n, d] float32; y : [n] labels; groups : [n] source groups; fold : [n] int, two or more distinct values.
    model_factory : fold number -> an untrained model; scaling happens inside the model.
    projector_factory : fold number -> an untrained projection (PCA) that is fitted on that fold's training rows.
    choose_rows : training rows -> those to train on; every row is still predicted.

    Beside X, one copy of a fold's training rows is held.

    Raises
    ------
    LeakError
        A source group stands in more than one fold. Raised before anything is trained.
    ValueError
        Input of the wrong shape or range, fewer than two folds, one class only in some fold's training rows.
    """
    matrix = check_features(X)
    labels = check_labels(y, n=len(matrix))
    folds = np.asarray(fold, dtype=np.int64)
    weights = check_weights(sample_weight, n=len(matrix))
    codes, names = group_codes(groups, n=len(matrix))
    check_leaks(groups, folds)
    numbers = np.unique(folds)
    if len(numbers) < 2:
        raise ValueError(f"Cross-validation needs at least 2 folds, got {len(numbers)}.")
    for k in numbers.tolist():
        if len(np.unique(labels[folds != k])) < 2:
            raise ValueError(f"Without fold {k} the training rows hold one class only: use fewer or other folds.")
    chosen = choose_rows or _all
    return _folds(
        matrix, labels, names[codes], folds, weights, numbers.tolist(), model_factory, projector_factory, chosen
    )


def _folds(
    X: Float32Array,
    y: IntArray,
    names: npt.NDArray[np.str_],
    folds: IntArray,
    weights: Float64Array,
    numbers: Sequence[int],
    model_factory: ModelFactory,
    projector_factory: Callable[[int], Projector] | None,
    choose_rows: ChooseRows,
) -> Iterator[FoldResult]:
    for k in numbers:
        inside, outside = choose_rows(np.flatnonzero(folds != k)), np.flatnonzero(folds == k)
        X_in, projector = X[inside], None
        if projector_factory is not None:
            projector = projector_factory(k)
            projector.fit(X_in)
            X_in = np.asarray(projector.transform(X_in), dtype=np.float32)
        model = fit_given(model_factory(k), X_in, y[inside], groups=names[inside], sample_weight=weights[inside])
        del X_in
        yield FoldResult(fold=k, rows=outside, p_fake=_predict(model, X, outside, projector), model=model)


def _predict(model: Classifier, X: Float32Array, rows: IntArray, projector: Projector | None) -> Float64Array:
    """P(fake) float64 [len(rows)] of some rows of X."""
    out = np.empty(len(rows))
    for s in range(0, len(rows), PREDICT_ROWS):
        part = X[rows[s : s + PREDICT_ROWS]]
        if projector is not None:
            part = np.asarray(projector.transform(part), dtype=np.float32)
        out[s : s + PREDICT_ROWS] = model.predict_p_fake(part)
    return out


def _all(rows: IntArray) -> IntArray:
    return rows


def holdout(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Groups,
    split: Sequence[str] | npt.NDArray[np.str_],
    *,
    model: Classifier,
    sample_weight: npt.ArrayLike | None = None,
    choose_rows: ChooseRows | None = None,
) -> HoldoutResult:
    """Train ``model`` on the rows whose split is ``train`` (of these, on ``choose_rows``) and predict all rows.

    Raises
    ------
    LeakError
        A source group stands on more than one side.
    ValueError
        A split besides train, val and test, or training rows that hold one class only.
    """
    matrix = check_features(X)
    labels = check_labels(y, n=len(matrix))
    sides = np.asarray(split, dtype=np.str_)
    weights = check_weights(sample_weight, n=len(matrix))
    codes, names = group_codes(groups, n=len(matrix))
    check_leaks(groups, sides)
    strange = sorted(set(sides.tolist()) - set(SPLIT_NAMES))
    if strange:
        raise ValueError(f"Expected splits {', '.join(SPLIT_NAMES)}, got also {', '.join(strange[:3])}.")
    rows = np.flatnonzero(sides == "train")
    if not len(rows):
        raise ValueError(f"None of {len(sides)} rows stands in the split 'train'.")
    rows = (choose_rows or _all)(rows)
    trained = fit_given(model, matrix[rows], labels[rows], groups=names[codes[rows]], sample_weight=weights[rows])
    return HoldoutResult(model=trained, p_fake=_predict(trained, matrix, np.arange(len(matrix)), None))
