"""Simulated vectors whose structure is known."""

from __future__ import annotations

import numpy as np


def blobs(n_groups: int = 24, n_features: int = 12, *, shift: float = 1.5, per_class: int = 2, seed: int = 0):
    """Each group has ``per_class`` real and as many fake items around its own centre; fakes move along axis 0."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(n_groups), 2 * per_class)
    y = np.tile(np.repeat([0, 1], per_class), n_groups)
    X = 0.5 * rng.normal(size=(n_groups, n_features))[group] + rng.normal(size=(len(y), n_features))
    X[:, 0] += shift * y
    return X.astype(np.float32), y, group
