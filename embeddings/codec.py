"""What the codecs of this package (PCA, VQ-VAE-2) share: the pixel scale, the code of a batch, its quality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

# Grey levels per unit: [-1, 1] spans the 255 steps between black and white.
LEVELS_PER_UNIT = 127.5
SIZE_PX = 256


@dataclass(frozen=True)
class Coded:
    """Codes of N faces.

    Attributes
    ----------
    code : float32 [N, D]
        What classifiers, maps and clusters read.
    indices : int16 [N, M] or None
        The discrete code behind it, where there is one.
    mse_unit : float32 [N]
        Mean squared error of face and ``image``, in squared units of [-1, 1].
    image : float32 [N, 256, 256, 3]
        What the code is decoded to, clipped to [-1, 1].
    """

    code: NDArray[np.float32]
    indices: NDArray[np.int16] | None
    mse_unit: NDArray[np.float32]
    image: NDArray[np.float32]

    @classmethod
    def judged(
        cls,
        code: NDArray[np.float32],
        indices: NDArray[np.int16] | None,
        *,
        target: NDArray[np.float32],
        made: NDArray[np.float32],
    ) -> Coded:
        """Codes of ``target`` float32 [N, 256, 256, 3] that were decoded to ``made``, of as many numbers."""
        image = np.clip(made, -1, 1).reshape(target.shape)
        return cls(code, indices, mean_squared_error(target, image), image)

    @property
    def psnr_db(self) -> NDArray[np.float32]:
        """10 log10(2^2 / mse_unit), float32 [N] in dB; infinite for an exact reconstruction."""
        with np.errstate(divide="ignore"):
            return (10 * np.log10(4.0 / self.mse_unit.astype(np.float64))).astype(np.float32)


class Codec(Protocol):
    """Faces to codes. ``codec_id`` names everything a code depends on; only codes of equal id compare."""

    @property
    def codec_id(self) -> str: ...

    def code(self, images: NDArray[np.uint8]) -> Coded:
        """Code and judge faces uint8 RGB [N, 256, 256, 3]; a face's code does not depend on the others."""
        ...


def to_unit(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Faces uint8 RGB [N, 256, 256, 3] on the scale [-1, 1]: float32 of the same shape, ``value / 127.5 - 1``.

    Raises
    ------
    ValueError
        Another dtype or shape.
    """
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != (SIZE_PX, SIZE_PX, 3):
        raise ValueError(
            f"expected faces uint8 [N, {SIZE_PX}, {SIZE_PX}, 3], got {images.dtype} {list(images.shape)}"
            + ("; set faces.size_px: 256" if images.ndim == 4 else "")
        )
    return images.astype(np.float32) / np.float32(LEVELS_PER_UNIT) - np.float32(1)


def mean_squared_error(target: NDArray[np.float32], made: NDArray[np.float32]) -> NDArray[np.float32]:
    """Per face, float32 [N], of ``made`` clipped to [-1, 1]; both [N, ...] of equal shape."""
    difference = (np.clip(made, -1, 1) - target).reshape(len(target), -1)
    return np.square(difference).mean(axis=1, dtype=np.float64).astype(np.float32)
