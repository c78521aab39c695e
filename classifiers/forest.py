"""Random forest: LatentForensics' 1,500 Gini trees, other parameters as scikit-learn has them.

Vectors are not scaled: a tree's splits do not depend on the scale of a feature.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import RandomForestClassifier

from classifiers.checks import (
    FAKE,
    Float64Array,
    Groups,
    check_features,
    check_labels,
    check_weights,
    group_codes,
    training_weights,
)


@dataclass(frozen=True, kw_only=True)
class ForestSettings:
    """``balanced``: P(fake) as if both classes were equally frequent.

    Class weights hardly move a forest of fully grown trees (their leaves are pure), so the answer is corrected instead
    (``equal_prior``).
    """

    n_trees: int = 500
    balanced: bool = True

    def __post_init__(self) -> None:
        if self.n_trees < 1:
            raise ValueError(f"Expected at least 1 tree, got {self.n_trees}.")


class Forest:
    """``rf``: P(fake) is the mean over trees of the leaf's share of fakes."""

    kind = "forest"

    def __init__(self, name: str, settings: ForestSettings, *, profile: str, seed: int, n_jobs: int = 1) -> None:
        self.name, self.profile, self.seed = name, profile, seed
        self.settings = settings
        self.n_jobs = n_jobs
        self.n_features: int | None = None
        self.info: dict[str, Any] = {}
        self.share_fake = 0.5  # of the training weight
        self.forest: RandomForestClassifier | None = None

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Forest:
        """Train; see ``Classifier.fit``. The result does not depend on ``n_jobs``."""
        matrix = check_features(X)
        labels = check_labels(y, n=len(matrix), both_classes=True)
        _, names = group_codes(groups, n=len(matrix))
        weights = check_weights(sample_weight, n=len(matrix))
        forest = RandomForestClassifier(
            n_estimators=self.settings.n_trees, criterion="gini", random_state=self.seed, n_jobs=self.n_jobs
        )
        weights = training_weights(labels, weights, balanced=False)
        # Even equal weights change how scikit-learn draws its bootstrap, so equal ones are not passed.
        forest.fit(matrix, labels, sample_weight=None if np.ptp(weights) == 0 else weights)
        # One thread adds the trees in one order: the last digit of P(fake) is the same on every call.
        forest.set_params(n_jobs=1)
        self.forest = forest
        self.share_fake = float(np.average(labels, weights=weights))
        self.n_features = matrix.shape[1]
        self.info = {
            **asdict(self.settings),
            "n_train": len(matrix),
            "n_groups_train": len(names),
            "share_fake_train": self.share_fake,
        }
        return self

    def predict_p_fake(self, X: npt.ArrayLike) -> Float64Array:
        """P(fake) float64 [n]; see ``Classifier.predict_p_fake``."""
        if self.forest is None:
            raise ValueError(f"The model '{self.name}' is not trained yet.")
        matrix = check_features(X, n_features=self.n_features)
        p = self.forest.predict_proba(matrix)[:, list(self.forest.classes_).index(FAKE)]
        p = np.clip(p, 0.0, 1.0)
        return equal_prior(p, share_fake=self.share_fake) if self.settings.balanced else p


def equal_prior(p_fake: Float64Array, *, share_fake: float) -> Float64Array:
    """P(fake) for equally frequent classes, from P(fake) learnt where a share ``share_fake`` was fake.

    Bayes' rule with the class shares exchanged; ``share_fake`` itself becomes 0.5, 0 and 1 stay.
    """
    if not 0 < share_fake < 1:
        raise ValueError(f"Expected a share of fakes between 0 and 1, got {share_fake:g}.")
    fake, real = p_fake / share_fake, (1 - p_fake) / (1 - share_fake)
    return fake / (fake + real)
