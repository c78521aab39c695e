"""Extra training items that belong to source groups: they train with their group and are never judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.checks import Float32Array, Float64Array, Groups, IntArray, check_features, check_labels, group_codes
from classifiers.protocol import Classifier, fit_given


@dataclass(frozen=True)
class ExtraItems:
    """X float32 [m, d], y int64 [m] and source groups str [m]; m may be 0."""

    X: Float32Array
    y: IntArray
    groups: npt.NDArray[np.str_]

    @classmethod
    def of(cls, X: npt.ArrayLike, y: npt.ArrayLike, groups: Groups) -> ExtraItems:
        """Checked; ValueError as `checks` raises it."""
        matrix = check_features(X)
        codes, names = group_codes(groups, n=len(matrix))
        return cls(matrix, check_labels(y, n=len(matrix)), names[codes])


class WithExtra:
    """An untrained classifier that trains on the rows it is given and on the extra items of their groups.

    ``fit`` gives back the classifier inside, so nothing of this class is stored. An item of a group that is not among
    the training rows is left out: extra items made from footage that is held out must not train.
    """

    def __init__(self, model: Classifier, extra: ExtraItems) -> None:
        self._model, self._extra = model, extra
        self.name = model.name

    @property
    def info(self) -> dict[str, Any]:
        return self._model.info

    @info.setter
    def info(self, info: dict[str, Any]) -> None:
        self._model.info = info

    @property
    def n_features(self) -> int | None:
        return self._model.n_features

    @n_features.setter
    def n_features(self, n_features: int | None) -> None:
        self._model.n_features = n_features

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Classifier:
        """Train the classifier inside; see ``Classifier.fit``."""
        matrix, labels = check_features(X), check_labels(y)
        codes, names = group_codes(groups, n=len(matrix))
        more = np.isin(self._extra.groups, names)
        weights = None
        if sample_weight is not None:
            weights = np.concatenate([np.asarray(sample_weight, dtype=np.float64), np.ones(int(more.sum()))])
        trained = fit_given(
            self._model,
            np.concatenate([matrix, self._extra.X[more]]),
            np.concatenate([labels, self._extra.y[more]]),
            groups=np.concatenate([names[codes], self._extra.groups[more]]),
            sample_weight=weights,
        )
        trained.info["n_extra_train"] = int(more.sum())
        return trained

    def predict_p_fake(self, X: npt.ArrayLike) -> Float64Array:
        """P(fake) float64 [n]; see ``Classifier.predict_p_fake``."""
        return self._model.predict_p_fake(X)


def with_extra(factory: Callable[[int], Classifier], extra: ExtraItems | None) -> Callable[[int], Classifier]:
    """A factory whose models train with the extra items; the factory itself where there are none."""
    if extra is None or not len(extra.y):
        return factory
    return lambda number: WithExtra(factory(number), extra)
