"""Stored images to arrays, difference images, and images that sit inside an HTML page."""

from __future__ import annotations

import base64
import io
import warnings

import numpy as np
from PIL import Image, UnidentifiedImageError

DIFFERENCE_GAIN = 3
_MAX_SIDE_PX = 4096


def decode(data: bytes | None) -> np.ndarray | None:
    """Decode an encoded image; None where it is missing, broken or larger than 4096 px a side.

    Returns
    -------
    uint8 [H, W, 3] RGB or None
    """
    if not data:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(data)) as image:
                if max(image.size) > _MAX_SIDE_PX:
                    return None
                return np.asarray(image.convert("RGB"))
    # Pillow reports a broken file through any of these, SyntaxError for a broken PNG chunk among them.
    except (
        UnidentifiedImageError,
        OSError,
        ValueError,
        SyntaxError,
        Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ):
        return None


def difference(original: np.ndarray, reconstruction: np.ndarray, *, gain: int = DIFFERENCE_GAIN) -> np.ndarray | None:
    """Absolute difference times ``gain``, clipped; None where the sizes differ.

    Parameters
    ----------
    original, reconstruction : uint8 [H, W, 3]

    Returns
    -------
    uint8 [H, W, 3] or None
    """
    if original.shape != reconstruction.shape:
        return None
    gap = np.abs(original.astype(np.int16) - reconstruction.astype(np.int16)) * gain
    return np.minimum(gap, 255).astype(np.uint8)


def encode(rgb: np.ndarray, *, kind: str = "PNG", size_px: int | None = None, quality: int = 88) -> bytes:
    """Encode uint8 [H, W, 3] as PNG or JPEG, first reduced so that the longer side is at most ``size_px``."""
    image = Image.fromarray(np.ascontiguousarray(rgb))
    if size_px is not None and max(image.size) > size_px:
        image.thumbnail((size_px, size_px), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    options = {"quality": quality, "optimize": True} if kind == "JPEG" else {}
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def data_uri(data: bytes, *, kind: str = "png") -> str:
    """Bytes of an image as an address that needs no network."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def thumbnail_uri(data: bytes | None, *, size_px: int) -> str | None:
    """A stored image as a small JPEG address; None where it cannot be decoded."""
    rgb = decode(data)
    return None if rgb is None else data_uri(encode(rgb, kind="JPEG", size_px=size_px), kind="jpeg")
