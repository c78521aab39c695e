"""``gboost``: gradient-boosted trees on principal components, as a comparator.

scikit-learn's HistGradientBoosting on thousands of features takes a float64 copy of them and, for each leaf, a
histogram of 255 bins per feature; so it works on the leading components of the standardised features instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.ensemble import HistGradientBoostingClassifier

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
from classifiers.projection import principal_directions
from classifiers.scaling import Standardiser
from classifiers.splits import held_out, max_folds

_NODE = {"feature": "feature_idx", "threshold": "num_threshold", "left": "left", "right": "right", "value": "value"}


@dataclass(frozen=True, kw_only=True)
class BoostSettings:
    """``n_trees`` at most; how many, held-out source groups tell (``val_fraction`` of them; None: all are grown).

    ``n_components``: principal components the trees see. ``min_samples_leaf``: rows a leaf holds at least.
    ``n_trees_unvalidated`` are grown where a class stands in fewer than two groups.
    ``blocks``: widths of the parts of a fused space (``scaling.Standardiser``).
    """

    n_trees: int = 300
    learning_rate: float = 0.05
    n_leaves: int = 8
    min_samples_leaf: int = 10
    l2: float = 1.0
    n_components: int = 64
    val_fraction: float | None = 0.2
    n_trees_unvalidated: int = 50
    balanced: bool = True
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        counts = (self.n_trees, self.min_samples_leaf, self.n_components, self.n_trees_unvalidated, self.n_leaves - 1)
        if min(counts) < 1:
            raise ValueError("Trees, components and rows per leaf must be at least 1, leaves at least 2.")
        if self.learning_rate <= 0 or self.l2 < 0:
            raise ValueError("Expected a positive learning rate and a penalty of at least 0.")


class Boost:
    """Standardise, project, then boosted trees; kept as plain arrays of nodes."""

    kind = "boost"

    def __init__(self, name: str, settings: BoostSettings, *, profile: str, seed: int) -> None:
        self.name, self.profile, self.seed = name, profile, seed
        self.settings = settings
        self.n_features: int | None = None
        self.info: dict[str, Any] = {}
        self.scaler: Standardiser | None = None
        self.directions: Float32Array | None = None  # [d, k]
        self.nodes: dict[str, npt.NDArray[Any]] | None = None
        self.baseline = 0.0

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Boost:
        """Train; see ``Classifier.fit``. Holds one standardised float32 copy of X while it runs."""
        return self._fit(check_features(X), y, groups, sample_weight, in_place=False)

    def fit_consuming(
        self, X: Float32Array, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Boost:
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
    ) -> Boost:
        labels = check_labels(y, n=len(matrix), both_classes=True)
        _, names = group_codes(groups, n=len(matrix))
        sample = check_weights(sample_weight, n=len(matrix))
        weights = training_weights(labels, sample, balanced=self.settings.balanced)
        self.scaler = Standardiser.fit(matrix, blocks=self.settings.blocks)
        scaled = self.scaler.apply(matrix, out=matrix if in_place else None)
        self.directions = principal_directions(scaled, n_components=self.settings.n_components, seed=self.seed)
        Z = scaled @ self.directions
        n_trees, report = self._choose_length(Z, labels, weights, groups)
        nodes = self._keep(self._grow(Z, labels, weights, n_trees=n_trees))
        self.n_features = matrix.shape[1]
        self.info = {
            **asdict(self.settings),
            **report,
            "n_trees_grown": len(nodes["first"]),
            "n_nodes": len(nodes["value"]),
            "n_inputs": Z.shape[1],
            "n_train": len(matrix),
            "n_groups_train": len(names),
            "share_fake_train": float(labels.mean()),
        }
        return self

    def _choose_length(
        self, Z: Float32Array, y: IntArray, weights: Float64Array, groups: Groups
    ) -> tuple[int, dict[str, Any]]:
        """The number of trees with the least log-loss on held-out groups."""
        if self.settings.val_fraction is None:
            return self.settings.n_trees, {"length_source": "all trees are grown"}
        if max_folds(groups, y) < 2:
            note = "default: a class stands in fewer than two source groups, so there is no validation part"
            return min(self.settings.n_trees_unvalidated, self.settings.n_trees), {"length_source": note}
        val = held_out(groups, y, fraction=self.settings.val_fraction, seed=self.seed)
        model = self._grow(Z[~val], y[~val], weights[~val], n_trees=self.settings.n_trees)
        share = weights[val] / weights[val].sum()
        losses = []
        for p in model.staged_predict_proba(Z[val]):
            losses.append(float(-share @ np.log(p[np.arange(len(p)), y[val]].clip(1e-15))))
        best = int(np.argmin(losses))
        return best + 1, {"length_source": "held-out source groups", "val_log_loss": losses[best]}

    def _grow(
        self, Z: Float32Array, y: IntArray, weights: Float64Array, *, n_trees: int
    ) -> HistGradientBoostingClassifier:
        model = HistGradientBoostingClassifier(
            learning_rate=self.settings.learning_rate,
            max_iter=n_trees,
            max_leaf_nodes=self.settings.n_leaves,
            min_samples_leaf=self.settings.min_samples_leaf,
            l2_regularization=self.settings.l2,
            early_stopping=False,  # its own would part source groups
            random_state=self.seed,
        )
        return model.fit(Z, y, sample_weight=weights)

    def _keep(self, model: HistGradientBoostingClassifier) -> dict[str, npt.NDArray[Any]]:
        """Take the trees as arrays. scikit-learn has no public way to them; a test compares the answers."""
        trees = [predictor.nodes for (predictor,) in model._predictors]
        self.baseline = float(np.ravel(model._baseline_prediction)[0])
        nodes = {name: np.concatenate([t[column] for t in trees]) for name, column in _NODE.items()}
        first = np.cumsum([0, *(len(t) for t in trees[:-1])])
        offset = np.repeat(first, [len(t) for t in trees])
        leaf = np.concatenate([t["is_leaf"] for t in trees]).astype(bool)
        own = np.arange(len(leaf))
        for side in ("left", "right"):  # a leaf leads to itself, so that a walk may go on for too long
            nodes[side] = np.where(leaf, own, nodes[side] + offset).astype(np.int32)
        nodes["feature"] = np.where(leaf, 0, nodes["feature"]).astype(np.int32)
        nodes["threshold"] = np.where(leaf, 0.0, np.clip(nodes["threshold"], -1e300, 1e300))
        nodes["value"] = np.where(leaf, nodes["value"], 0.0)
        nodes["first"] = first.astype(np.int32)
        self.nodes = nodes
        return nodes

    def predict_p_fake(self, X: npt.ArrayLike) -> Float64Array:
        """P(fake) float64 [n]; see ``Classifier.predict_p_fake``."""
        if self.nodes is None or self.scaler is None or self.directions is None:
            raise ValueError(f"The model '{self.name}' is not trained yet.")
        matrix = check_features(X, n_features=self.n_features)
        logit = np.empty(len(matrix))
        for s in range(0, len(matrix), CHUNK_ROWS):
            Z = self.scaler.apply(matrix[s : s + CHUNK_ROWS]) @ self.directions
            logit[s : s + CHUNK_ROWS] = self.baseline + _walk(self.nodes, Z)
        return expit(logit)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored of the trained model."""
        assert self.nodes is not None
        assert self.scaler is not None
        assert self.directions is not None
        stored = {"scaler.mean": self.scaler.mean, "scaler.scale": self.scaler.scale, "directions": self.directions}
        return stored | {"baseline": np.array([self.baseline])} | {f"nodes.{k}": v for k, v in self.nodes.items()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes that ``arrays`` has by settings and card; known before anything is built."""
        d, k, n = int(self.n_features or 0), int(self.info["n_inputs"]), int(self.info["n_nodes"])
        found: dict[str, tuple[int, ...]] = {"scaler.mean": (d,), "scaler.scale": (d,), "directions": (d, k)}
        found |= {"baseline": (1,), "nodes.first": (int(self.info["n_trees_grown"]),)}
        return found | {f"nodes.{name}": (n,) for name in _NODE}

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take stored arrays of these shapes; ValueError where a node points outside or back."""
        nodes = {name.removeprefix("nodes."): a for name, a in arrays.items() if name.startswith("nodes.")}
        n, k = len(nodes["value"]), arrays["directions"].shape[1]
        whole = [nodes[name] for name in ("feature", "left", "right", "first")]
        own = np.arange(n)
        leaf = nodes["left"] == own
        sound = (
            all(a.dtype.kind == "i" for a in whole)
            and ((nodes["feature"] >= 0) & (nodes["feature"] < k)).all()
            and (leaf == (nodes["right"] == own)).all()
            and all(((nodes[s] >= own) & (nodes[s] < n)).all() for s in ("left", "right"))  # no walk runs in a circle
            and ((nodes["first"] >= 0) & (nodes["first"] < n)).all()
        )
        if not sound:
            raise ValueError("a malformed tree")
        self.nodes, self.baseline = nodes, float(arrays["baseline"][0])
        self.scaler = Standardiser(mean=arrays["scaler.mean"], scale=arrays["scaler.scale"])
        self.directions = arrays["directions"]


def _walk(nodes: Mapping[str, npt.NDArray[Any]], Z: Float32Array) -> Float64Array:
    """Sum over trees of the leaf each row ends in, [n]."""
    at = np.tile(nodes["first"], (len(Z), 1))  # [n, trees]
    rows = np.arange(len(Z))[:, None]
    while True:
        left = nodes["left"][at]
        if (left == at).all():
            return np.asarray(nodes["value"][at].sum(axis=1))
        low = Z[rows, nodes["feature"][at]] <= nodes["threshold"][at]
        at = np.where(low, left, nodes["right"][at])
