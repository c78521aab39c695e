"""Images to train on, from a folder of pictures or one array file, read when they are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from embeddings.codec import LEVELS_PER_UNIT, SIZE_PX

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class ImageSource:
    """Images of 256 px by number.

    Parameters
    ----------
    path
        A folder, searched to its bottom for pictures (the largest square in the middle is brought to 256 px), or a
        .npy file: uint8 [N, 256, 256, 3] in RGB, or floating point [N, 3, 256, 256] in [-1, 1].

    limit
        Only the first so many images, in the order of the array or of the files' names.

    Raises
    ------
    ValueError
        Nothing there, or an array of another kind.
    """

    def __init__(self, path: Path, *, limit: int | None = None) -> None:
        self._files: list[Path] = []
        self._array: NDArray[np.generic] | None = None
        if path.is_dir():
            self._files = sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES)[:limit]
            if not self._files:
                raise ValueError(f"{path} holds no picture ({', '.join(SUFFIXES)})")
            return
        if not path.is_file():
            raise ValueError(f"{path} is not there: expected a folder of pictures or a .npy file")
        try:
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise ValueError(f"{path.name} cannot be read as an array: {error}") from error
        kinds = {"u": (SIZE_PX, SIZE_PX, 3), "f": (3, SIZE_PX, SIZE_PX)}
        fits = array.dtype == np.uint8 or array.dtype.kind == "f"
        if not fits or array.shape[1:] != kinds[array.dtype.kind] or not len(array):
            raise ValueError(
                f"{path.name}: expected uint8 [N, {SIZE_PX}, {SIZE_PX}, 3] or floating point [N, 3, {SIZE_PX}, "
                f"{SIZE_PX}], got {array.dtype} {list(array.shape)}"
            )
        self._array = array[:limit]

    def __len__(self) -> int:
        return len(self._files) if self._array is None else len(self._array)

    def read(self, indices: Iterable[int]) -> NDArray[np.uint8]:
        """Images uint8 RGB [n, 256, 256, 3]; ValueError names a file that is no picture."""
        return np.stack([self._one(i) for i in indices])

    def _one(self, index: int) -> NDArray[np.uint8]:
        if self._array is None:
            return _picture(self._files[index])
        image = np.asarray(self._array[index])
        if image.dtype == np.uint8:
            return image
        levels = (np.clip(image.astype(np.float32), -1, 1) + 1) * LEVELS_PER_UNIT
        return np.rint(levels).astype(np.uint8).transpose(1, 2, 0)


def _picture(file: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(file) as opened:
            image = opened.convert("RGB")
    except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{file} cannot be read as a picture: {error}") from error
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    if image.size != (SIZE_PX, SIZE_PX):
        box = (left, top, left + side, top + side)
        image = image.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS, box=box)
    return np.asarray(image)
