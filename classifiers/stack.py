"""``stack``: a classifier per part of a fused space, and a logistic function that weighs their answers.

Nothing leaks from below to above: the weighing is learnt from answers about source groups that the base classifiers of
that inner fold never saw, and everything else they choose (strengths, lengths) they choose inside the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import logit

from classifiers.blend import Blend, fit_blend
from classifiers.boost import Boost, BoostSettings
from classifiers.checks import (
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
from classifiers.logistic import Logistic, LogisticSettings
from classifiers.splits import grouped_folds, max_folds

# An answer of 0 or 1 stands for odds of a million, so that one sure answer does not outweigh all others.
_LEAST = 1e-6


@dataclass(frozen=True, kw_only=True)
class StackSettings:
    """``logistic`` and ``gboost``: base classifiers of each part (``gboost: None``: the logistic regression alone).

    ``blocks``: widths of the parts, one part for an empty one; ``n_inner_folds``: grouped folds behind the weighing.
    """

    n_inner_folds: int = 4
    logistic: LogisticSettings = field(default_factory=LogisticSettings)
    gboost: BoostSettings | None = None
    balanced: bool = True
    blocks: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.n_inner_folds < 2:
            raise ValueError(f"Expected at least 2 inner folds, got {self.n_inner_folds}.")


Base = Logistic | Boost


class Stack:
    """Base classifiers on each part, their log-odds weighed by ``classifiers.blend``."""

    kind = "stack"

    def __init__(self, name: str, settings: StackSettings, *, profile: str, seed: int) -> None:
        self.name, self.profile, self.seed = name, profile, seed
        self.settings = settings
        self.n_features: int | None = None
        self.info: dict[str, Any] = {}
        self.bases: dict[str, Base] = {}
        self.blend: Blend | None = None

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Stack:
        """Train; see ``Classifier.fit``. Holds one float32 copy of one part at a time."""
        matrix = check_features(X)
        labels = check_labels(y, n=len(matrix), both_classes=True)
        codes, names = group_codes(groups, n=len(matrix))
        sample = check_weights(sample_weight, n=len(matrix))
        weights = training_weights(labels, sample, balanced=self.settings.balanced)
        parts = self._parts(matrix.shape[1])

        def train(columns: slice, make: Callable[[], Base], rows: IntArray) -> Base:
            part = matrix[rows, columns]  # a copy, which the base may work in
            return make().fit_consuming(part, labels[rows], groups=codes[rows], sample_weight=sample[rows])

        n_folds = min(self.settings.n_inner_folds, max_folds(groups, labels))
        if n_folds < 2:
            note = "mean of log-odds: a class stands in fewer than two source groups, so no inner fold can be made"
            self.blend = Blend(np.full(len(parts), 1 / len(parts)), 0.0)
        else:
            note = f"answers about {n_folds} held-out grouped folds"
            fold = grouped_folds(groups, labels, n_folds=n_folds, seed=self.seed)
            held = np.empty((len(labels), len(parts)))
            for k in range(n_folds):
                inside, outside = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
                for j, (columns, make) in enumerate(parts.values()):
                    held[outside, j] = _odds(train(columns, make, inside), matrix[outside, columns])
            self.blend = fit_blend(held, labels, weights)
        everything = np.arange(len(labels))
        self.bases = {key: train(columns, make, everything) for key, (columns, make) in parts.items()}
        self.n_features = matrix.shape[1]
        self.info = {
            **asdict(self.settings),
            "weighing": note,
            "slopes": dict(zip(parts, self.blend.slopes.tolist(), strict=True)),
            "bases": {key: base.info for key, base in self.bases.items()},
            "n_train": len(matrix),
            "n_groups_train": len(names),
            "share_fake_train": float(labels.mean()),
        }
        return self

    def _parts(self, n_features: int) -> dict[str, tuple[slice, Callable[[], Base]]]:
        """Base classifiers by key: the columns they read and how an untrained one is made."""
        blocks = self.settings.blocks or (n_features,)
        if sum(blocks) != n_features or min(blocks) < 1:
            raise ValueError(f"Expected parts that add up to {n_features} features, got {'+'.join(map(str, blocks))}.")
        balanced, profile, seed = self.settings.balanced, self.profile, self.seed
        linear = replace(self.settings.logistic, balanced=balanced)
        trees = self.settings.gboost and replace(self.settings.gboost, balanced=balanced)
        found: dict[str, tuple[slice, Callable[[], Base]]] = {}
        for b, (end, width) in enumerate(zip(accumulate(blocks), blocks, strict=True)):
            columns = slice(end - width, end)
            found[f"part{b}.logistic"] = columns, partial(Logistic, "logistic", linear, profile=profile, seed=seed)
            if trees is not None:
                found[f"part{b}.gboost"] = columns, partial(Boost, "gboost", trees, profile=profile, seed=seed)
        return found

    def predict_p_fake(self, X: npt.ArrayLike) -> Float64Array:
        """P(fake) float64 [n]; see ``Classifier.predict_p_fake``."""
        if self.blend is None or self.n_features is None:
            raise ValueError(f"The model '{self.name}' is not trained yet.")
        matrix = check_features(X, n_features=self.n_features)
        parts = self._parts(self.n_features)
        odds = [_odds(self.bases[key], matrix[:, columns]) for key, (columns, _) in parts.items()]
        return self.blend.apply(np.column_stack(odds))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored of the trained model."""
        assert self.blend is not None
        found = {"blend": np.append(self.blend.slopes, self.blend.offset)}
        return found | {f"{key}.{name}": a for key, base in self.bases.items() for name, a in base.arrays().items()}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes that ``arrays`` has by settings and card; known before anything is built."""
        parts = self._parts(int(self.n_features or 0))
        found: dict[str, tuple[int, ...]] = {"blend": (len(parts) + 1,)}
        for key, base in self._untrained(parts).items():
            found |= {f"{key}.{name}": shape for name, shape in base.shapes().items()}
        return found

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take stored arrays of these shapes; ValueError where a base's do not hold together."""
        bases = self._untrained(self._parts(int(self.n_features or 0)))
        for key, base in bases.items():
            own = {n.removeprefix(f"{key}."): a for n, a in arrays.items() if n.startswith(f"{key}.")}
            base.restore(own)
        self.bases = bases
        self.blend = Blend(arrays["blend"][:-1], float(arrays["blend"][-1]))

    def _untrained(self, parts: Mapping[str, tuple[slice, Callable[[], Base]]]) -> dict[str, Base]:
        """Base classifiers that know their width and what the card says of their training."""
        bases = {}
        for key, (columns, make) in parts.items():
            bases[key] = make()
            bases[key].n_features = columns.stop - columns.start
            bases[key].info = dict(self.info["bases"][key])
        return bases


def _odds(base: Base, X: Float32Array) -> Float64Array:
    return np.asarray(logit(np.clip(base.predict_p_fake(X), _LEAST, 1 - _LEAST)))
