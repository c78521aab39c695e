"""Support vector machines, which LatentForensics tried and dropped: ``svm_linear`` and ``svm_rbf``, as comparators.

Both give P(fake): the machine's signed distance, passed through Platt's logistic function, which is fitted to distances
of held-out source groups. (scikit-learn's ``SVC(probability=True)`` parts groups in its inner folds, so it would learn
from distances that are too sure.)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray
from scipy.optimize import minimize
from sklearn.svm import SVC

from classifiers.blend import Blend, fit_blend
from classifiers.checks import (
    CHUNK_ROWS,
    FAKE,
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
from classifiers.projection import principal_directions
from classifiers.rotation import Rotation
from classifiers.scaling import Standardiser
from classifiers.splits import grouped_folds, max_folds

MAX_ITERATIONS = 1000
KERNEL_CACHE_MB = 200
#: Up to so many rows the kernel of all features is worked out once, as one product of matrices, for all values of C and
#: all folds: float64 [n, n], at most 288 MB. Beyond, libsvm works it out pair by pair: for short rows only.
KERNEL_ROWS = 6000


@dataclass(frozen=True, kw_only=True)
class SvmSettings:
    """``c_grid``: candidates for C, of which the one is taken whose held-out distances give the least log-loss.

    ``kernel: rbf`` has gamma = 1 / the mean squared distance of two rows, which is twice the total variance of the
    standardised features (the median heuristic, with the mean for the median; scikit-learn's ``scale`` is twice as
    narrow). Up to ``KERNEL_ROWS`` rows it works on all features, beyond on their ``n_components`` leading principal
    components.
    ``fallback_c`` is used where a class stands in fewer than two groups; P(fake) is then not calibrated.
    ``blocks``: widths of the parts of a fused space (``scaling.Standardiser``).
    """

    kernel: Literal["linear", "rbf"]
    c_grid: tuple[float, ...]
    n_inner_folds: int = 4
    fallback_c: float = 1e-3
    n_components: int = 1024
    balanced: bool = True
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kernel not in ("linear", "rbf"):
            raise ValueError(f"Expected the kernel linear or rbf, got '{self.kernel}'.")
        if not self.c_grid or min(*self.c_grid, self.fallback_c) <= 0:
            raise ValueError(f"Expected positive values of C, got {self.c_grid} and fallback {self.fallback_c:g}.")
        if self.n_inner_folds < 2 or self.n_components < 1:
            raise ValueError("Expected at least 2 inner folds and 1 component.")


@dataclass(frozen=True)
class Machine:
    """The distance f(z) = w . z + b, or sum_j a_j exp(-gamma |z - z_j|^2) + b; arrays as they are stored."""

    coef: Float32Array  # linear: w [d]; rbf: a [m]
    intercept: float
    support: Float32Array | None = None  # rbf: z_j [m, k], k = d without a projection
    gamma: float = 0.0

    def distance(self, Z: Float32Array) -> Float64Array:
        """f float64 [n] of rows [n, d] (rbf: [n, k])."""
        if self.support is None:
            return (Z @ self.coef).astype(np.float64) + self.intercept
        out = np.empty(len(Z))
        for s in range(0, len(Z), CHUNK_ROWS):
            out[s : s + CHUNK_ROWS] = _kernel(Z[s : s + CHUNK_ROWS], self.support, self.gamma) @ self.coef
        return out + self.intercept


class Svm:
    """Standardise, then a support vector machine and Platt's logistic function."""

    kind = "svm"

    def __init__(self, name: str, settings: SvmSettings, *, profile: str, seed: int) -> None:
        self.name, self.profile, self.seed = name, profile, seed
        self.settings = settings
        self.n_features: int | None = None
        self.info: dict[str, Any] = {}
        self.scaler: Standardiser | None = None
        self.directions: Float32Array | None = None  # rbf: [d, k]
        self.machine: Machine | None = None
        self.blend: Blend | None = None

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Svm:
        """Train; see ``Classifier.fit``. Holds one standardised float32 copy of X while it runs."""
        return self._fit(check_features(X), y, groups, sample_weight, in_place=False)

    def fit_consuming(
        self, X: Float32Array, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Svm:
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
    ) -> Svm:
        labels = check_labels(y, n=len(matrix), both_classes=True)
        _, names = group_codes(groups, n=len(matrix))
        sample = check_weights(sample_weight, n=len(matrix))
        weights = training_weights(labels, sample, balanced=self.settings.balanced)
        self.scaler = Standardiser.fit(matrix, blocks=self.settings.blocks)
        scaled = self.scaler.apply(matrix, out=matrix if in_place else None)
        problem: _Rbf | _Linear
        if self.settings.kernel == "rbf":
            gamma = _gamma(scaled)
            self.directions = None
            if len(scaled) > KERNEL_ROWS and scaled.shape[1] > self.settings.n_components:
                self.directions = principal_directions(scaled, n_components=self.settings.n_components, seed=self.seed)
                scaled = scaled @ self.directions
            problem = _Rbf(scaled, labels, gamma)
        else:
            problem = _Linear(scaled, labels)
        C, blend, report = self._choose(problem, labels, weights, groups)
        machine = problem.machine(problem.solve(weights, C=C))
        self.machine, self.blend, self.n_features = machine, blend, matrix.shape[1]
        self.info = {
            **asdict(self.settings),
            **report,
            "C": C,
            "n_inputs": scaled.shape[1],
            "n_support": None if machine.support is None else len(machine.support),
            "n_train": len(matrix),
            "n_groups_train": len(names),
            "share_fake_train": float(labels.mean()),
        }
        return self

    def _choose(
        self, problem: _Rbf | _Linear, y: IntArray, weights: Float64Array, groups: Groups
    ) -> tuple[float, Blend, dict[str, Any]]:
        """C, and Platt's function of the distances of held-out groups at that C.

        A held-out fold weighs nothing in training instead of being cut out: features are never copied.
        """
        n_folds = min(self.settings.n_inner_folds, max_folds(groups, y))
        if n_folds < 2:
            reason = "none: a class stands in fewer than two source groups, so no inner fold can be made"
            return self.settings.fallback_c, Blend(np.ones(1), 0.0), {"C_source": reason, "calibration": reason}
        fold = grouped_folds(groups, y, n_folds=n_folds, seed=self.seed)
        candidates = tuple(sorted(self.settings.c_grid))
        held = np.empty((len(candidates), len(y)))
        for k in range(n_folds):
            found: Solution | None = None
            outside = fold == k
            for c, C in enumerate(candidates):
                found = problem.solve(np.where(outside, 0.0, weights), C=C, start=found)
                held[c, outside] = problem.distance(found, outside)
        blends = [fit_blend(f, y, weights) for f in held]
        share = weights / weights.sum()
        losses = [
            float(-share @ np.log(np.where(y == FAKE, p, 1 - p).clip(1e-15)))
            for p in (b.apply(f) for b, f in zip(blends, held, strict=True))
        ]
        best = int(np.argmin(losses))
        calibration = f"Platt on {n_folds} held-out grouped folds"
        if blends[best].is_blind:
            calibration += "; distances told nothing there, so every item gets the same answer"
        report = {
            "C_source": f"inner grouped {n_folds}-fold",
            "calibration": calibration,
            "inner_log_loss": {f"{C:g}": v for C, v in zip(candidates, losses, strict=True)},
        }
        return candidates[best], blends[best], report

    def predict_p_fake(self, X: npt.ArrayLike) -> Float64Array:
        """P(fake) float64 [n]; see ``Classifier.predict_p_fake``."""
        if self.machine is None or self.scaler is None or self.blend is None:
            raise ValueError(f"The model '{self.name}' is not trained yet.")
        matrix = check_features(X, n_features=self.n_features)
        distance = np.empty(len(matrix))
        for s in range(0, len(matrix), CHUNK_ROWS):
            Z = self.scaler.apply(matrix[s : s + CHUNK_ROWS])
            distance[s : s + CHUNK_ROWS] = self.machine.distance(Z if self.directions is None else Z @ self.directions)
        return self.blend.apply(distance)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored of the trained model."""
        assert self.machine is not None
        assert self.scaler is not None
        assert self.blend is not None
        found: dict[str, npt.NDArray[Any]] = {
            "scaler.mean": self.scaler.mean,
            "scaler.scale": self.scaler.scale,
            "coef": self.machine.coef,
            "numbers": np.array([self.machine.intercept, self.machine.gamma, self.blend.slopes[0], self.blend.offset]),
        }
        if self.machine.support is not None:
            found["support"] = self.machine.support
        if self.directions is not None:
            found["directions"] = self.directions
        return found

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes that ``arrays`` has by settings and card; known before anything is built."""
        d = int(self.n_features or 0)
        found: dict[str, tuple[int, ...]] = {"scaler.mean": (d,), "scaler.scale": (d,), "numbers": (4,)}
        if self.settings.kernel == "linear":
            return found | {"coef": (d,)}
        m, k = int(self.info["n_support"]), int(self.info["n_inputs"])
        projected = {"directions": (d, k)} if k != d else {}
        return found | {"coef": (m,), "support": (m, k)} | projected

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take stored arrays of these shapes."""
        self.scaler = Standardiser(mean=arrays["scaler.mean"], scale=arrays["scaler.scale"])
        intercept, gamma, slope, offset = map(float, arrays["numbers"])
        self.directions = arrays.get("directions")
        self.machine = Machine(arrays["coef"], intercept, arrays.get("support"), gamma)
        self.blend = Blend(np.array([slope]), offset)


class Solution(NamedTuple):
    """Weights of features (linear) or of training rows (rbf, 0 for those that support nothing), float64; intercept."""

    coef: Float64Array
    intercept: float


class _Linear:
    """|w|^2 / 2 + C sum_i a_i max(0, 1 - s_i (z_i w + b))^2 at its least, by L-BFGS.

    scikit-learn's LinearSVC minimises the same (but penalises b), on a float64 copy of Z and a sparse one of 16 bytes a
    number: six times the memory of Z. This reads float32 Z as it is, turned where rows are fewer than features.
    """

    def __init__(self, scaled: Float32Array, y: IntArray) -> None:
        self.scaled = scaled
        self.rotation = Rotation.of(scaled)
        self.Z = scaled if self.rotation is None else self.rotation.Z
        self.sign = np.where(y == FAKE, 1.0, -1.0)

    def solve(self, weights: Float64Array, *, C: float, start: Solution | None = None) -> Solution:
        Z, s = self.Z, self.sign

        def loss(theta: Float64Array) -> tuple[float, Float64Array]:
            w = theta[:-1].astype(np.float32)  # a float64 factor would turn Z into float64, which copies it
            margin = np.maximum(1 - s * ((Z @ w).astype(np.float64) + theta[-1]), 0)
            pull = -2 * C * weights * s * margin
            value = theta[:-1] @ theta[:-1] / 2 + C * (weights @ margin**2)
            slope = theta[:-1] + (pull.astype(np.float32) @ Z).astype(np.float64)
            return float(value), np.append(slope, pull.sum())

        first = np.zeros(Z.shape[1] + 1) if start is None else np.append(start.coef, start.intercept)
        found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": MAX_ITERATIONS, "ftol": 1e-9})
        return Solution(found.x[:-1], float(found.x[-1]))

    def distance(self, found: Solution, rows: NDArray[np.bool_]) -> Float64Array:
        # A product over all rows is cheaper than a copy of some.
        return (self.Z @ found.coef.astype(np.float32)).astype(np.float64)[rows] + found.intercept

    def machine(self, found: Solution) -> Machine:
        coef = found.coef if self.rotation is None else self.rotation.to_features(found.coef, self.scaled)
        return Machine(coef.astype(np.float32), found.intercept)


class _Rbf:
    """scikit-learn's SVC, which starts anew whatever ``start``; rows without weight are left out."""

    def __init__(self, Z: Float32Array, y: IntArray, gamma: float) -> None:
        self.Z, self.y, self.gamma = Z, y, gamma
        self.kernel = _kernel(Z, Z, gamma) if len(Z) <= KERNEL_ROWS else None

    def solve(self, weights: Float64Array, *, C: float, start: Solution | None = None) -> Solution:
        rows = np.flatnonzero(weights > 0)
        known = self.kernel is not None
        svc = SVC(C=C, kernel="precomputed" if known else "rbf", gamma=self.gamma, cache_size=KERNEL_CACHE_MB)
        inputs = self.Z[rows] if self.kernel is None else self.kernel[np.ix_(rows, rows)]
        svc.fit(inputs, self.y[rows], sample_weight=weights[rows])
        coef = np.zeros(len(self.Z))
        coef[rows[svc.support_]] = svc.dual_coef_[0]
        return Solution(coef, float(svc.intercept_[0]))

    def distance(self, found: Solution, rows: NDArray[np.bool_]) -> Float64Array:
        if self.kernel is not None:
            return self.kernel[rows] @ found.coef + found.intercept
        return self.machine(found).distance(self.Z[rows])

    def machine(self, found: Solution) -> Machine:
        support = np.flatnonzero(found.coef)
        return Machine(found.coef[support].astype(np.float32), found.intercept, self.Z[support], self.gamma)


def _gamma(scaled: Float32Array) -> float:
    """1 / (2 x total variance); 1 where nothing varies."""
    total = float(sum(np.square(scaled[s : s + CHUNK_ROWS]).sum() for s in range(0, len(scaled), CHUNK_ROWS)))
    return len(scaled) / (2 * total) if total > 0 else 1.0


def _kernel(A: Float32Array, B: Float32Array, gamma: float) -> Float64Array:
    """exp(-gamma |a_i - b_j|^2), float64 [n, m]."""
    apart = (A @ B.T).astype(np.float64)
    apart *= -2
    apart += np.einsum("nk,nk->n", A, A, dtype=np.float64)[:, None]
    apart += np.einsum("mk,mk->m", B, B, dtype=np.float64)
    np.maximum(apart, 0, out=apart)
    apart *= -gamma
    kernel: Float64Array = np.exp(apart, out=apart)
    return kernel
