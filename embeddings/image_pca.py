"""Principal components of whole images, fitted on a stream in bounded memory.

A face of 256 px has 196,608 numbers, more than there are faces, and 512 components of it take 0.4 GB. `ImagePcaFit`
is the incremental PCA of Ross et al. (2008), as scikit-learn has it, worked through the Gram matrix of components kept
and new rows in float64, a block of columns at a time: besides the components, twice, it holds one batch of faces as
bytes and one block of columns. With no more faces than one batch the result is the exact PCA. Beyond that it depends on
the order of faces, by what was dropped outside the leading components in earlier updates.

References
----------
Ross, Lim, Lin and Yang (2008). Incremental learning for robust visual tracking. IJCV 77.
Delmas et al. LatentForensics: 512 components of faces at 256 px.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.linalg import eigh

from embeddings.codec import LEVELS_PER_UNIT, SIZE_PX, Coded, to_unit

_BLOCK_COLUMNS = 8192
# Squared length, by the longest, below which a direction is rounding of float32 components.
_NOISE = 1e-10
_ARRAYS = ("mean", "components", "explained_variance", "n_fitted")


@dataclass(frozen=True, eq=False)
class ImagePca:
    """Frozen components of images; a code is ``(x - mean) @ components.T`` with pixels in [-1, 1].

    Attributes
    ----------
    mean : float32 [d]
    components : float32 [k, d]
        Orthonormal rows, largest variance first; each one's largest entry by magnitude is positive.
    explained_variance : float64 [k]
        n - 1 in the denominator.
    n_fitted : int
        Faces it was fitted on.
    """

    mean: NDArray[np.float32]
    components: NDArray[np.float32]
    explained_variance: NDArray[np.float64]
    n_fitted: int

    @cached_property
    def codec_id(self) -> str:
        """``pca-<k>-<8 hex digits of the SHA-256 of its arrays>``."""
        digest = hashlib.sha256()
        for array in self.arrays().values():
            digest.update(np.ascontiguousarray(array).data)
        return f"pca-{len(self.components)}-{digest.hexdigest()[:8]}"

    def code(self, images: NDArray[np.uint8]) -> Coded:
        """As in `embeddings.codec.Codec`; D is the number of components."""
        x = to_unit(images)
        code = self.transform(x.reshape(len(x), -1))
        return Coded.judged(code, None, target=x, made=self.inverse_transform(code))

    def transform(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows float32 [N, d] in [-1, 1] to float32 [N, k]; ValueError for another number of columns."""
        if x.ndim != 2 or x.shape[1] != len(self.mean):
            raise ValueError(f"PCA: expected rows [N, {len(self.mean)}], got {list(x.shape)}")
        return np.asarray((x - self.mean) @ self.components.T, dtype=np.float32)

    def inverse_transform(self, code: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows [N, k] back to pixels float32 [N, d], not clipped."""
        return code @ self.components + self.mean

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """Everything needed to make the object again."""
        return {
            "mean": self.mean,
            "components": self.components,
            "explained_variance": self.explained_variance,
            "n_fitted": np.array([self.n_fitted], dtype=np.int64),
        }


class ImagePcaFit:
    """Takes images in batches of any size; `finish` gives the components.

    Parameters
    ----------
    n_components
        Wanted at most; there are never more than faces less one.
    batch_rows
        Faces per update; at least ``n_components`` makes the earlier updates drop little.
    """

    def __init__(self, n_components: int, *, batch_rows: int = 512) -> None:
        if n_components < 1 or batch_rows < 1:
            raise ValueError(f"expected at least 1 component and row, got {n_components} and {batch_rows}")
        self.n_components = n_components
        self.batch_rows = batch_rows
        self.n_seen = 0
        self._waiting: list[NDArray[np.uint8]] = []
        self._n_waiting = 0
        self._mean = np.zeros(0)
        self._scaled = np.zeros((0, 0), dtype=np.float32)  # [k, d]: components times singular values
        self._squares = np.zeros(0)  # singular values, squared

    def add(self, images: NDArray[np.uint8]) -> None:
        """Take faces uint8 [n, S, S, 3]; all of one size."""
        if images.dtype != np.uint8 or images.ndim != 4:
            raise ValueError(f"expected images uint8 [n, S, S, 3], got {images.dtype} {list(images.shape)}")
        rows = images.reshape(len(images), int(np.prod(images.shape[1:])))
        known = self._mean.size or (self._waiting[0].shape[1] if self._waiting else rows.shape[1])
        if rows.shape[1] != known:
            raise ValueError(f"PCA: images of different sizes: {known} numbers, then {rows.shape[1]}")
        while len(rows):
            room = self.batch_rows - self._n_waiting
            self._waiting.append(rows[:room])
            self._n_waiting += len(rows[:room])
            rows = rows[room:]
            if self._n_waiting == self.batch_rows:
                self._update()

    def finish(self) -> ImagePca:
        """The components of all images added.

        Raises
        ------
        ValueError
            Fewer than two images, or all equal.
        """
        if self._n_waiting:
            self._update()
        if self.n_seen < 2:
            raise ValueError(f"PCA needs at least 2 faces to be fitted on, got {self.n_seen}")
        if not len(self._squares):
            raise ValueError(f"PCA: all {self.n_seen} faces are equal, so there is no direction to project on")
        lengths = np.sqrt(self._squares).astype(np.float32)
        components = np.asarray(self._scaled / lengths[:, None], dtype=np.float32)
        largest = np.abs(components).argmax(axis=1)
        components *= np.sign(components[np.arange(len(components)), largest])[:, None]
        variance = self._squares / (self.n_seen - 1)
        return ImagePca(self._mean.astype(np.float32), components, np.asarray(variance, dtype=np.float64), self.n_seen)

    def _update(self) -> None:
        batch = np.concatenate(self._waiting)
        self._waiting, self._n_waiting = [], 0
        if self._mean.size == 0:
            self._mean = np.zeros(batch.shape[1])
            self._scaled = np.zeros((0, batch.shape[1]), dtype=np.float32)
        total = self.n_seen + len(batch)
        batch_mean = batch.mean(axis=0, dtype=np.float64) / LEVELS_PER_UNIT - 1
        shift = np.sqrt(self.n_seen * len(batch) / total) * (self._mean - batch_mean)
        n_rows = len(self._scaled) + len(batch) + 1
        gram = np.zeros((n_rows, n_rows))
        for columns in self._blocks():
            block = self._block(batch, batch_mean, shift, columns)
            gram += block @ block.T
        k = min(self.n_components, total - 1, n_rows)
        if k:
            values, vectors = eigh(gram, subset_by_index=[n_rows - k, n_rows - 1])
            real = values > max(values[-1], 0) * _NOISE
            # Largest first. Rows of length sqrt(value): components times singular values.
            turn, self._squares = vectors[:, real][:, ::-1].T, values[real][::-1]  # [k, n_rows]
            scaled = np.empty((len(turn), batch.shape[1]), dtype=np.float32)
            for columns in self._blocks():
                scaled[:, columns] = turn @ self._block(batch, batch_mean, shift, columns)
            self._scaled = scaled
        self._mean = self._mean + (batch_mean - self._mean) * (len(batch) / total)
        self.n_seen = total

    def _blocks(self) -> Iterator[slice]:
        return (slice(start, start + _BLOCK_COLUMNS) for start in range(0, len(self._mean), _BLOCK_COLUMNS))

    def _block(
        self, batch: NDArray[np.uint8], batch_mean: NDArray[np.float64], shift: NDArray[np.float64], columns: slice
    ) -> NDArray[np.float64]:
        """What is kept, the centred new rows and the shift of the mean, one under the other, float64 [n_rows, c]."""
        centred = batch[:, columns] / LEVELS_PER_UNIT - 1 - batch_mean[columns]
        return np.concatenate([self._scaled[:, columns], centred, shift[None, columns]])


def save_pca(pca: ImagePca, path: Path) -> None:
    """Write the arrays as safetensors, under a temporary name that is then changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    save_file({name: np.ascontiguousarray(array) for name, array in pca.arrays().items()}, part)
    os.replace(part, path)  # noqa: PTH105 - os.replace is the documented atomic rename


def load_pca(path: Path) -> ImagePca:
    """Read what `save_pca` wrote.

    Raises
    ------
    ValueError
        The file cannot be read, or its arrays do not belong together or hold NaN.
    """
    try:
        arrays = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path.name} cannot be read as PCA: {error}") from error
    if set(arrays) != set(_ARRAYS):
        raise ValueError(f"{path.name} holds {sorted(arrays)}, expected {sorted(_ARRAYS)}")
    mean, components, variance, n_fitted = (arrays[name] for name in _ARRAYS)
    n_columns = 3 * SIZE_PX * SIZE_PX
    if mean.ndim != 1 or components.shape != (len(variance), len(mean)) or n_fitted.shape != (1,):
        raise ValueError(f"{path.name}: mean {list(mean.shape)} and components {list(components.shape)} do not fit")
    if len(mean) != n_columns or not len(components):
        raise ValueError(f"{path.name}: expected components of {n_columns} numbers, got {list(components.shape)}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError(f"{path.name} holds NaN or infinity")
    return ImagePca(
        mean.astype(np.float32, copy=False),
        components.astype(np.float32, copy=False),
        variance.astype(np.float64, copy=False),
        int(n_fitted[0]),
    )
