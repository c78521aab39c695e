"""Checks of what callers hand in: features, labels, groups, weights.

Each check raises ValueError with one sentence that states what was expected and what came.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
Float32Array = npt.NDArray[np.float32]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Groups = Sequence[Any] | npt.NDArray[Any]

REAL, FAKE = 0, 1
LABEL_NAMES = {REAL: "real", FAKE: "fake"}

# Rows looked at in one go where a whole-matrix temporary would double the memory.
CHUNK_ROWS = 1024


def check_features(X: npt.ArrayLike, *, n_features: int | None = None) -> Float32Array:
    """A finite float32 matrix [n, d]; float32 input is returned as it is, without a copy.

    Parameters
    ----------
    X : [n, d] of any real dtype; anything but float32 is converted, which copies.
    n_features : the d that is required, None for any.

    Raises
    ------
    ValueError
        Not two-dimensional, empty, another d, or NaN / infinity in some row.
    """
    matrix = np.asarray(X)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ValueError(f"Expected features of shape [n, d] with n and d of at least 1, got shape {matrix.shape}.")
    if matrix.dtype.kind not in "fiub":
        raise ValueError(f"Expected numeric features, got dtype {matrix.dtype}.")
    if n_features is not None and matrix.shape[1] != n_features:
        raise ValueError(f"The model was trained on {n_features} features per item, got {matrix.shape[1]}.")
    if matrix.dtype != np.float32:
        # A float64 value past float32's range becomes infinity and is reported below.
        with np.errstate(over="ignore"):
            matrix = matrix.astype(np.float32)
    bad: list[int] = []
    for start in range(0, len(matrix), CHUNK_ROWS):
        finite = np.isfinite(matrix[start : start + CHUNK_ROWS]).all(axis=1)
        bad.extend((start + np.flatnonzero(~finite)).tolist())
    if bad:
        raise ValueError(f"{len(bad)} of {len(matrix)} feature rows hold NaN or infinity (the first is row {bad[0]}).")
    return matrix


class ConstantError(ValueError):
    """Vectors that are all the same: any answer about them would be a number about nothing."""


def check_varies(X: Float32Array, *, what: str = "vectors") -> None:
    """Refuse a matrix [n, d] whose rows are all equal.

    Raises
    ------
    ConstantError
        No feature varies.
    """
    if not any((X[s : s + CHUNK_ROWS] != X[0]).any() for s in range(0, len(X), CHUNK_ROWS)):
        raise ConstantError(f"All {len(X)} {what} are the same: there is nothing to tell real from fake by.")


def check_labels(y: npt.ArrayLike, *, n: int | None = None, both_classes: bool = False) -> IntArray:
    """Labels as int64 [n], 0 real and 1 fake.

    Raises
    ------
    ValueError
        Another shape or length, a value besides 0 and 1, or (with ``both_classes``) one class only.
    """
    labels = np.asarray(y)
    if labels.ndim != 1 or (n is not None and len(labels) != n):
        expected = f"[{n}]" if n is not None else "[n]"
        raise ValueError(f"Expected labels of shape {expected}, got shape {labels.shape}.")
    if labels.dtype.kind not in "fiub" or not np.isin(labels, (REAL, FAKE)).all():
        strange = sorted({str(v) for v in labels.tolist()} - {"0", "1", "0.0", "1.0", "True", "False"})[:3]
        raise ValueError(f"Expected labels 0 (real) and 1 (fake) only, got also {', '.join(strange)}.")
    labels = labels.astype(np.int64)
    if both_classes and len(np.unique(labels)) < 2:
        n_fake = int(labels.sum())
        raise ValueError(f"Training needs real and fake items, got {len(labels) - n_fake} real and {n_fake} fake.")
    return labels


def check_probabilities(p_fake: npt.ArrayLike, *, n: int | None = None) -> Float64Array:
    """P(fake) as float64 [n], every value in [0, 1].

    Raises
    ------
    ValueError
        Another shape or length, or a value that is NaN or outside [0, 1].
    """
    p = np.asarray(p_fake, dtype=np.float64)
    if p.ndim != 1 or (n is not None and len(p) != n):
        expected = f"[{n}]" if n is not None else "[n]"
        raise ValueError(f"Expected P(fake) of shape {expected}, got shape {p.shape}.")
    outside = ~((p >= 0) & (p <= 1))
    if outside.any():
        raise ValueError(f"Expected P(fake) in [0, 1], got {int(outside.sum())} of {len(p)} values outside or NaN.")
    return p


def group_codes(groups: Groups, *, n: int | None = None) -> tuple[IntArray, npt.NDArray[np.str_]]:
    """Number the groups: code int64 [n] in 0..G-1 and the sorted names [G].

    Codes follow the sorted names, so they do not depend on the order of the items.

    Raises
    ------
    ValueError
        Another length than n, or an item without a group (None, NaN, empty).
    """
    values = groups.tolist() if isinstance(groups, np.ndarray) else list(groups)
    if n is not None and len(values) != n:
        raise ValueError(f"Expected one source group per item ({n}), got {len(values)}.")
    n_missing = sum(v is None or v == "" or (isinstance(v, float) and np.isnan(v)) for v in values)
    if n_missing:
        raise ValueError(f"{n_missing} of {len(values)} items have no source group.")
    names, codes = np.unique(np.array([str(v) for v in values], dtype=np.str_), return_inverse=True)
    return codes.astype(np.int64), names


def check_weights(sample_weight: npt.ArrayLike | None, *, n: int) -> Float64Array:
    """Sample weights as float64 [n]; ones for None.

    Raises
    ------
    ValueError
        Another length, a negative or non-finite weight, or weights that sum to zero.
    """
    if sample_weight is None:
        return np.ones(n)
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(f"Expected sample weights of shape [{n}], got shape {weights.shape}.")
    if not np.isfinite(weights).all() or (weights < 0).any() or weights.sum() == 0:
        raise ValueError("Sample weights must be finite, not negative and not all zero.")
    return weights


def training_weights(y: IntArray, sample_weight: Float64Array, *, balanced: bool) -> Float64Array:
    """Weights with mean 1; with ``balanced`` both classes carry the same total weight.

    Raises
    ------
    ValueError
        A class whose weights sum to zero.
    """
    totals = np.array([sample_weight[y == c].sum() for c in (REAL, FAKE)])
    if (totals == 0).any():
        raise ValueError(f"Sample weights of the class '{LABEL_NAMES[int(totals.argmin())]}' sum to zero.")
    weights = sample_weight / totals[y] if balanced else sample_weight
    return weights * (len(y) / weights.sum())
