"""A frozen principal-component projection: plain arrays, stored and loaded without code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from embeddings.checks import CHUNK_ROWS, as_matrix

_ARRAY_NAMES = ("mean", "scale", "components", "explained_variance", "total_variance", "whiten")


@dataclass(frozen=True, eq=False)
class Pca:
    """A frozen projection: ``((x - mean) / scale) @ components.T``, by deviation 1 each when whitening.

    Attributes
    ----------
    mean, scale : float64 [d]
        ``scale`` is 1 everywhere unless the columns were standardised.
    components : float64 [k, d]
        Orthonormal rows, largest variance first; each one's largest entry by magnitude is positive.
    explained_variance : float64 [k]
        Variance along each component, n - 1 in the denominator.
    total_variance : float
        Of all (scaled) columns together.
    whiten : bool
        Whether ``transform`` divides by the square root of ``explained_variance``.
    """

    mean: NDArray[np.floating]
    scale: NDArray[np.floating]
    components: NDArray[np.floating]
    explained_variance: NDArray[np.floating]
    total_variance: float
    whiten: bool

    @property
    def n_components(self) -> int:
        """Components kept; fewer than asked for where the data has no more directions."""
        return len(self.components)

    @property
    def explained_variance_ratio(self) -> NDArray[np.floating]:
        return self.explained_variance / self.total_variance

    @property
    def pca_id(self) -> str:
        """``pca<k>[-std][-white]-<8 hex digits of the arrays' SHA-256>``; equal ids mean comparable codes."""
        digest = hashlib.sha256()
        for name, array in sorted(self.arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        standardised = "-std" if np.any(self.scale != 1) else ""
        return f"pca{self.n_components}{standardised}{'-white' if self.whiten else ''}-{digest.hexdigest()[:8]}"

    def transform(self, X: ArrayLike) -> NDArray[np.float32]:
        """Project rows [n, d] to float32 [n, k]; a row's result does not depend on the others.

        Raises
        ------
        ValueError
            Not a matrix, another number of columns, or NaN.
        """
        array = as_matrix(X)
        self._check_columns(array.shape[1], len(self.mean))
        out = np.empty((len(array), self.n_components), dtype=np.float32)
        divisor = np.sqrt(self.explained_variance) if self.whiten else 1.0
        for start in range(0, len(array), CHUNK_ROWS):
            chunk = (array[start : start + CHUNK_ROWS] - self.mean) / self.scale  # [m, d] float64
            out[start : start + CHUNK_ROWS] = chunk @ self.components.T / divisor
        return out

    def inverse_transform(self, codes: ArrayLike) -> NDArray[np.float32]:
        """Rows [n, k] back to the original columns, float32 [n, d]; exact only within the kept subspace."""
        array = as_matrix(codes, name="codes")
        self._check_columns(array.shape[1], self.n_components)
        factor = np.sqrt(self.explained_variance) if self.whiten else 1.0
        return (((array * factor) @ self.components) * self.scale + self.mean).astype(np.float32)

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Everything needed to make this object again, as arrays for a safetensors or npz file."""
        return {name: np.atleast_1d(np.asarray(getattr(self, name), dtype=np.float64)) for name in _ARRAY_NAMES}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.floating]]) -> Pca:
        """Make the object that `arrays` came from.

        Raises
        ------
        ValueError
            An array is missing, or shapes do not belong together.
        """
        missing = [name for name in _ARRAY_NAMES if name not in arrays]
        if missing:
            raise ValueError(f"PCA: expected arrays {', '.join(_ARRAY_NAMES)}; missing {', '.join(missing)}.")
        mean, scale, components, variance = (np.asarray(arrays[name], dtype=np.float64) for name in _ARRAY_NAMES[:4])
        if (
            components.ndim != 2
            or variance.shape != components.shape[:1]
            or not (mean.shape == scale.shape == components.shape[1:])
        ):
            raise ValueError(
                f"PCA: shapes do not belong together: mean {list(mean.shape)}, scale {list(scale.shape)}, components "
                f"{list(components.shape)}, explained_variance {list(variance.shape)}."
            )
        total, whiten = float(arrays["total_variance"][0]), bool(arrays["whiten"][0])
        return cls(mean, scale, components, variance, total, whiten)

    @staticmethod
    def _check_columns(got: int, expected: int) -> None:
        if got != expected:
            raise ValueError(f"PCA: expected {expected} columns, got {got}.")
