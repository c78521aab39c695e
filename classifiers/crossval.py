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
from classifiers.protocol import Classifier
from classifiers.splits import SPLIT_NAMES, check_leaks

ModelFactory = Callable[[int], Classifier]


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
) -> Iterator[FoldResult]:
    """Train on all folds but one and predict that one, fold after fold; together every row is predicted once.

    Parameters
    ----------
    X : [n, d] float32; y : [n] labels; groups : [n] source groups; fold : [n] int, two or more distinct values.
    model_factory : fold number -> an untrained model; scaling happens inside the model.
    projector_factory : fold number -> an untrained projection (PCA) that is fitted on that fold's training rows.

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
    return _folds(matrix, labels, names[codes], folds, weights, numbers.tolist(), model_factory, projector_factory)


def _folds(
    X: Float32Array,
    y: IntArray,
    names: npt.NDArray[np.str_],
    folds: IntArray,
    weights: Float64Array,
    numbers: Sequence[int],
    model_factory: ModelFactory,
    projector_factory: Callable[[int], Projector] | None,
) -> Iterator[FoldResult]:
    for k in numbers:
        inside, outside = np.flatnonzero(folds != k), np.flatnonzero(folds == k)
        X_in, X_out = X[inside], X[outside]
        if projector_factory is not None:
            projector = projector_factory(k)
            projector.fit(X_in)
            X_in, X_out = (np.asarray(projector.transform(part), dtype=np.float32) for part in (X_in, X_out))
        model = model_factory(k).fit(X_in, y[inside], groups=names[inside], sample_weight=weights[inside])
        yield FoldResult(fold=k, rows=outside, p_fake=model.predict_p_fake(X_out), model=model)


def holdout(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Groups,
    split: Sequence[str] | npt.NDArray[np.str_],
    *,
    model: Classifier,
    sample_weight: npt.ArrayLike | None = None,
) -> HoldoutResult:
    """Train ``model`` on the rows whose split is ``train`` and predict all rows.

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
    trained = model.fit(matrix[rows], labels[rows], groups=names[codes[rows]], sample_weight=weights[rows])
    return HoldoutResult(model=trained, p_fake=trained.predict_p_fake(matrix))
