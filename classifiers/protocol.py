"""What every classifier offers."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from classifiers.checks import Float32Array, Float64Array, Groups


@runtime_checkable
class Classifier(Protocol):
    """Vectors to P(fake). Scaling, class weights and inner validation live inside the object.

    Attributes
    ----------
    name : one of ``models.MODEL_NAMES``.
    info : what training did and chose, JSON-able: train size, chosen C or epochs, reasons for fallbacks.
    n_features : width of the training vectors, None before ``fit``.
    """

    name: str
    info: dict[str, Any]
    n_features: int | None

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Classifier:
        """Train on X [n, d] float32, labels y [n] (0 real, 1 fake) and source groups [n]; returns itself."""
        ...

    def predict_p_fake(self, X: npt.ArrayLike) -> Float64Array:
        """P(fake) float64 [n] in [0, 1] of X [n, d]."""
        ...


def fit_given(
    model: Classifier, X: Float32Array, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None
) -> Classifier:
    """Train on a matrix that nobody needs afterwards: a model with ``fit_consuming`` works in it, not in a copy."""
    fit = getattr(model, "fit_consuming", model.fit)
    trained: Classifier = fit(X, y, groups=groups, sample_weight=sample_weight)
    return trained
