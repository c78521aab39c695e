"""Images as bytes for the tables: lossless PNG in, whatever OpenCV reads out."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.detect import check_rgb


def encode_png(rgb: NDArray[np.uint8]) -> bytes:
    """Lossless PNG of an image uint8 [H, W, 3] RGB."""
    check_rgb(rgb)
    done, data = cv2.imencode(".png", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
    if not done:
        raise ValueError(f"an image of shape {list(rgb.shape)} could not be encoded as PNG")
    return bytes(data)


def decode_image(data: bytes) -> NDArray[np.uint8]:
    """RGB uint8 [H, W, 3] of an encoded image (PNG, JPEG and what else OpenCV reads); ValueError where it is none."""
    encoded = np.frombuffer(data, dtype=np.uint8)
    bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if encoded.size else None
    if bgr is None:
        raise ValueError(f"{len(data)} bytes are not an image that can be decoded")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
