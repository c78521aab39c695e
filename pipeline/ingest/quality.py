"""Cheap quality figures of a cut face: sharpness, head turn, size."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.ingest.detect import check_rgb

BLUR_SIZE_PX = 256  # sharpness is measured at one size, so that figures compare across crop sizes
NOSE_DEPTH = 0.9  # nose tip before the plane of the eyes, in half eye distances


def blur(face_rgb: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of the luma at 256 px: **low = blurred**, 0 for a flat image.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000: 4-neighbour Laplacian of Rec.
    601 luma in [0, 255], so the unit is squared grey levels. It grows with noise and contrast too, and falls with a
    face enlarged from few pixels; faces compare only within one crop mode.
    """
    height, width = check_rgb(face_rgb)
    luma = cv2.cvtColor(face_rgb, cv2.COLOR_RGB2GRAY).astype(np.float32)
    if (height, width) != (BLUR_SIZE_PX, BLUR_SIZE_PX):
        interpolation = cv2.INTER_AREA if min(height, width) >= BLUR_SIZE_PX else cv2.INTER_LINEAR
        luma = cv2.resize(luma, (BLUR_SIZE_PX, BLUR_SIZE_PX), interpolation=interpolation)
    return float(cv2.Laplacian(luma, cv2.CV_32F, ksize=1).var(dtype=np.float64))


def yaw_deg(landmarks_px: ArrayLike) -> float:
    """Estimated turn of the head about its vertical axis, in degrees, from five landmarks.

    Positive: the nose points to the viewer's right. Frontal is 0; the range is [-90, 90].

    With eyes at (-+a, 0, 0) and the nose tip at depth d before them, an orthographic view of the head turned by t
    puts the nose d sin t beside the midline and the eyes 2 a cos t apart, so t = atan2(offset / (d / a), half eye
    distance), with d / a = 0.9. The midline runs through eyes' and mouth's midpoints, so tilting the head sideways
    changes nothing.

    Limits: one d / a for all heads (0.7 instead of 0.9 makes 30 degrees read 24); nodding together with turning
    leaks a little; beyond about 50 degrees detectors draw the hidden eye inwards and the estimate saturates. Good
    for sorting faces, not for measuring heads.

    Returns
    -------
    float : NaN where the landmarks are not finite or show no direction (eyes and mouth, or eyes and nose, coincide).

    Raises
    ------
    ValueError : not [5, 2].
    """
    points = np.asarray(landmarks_px, dtype=np.float64)
    if points.shape != (5, 2):
        raise ValueError(f"expected five landmarks [5, 2], got shape {list(points.shape)}")
    eye_left, eye_right, nose, mouth_left, mouth_right = points
    eyes = (eye_left + eye_right) / 2
    down = (mouth_left + mouth_right) / 2 - eyes
    length = np.linalg.norm(down)
    if not np.isfinite(points).all() or length == 0:
        return float("nan")
    right = np.array([down[1], -down[0]]) / length
    offset = float((nose - eyes) @ right)
    half_eyes = abs(float((eye_right - eye_left) @ right)) / 2
    if offset == 0 and half_eyes == 0:
        return float("nan")
    return float(np.degrees(np.arctan2(offset / NOSE_DEPTH, half_eyes)))


def face_width_px(box_xyxy_px: ArrayLike) -> float:
    """Width of the detector's box in pixels of the original frame, as detected (a part outside the frame counts)."""
    box = np.asarray(box_xyxy_px, dtype=np.float64)
    if box.shape != (4,):
        raise ValueError(f"expected a box [4], got shape {list(box.shape)}")
    return float(box[2] - box[0])
