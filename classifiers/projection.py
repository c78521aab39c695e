"""Principal directions of standardised rows, for models whose cost grows with the number of features."""

from __future__ import annotations

import numpy as np
from sklearn.utils.extmath import randomized_svd

from classifiers.checks import Float32Array


def principal_directions(Z: Float32Array, *, n_components: int, seed: int) -> Float32Array:
    """The leading right singular vectors of Z as columns, float32 [d, k] with k = min(n_components, n, d).

    Randomised (Halko, Martinsson and Tropp 2011), as scikit-learn has it: some passes over float32 Z, and no matrix
    larger than [d, k + 10] beside it, whereas an exact decomposition of 15,000 x 9,216 needs a float64 [d, d].
    """
    k = min(n_components, *Z.shape)
    if not Z.any():  # equal rows: no direction is better than another
        return np.eye(Z.shape[1], k, dtype=np.float32)
    _, _, rows = randomized_svd(Z, n_components=k, random_state=seed)
    return np.ascontiguousarray(rows.T, dtype=np.float32)
