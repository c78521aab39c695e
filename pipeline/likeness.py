"""What a cut face looks like in 1,024 numbers, so that two pictures of the same footage are found whatever their names.

A grey picture of 32 x 32 without its coarse light: every aligned face has eyes and mouth in the same places, and what
is left after taking the coarse part off is the footage's own detail (hair, folds, background), which survives
compression. The cosine of two such vectors is their likeness.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE_PX = 32
COARSE_PX = 2.0  # sigma of what is taken off


def likeness_vector(face_rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Unit vector float32 [1024] of one face uint8 [H, W, 3]; zeros for a flat picture."""
    grey = cv2.cvtColor(face_rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA).astype(np.float32)
    fine = (small - cv2.GaussianBlur(small, (0, 0), COARSE_PX)).ravel()
    fine -= fine.mean()
    length = float(np.linalg.norm(fine))
    return np.asarray(fine / length if length > 1e-3 else np.zeros_like(fine), dtype=np.float32)
