"""Logistic regression whose strength of regularisation is chosen by grouped cross-validation inside the training part.

LatentForensics' own version (no regularisation, SGD) is the network of ``classifiers.network`` without hidden layers.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

from classifiers.checks import (
    CHUNK_ROWS,
    Float32Array,
    Float64Array,
    Groups,
    IntArray,
    check_features,
    check_labels,
    check_weights,
    group_codes,
    training_weights,
)
from classifiers.linear_start import LinearStart, Solution, solve_from
from classifiers.rotation import Rotation
from classifiers.scaling import Standardiser
from classifiers.splits import grouped_folds, max_folds

MAX_ITERATIONS = 500
GRADIENT_TOLERANCE = 1e-5


@dataclass(frozen=True, kw_only=True)
class LogisticSettings:
    """``c_grid``: candidates (scikit-learn's C, on standardised features), tried by ``n_inner_folds`` grouped folds.

    ``fallback_c`` is used where a class stands in fewer than two groups, so that no inner fold can be made.
    ``blocks``: widths of the parts of a fused space (``scaling.Standardiser``).
    """

    c_grid: tuple[float, ...] = (1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 1.0)
    n_inner_folds: int = 4
    fallback_c: float = 1e-2
    balanced: bool = True
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.c_grid or min(*self.c_grid, self.fallback_c) <= 0:
            raise ValueError(f"Expected positive values of C, got {self.c_grid} and fallback {self.fallback_c:g}.")
        if self.n_inner_folds < 2:
            raise ValueError(f"Expected at least 2 inner folds, got {self.n_inner_folds}.")


class Logistic:
    """``logistic``: standardise, then L2 logistic regression."""

    kind = "linear"

    def __init__(self, name: str, settings: LogisticSettings, *, profile: str, seed: int) -> None:
        self.name, self.profile, self.seed = name, profile, seed
        self.settings = settings
        self.n_features: int | None = None
        self.info: dict[str, Any] = {}
        self.scaler: Standardiser | None = None
        self.coef: Float32Array | None = None  # [d], on standardised features
        self.intercept = 0.0
        self.start: LinearStart | None = None  # given by `warm_start`

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Logistic:
        """Train; see ``Classifier.fit``. Holds one standardised float32 copy of X while it runs."""
        return self._fit(check_features(X), y, groups, sample_weight, in_place=False)

    def fit_consuming(
        self, X: Float32Array, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Logistic:
        """Like ``fit``, but standardises X where it lies: the caller needs it no more, and no copy is made."""
        return self._fit(check_features(X), y, groups, sample_weight, in_place=True)

    def _fit(
        self,
        matrix: Float32Array,
        y: npt.ArrayLike,
        groups: Groups,
        sample_weight: npt.ArrayLike | None,
        *,
        in_place: bool,
    ) -> Logistic:
        labels = check_labels(y, n=len(matrix), both_classes=True)
        _, names = group_codes(groups, n=len(matrix))
        sample = check_weights(sample_weight, n=len(matrix))
        weights = training_weights(labels, sample, balanced=self.settings.balanced)
        if self.start is not None:
            check_features(matrix[:1], n_features=len(self.start.coef))
        blocks = self.settings.blocks
        self.scaler = Standardiser.fit(matrix, blocks=blocks) if self.start is None else self.start.scaler
        scaled = self.scaler.apply(matrix, out=matrix if in_place else None)
        offset = None if self.start is None else (scaled @ self.start.coef).astype(np.float64)
        rotation = Rotation.of(scaled)
        Z = scaled if rotation is None else rotation.Z
        C, report = self._choose_strength(Z, labels, weights, groups, offset)
        solution = self._solve(Z, labels, weights, offset, C=C)
        coef = solution.change if rotation is None else rotation.to_features(solution.change, scaled)
        if self.start is not None:
            coef = coef + self.start.coef
            report["start"] = "the weights of another model"
        self.coef, self.intercept = coef.astype(np.float32), solution.intercept
        self.n_features = matrix.shape[1]
        self.info = {
            **asdict(self.settings),
            **report,
            "C": C,
            "converged": solution.converged,
            "n_train": len(matrix),
            "n_groups_train": len(names),
            "share_fake_train": float(labels.mean()),
        }
        return self

    def _choose_strength(
        self, Z: Float32Array, y: IntArray, weights: Float64Array, groups: Groups, offset: Float64Array | None
    ) -> tuple[float, dict[str, Any]]:
        """The C with the least weighted log-loss on held-out groups; the smaller one of equals.

        The scaler has seen the inner held-out rows (never their labels, and never the test part); this touches the
        choice of C only. A held-out fold weighs nothing in training instead of being cut out: Z is never copied, and
        the minimum is the same.
        """
        candidates = tuple(sorted(self.settings.c_grid))
        if len(candidates) == 1:
            return candidates[0], {"C_source": "the only candidate"}
        n_folds = min(self.settings.n_inner_folds, max_folds(groups, y))
        if n_folds < 2:
            reason = "default: a class stands in fewer than two source groups, so no inner fold can be made"
            return self.settings.fallback_c, {"C_source": reason}
        fold = grouped_folds(groups, y, n_folds=n_folds, seed=self.seed)
        losses = np.zeros(len(candidates))
        for k in range(n_folds):
            outside, solution = fold == k, None
            inner = np.where(outside, 0.0, weights)
            for c, C in enumerate(candidates):
                # From strong to weak regularisation, each fit starts at the one before.
                solution = self._solve(Z, y, inner, offset, C=C, start=solution)
                logit = solution.logit(Z, offset)
                losses[c] += float(np.where(outside, weights, 0.0) @ (np.logaddexp(0.0, logit) - y * logit))
        losses /= weights.sum()
        report = {
            "C_source": f"inner grouped {n_folds}-fold",
            "inner_log_loss": {f"{C:g}": float(v) for C, v in zip(candidates, losses, strict=True)},
        }
        return candidates[int(losses.argmin())], report

    def _solve(
        self,
        Z: Float32Array,
        y: IntArray,
        weights: Float64Array,
        offset: Float64Array | None,
        *,
        C: float,
        start: Solution | None = None,
    ) -> Solution:
        """Weights for one C, from where another fit ended: scikit-learn's solver, or towards the given weights."""
        if offset is not None:
            assert self.start is not None
            first = start or Solution(np.zeros(Z.shape[1]), self.start.intercept, converged=False)
            return solve_from(Z, y, weights, offset, C=C, start=first)
        model = LogisticRegression(C=C, max_iter=MAX_ITERATIONS, tol=GRADIENT_TOLERANCE, warm_start=True)
        if start is not None:
            model.coef_, model.intercept_ = start.change[None], np.array([start.intercept])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # recorded in `info`
            model.fit(Z, y, sample_weight=weights)
        return Solution(model.coef_[0], float(model.intercept_[0]), bool(model.n_iter_[0] < MAX_ITERATIONS))

    def predict_p_fake(self, X: npt.ArrayLike) -> Float64Array:
        """P(fake) float64 [n]; see ``Classifier.predict_p_fake``."""
        if self.coef is None or self.scaler is None:
            raise ValueError(f"The model '{self.name}' is not trained yet.")
        matrix = check_features(X, n_features=self.n_features)
        logit = np.empty(len(matrix))
        for s in range(0, len(matrix), CHUNK_ROWS):
            logit[s : s + CHUNK_ROWS] = self.scaler.apply(matrix[s : s + CHUNK_ROWS]) @ self.coef
        return expit(logit + self.intercept)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored of the trained model."""
        assert self.coef is not None
        assert self.scaler is not None
        scaler = {"scaler.mean": self.scaler.mean, "scaler.scale": self.scaler.scale}
        return scaler | {"coef": self.coef, "intercept": np.array([self.intercept])}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes that ``arrays`` has by settings and card; known before anything is built."""
        d = int(self.n_features or 0)
        return {"scaler.mean": (d,), "scaler.scale": (d,), "coef": (d,), "intercept": (1,)}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take stored arrays of these shapes."""
        self.scaler = Standardiser(mean=arrays["scaler.mean"], scale=arrays["scaler.scale"])
        self.coef, self.intercept = arrays["coef"], float(arrays["intercept"][0])
