"""Still images with Pillow: upright, RGB, within the size limits."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from pipeline.ingest.limits import UnreadableVideo, check_size

# Naming the formats keeps Pillow's rarer readers (EPS starts Ghostscript) away from untrusted files.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP")
# What Pillow raises for damaged files, besides OSError: its chunk readers do not agree on one class.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error)
_BOMB = (Image.DecompressionBombError, Image.DecompressionBombWarning)


def read_still(path: Path) -> NDArray[np.uint8]:
    """Read an image as it is meant to be seen.

    EXIF orientation is applied, alpha is dropped (not blended), 16-bit grey keeps its upper 8 bits, and of an
    animation the first picture is taken.

    Returns
    -------
    uint8 [H, W, 3], RGB, 0 to 255.

    Raises
    ------
    UnreadableVideo : not an image, damaged, cut short, or larger than the limits.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            check_size(*image.size)
            return _to_rgb(ImageOps.exif_transpose(image))
    except UnreadableVideo:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableVideo("not an image file (PNG, JPEG, WebP or BMP)") from error
    except _BOMB as error:
        raise UnreadableVideo("the image claims more pixels than are read from one file") from error
    except _DAMAGE as error:
        raise UnreadableVideo(f"the image is damaged or cut short: {error}") from error


def _to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode.startswith("I;16") or image.mode == "I":  # Pillow would clip these to white
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)  # [H, W, 3]
    return np.array(image.convert("RGB"), dtype=np.uint8)
