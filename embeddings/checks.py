"""What every function of this package asks of a matrix of vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Rows looked at together: bounds the temporary memory of a check or a projection to some tens of megabytes.
CHUNK_ROWS = 4096


def non_finite_rows(X: NDArray[np.floating]) -> NDArray[np.intp]:
    """Indices of the rows that hold a NaN or an infinity."""
    found = [
        start + np.flatnonzero(~np.isfinite(X[start : start + CHUNK_ROWS]).all(axis=1))
        for start in range(0, len(X), CHUNK_ROWS)
    ]
    return np.concatenate(found) if found else np.empty(0, dtype=np.intp)


def as_matrix(X: ArrayLike, *, name: str = "X") -> NDArray[np.floating]:
    """Check a matrix of vectors and return it as float32 or float64.

    Parameters
    ----------
    X : array_like [n, d]
        Real numbers. float32 and float64 are returned without a copy; other real types become float64.
    name : str
        What to call it in a message.

    Raises
    ------
    ValueError
        Not two-dimensional, no column, not real numbers, or rows with NaN or infinity (the message counts them).
    """
    array = np.asarray(X)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"{name}: expected a matrix [n, d] with d >= 1, got shape {list(array.shape)}.")
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected real numbers, got dtype {array.dtype}.")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    bad = non_finite_rows(array)
    if len(bad):
        raise ValueError(
            f"{name}: {len(bad)} of {len(array)} rows hold NaN or infinity (the first is row {bad[0]}); "
            "leave them out before this step."
        )
    return array
