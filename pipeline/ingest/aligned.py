"""Where the five landmarks of a face lie in its aligned crop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.align import ffhq_quad


def landmarks_in_crop(
    crop: Literal["ffhq", "margin", "whole"],
    landmarks_px: Sequence[float] | None,
    box_xyxy_px: Sequence[float] | None,
    *,
    margin: float,
    size_px: int,
) -> NDArray[np.float64] | None:
    """Landmarks in pixels of the crop, float64 [5, 2]; None where no detector told them.

    Parameters
    ----------
    crop, margin, size_px : as the crop was cut (`align`).
    landmarks_px : [10] x, y of five points, in the frame's pixels.
    box_xyxy_px : [4], likewise; a margin crop is cut around it.
    """
    if landmarks_px is None or crop == "whole":
        return None
    points = np.asarray(landmarks_px, dtype=np.float64).reshape(5, 2)
    if crop == "ffhq":
        quad = ffhq_quad(points)
        start, axes = quad[0], np.stack([quad[3] - quad[0], quad[1] - quad[0]], axis=1)  # columns: right, down
        return np.asarray(np.linalg.solve(axes, (points - start).T).T * size_px)
    if box_xyxy_px is None:
        return None
    box = np.asarray(box_xyxy_px, dtype=np.float64)
    side = (box[2:] - box[:2]).max() * (1 + margin)
    return np.asarray((points - (box[:2] + box[2:]) / 2 + side / 2) / side * size_px)
