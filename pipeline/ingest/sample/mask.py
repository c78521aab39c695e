"""The region a forger replaces: the inner face, kept to where skin is seen."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.sample.geometry import FloatImage, Points, face_frame

Mask = NDArray[np.bool_]
FloatArray = NDArray[np.float64]

#: Angles at which an outline is described, equally spaced, from the face's right (of the image) clockwise.
N_ANGLES = 64

# Half-axes of the inner face about `face_frame`'s centre, in face scales: from just above the brows to the hollow
# above the chin's edge, and short of the ears, so that hair, jaw line and background stay the target's own.
_HALF_WIDTH = 1.02
_HALF_UP = 0.92
_HALF_DOWN = 1.14
_SUPERELLIPSE_POWER = 2.4

# Skin: CIELAB values within this many robust deviations of the middle of the face, plus an allowance for shading.
_SKIN_DEVIATIONS = 3.0
_SKIN_ALLOWANCE = np.array([14.0, 5.0, 5.0])
_SAMPLE_SHARE = 0.55
_LEAST_REACH = 0.5
_RADII = np.linspace(_LEAST_REACH, 1.0, 26)


def outline_points(landmarks_px: Points, reach: FloatArray | float = 1.0) -> Points:
    """Outline of the inner face, float64 [N_ANGLES, 2]; `reach` ([N_ANGLES] or one number) scales it per angle."""
    centre, right, down = face_frame(landmarks_px)
    angles = np.arange(N_ANGLES) * (2 * np.pi / N_ANGLES)
    cos, sin = np.cos(angles), np.sin(angles)
    radius = (np.abs(cos) ** _SUPERELLIPSE_POWER + np.abs(sin) ** _SUPERELLIPSE_POWER) ** (-1 / _SUPERELLIPSE_POWER)
    along = reach * radius * cos * _HALF_WIDTH
    across = reach * radius * sin * np.where(sin < 0, _HALF_UP, _HALF_DOWN)
    return centre + along[:, None] * right + across[:, None] * down


def inner_face_mask(landmarks_px: Points, size_hw: tuple[int, int], *, reach: FloatArray | float = 1.0) -> Mask:
    """The inner face (brows to lower lip's hollow, cheek to cheek) as a mask.

    Parameters
    ----------
    landmarks_px : float array [5, 2]
    size_hw : (int, int)
        Height and width of the mask.
    reach : float or float array [N_ANGLES]
        Share of the standard outline's radius, for each of N_ANGLES directions.

    Returns
    -------
    bool array [size_hw]
    """
    mask = np.zeros(size_hw, np.uint8)
    cv2.fillPoly(mask, [np.rint(outline_points(landmarks_px, reach)).astype(np.int32)], 1)
    return mask.astype(bool)


def skin_reach(images: Sequence[FloatImage], landmarks_px: Points) -> FloatArray:
    """How far skin reaches in each direction, one profile for a clip.

    A blend whose rim lies on hair or background drags their colour over the face. In each image the skin is taken as
    what has the colour of the face's middle; the convex hull of that (which brings eyes, lips and brows back in) is
    measured along the outline's rays. The lower quartile over the images holds while the head turns.

    Parameters
    ----------
    images : sequence of float32 arrays [H, W, 3] in [0, 255], at least one
    landmarks_px : float array [T, 5, 2]

    Returns
    -------
    float64 array [N_ANGLES] in [0.5, 1]
        For `inner_face_mask`.
    """
    if len(images) == 0 or len(images) != len(landmarks_px):
        raise ValueError(
            f"expected as many images as landmark sets, at least 1, got {len(images)}, {len(landmarks_px)}"
        )
    profiles = np.stack([_skin_profile(image, points) for image, points in zip(images, landmarks_px, strict=True)])
    reach = np.quantile(profiles, 0.25, axis=0)
    neighbours = np.stack([np.roll(reach, shift) for shift in (-2, -1, 0, 1, 2)])
    return np.minimum(neighbours.mean(0), reach)


def _skin_profile(image: FloatImage, landmarks_px: Points) -> FloatArray:
    size_hw = (image.shape[0], image.shape[1])
    smooth = cv2.GaussianBlur(np.clip(image, 0, 255) / np.float32(255), (0, 0), 1.5)
    lab = cv2.cvtColor(smooth, cv2.COLOR_RGB2LAB)
    face = inner_face_mask(landmarks_px, size_hw)
    middle = lab[inner_face_mask(landmarks_px, size_hw, reach=_SAMPLE_SHARE)]
    if not len(middle):
        raise ValueError("expected a face inside the image, got landmarks outside it")
    median = np.median(middle, axis=0)
    deviation = 1.4826 * np.median(np.abs(middle - median), axis=0)
    limit = _SKIN_DEVIATIONS * deviation + _SKIN_ALLOWANCE
    skin = ((((lab - median) / limit) ** 2).sum(-1) < 1) & face
    skin_u8 = cv2.morphologyEx(skin.astype(np.uint8), cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    points = cv2.findNonZero(skin_u8)
    hull = np.zeros(size_hw, np.uint8)
    if points is not None:
        cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    inside = np.stack([_sample(hull, outline_points(landmarks_px, float(radius))) for radius in _RADII])  # [R, A]
    last = np.where(inside.any(0), len(_RADII) - 1 - np.argmax(inside[::-1], axis=0), 0)
    return _RADII[last]


def _sample(mask_u8: NDArray[np.uint8], points: Points) -> Mask:
    x, y = np.rint(points).astype(int).T
    height, width = mask_u8.shape
    seen = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return seen & (mask_u8[np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)] > 0)


def bounding_region(mask: Mask) -> tuple[slice, slice]:
    """Rows and columns of the smallest rectangle around a mask; ValueError if the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        raise ValueError("expected a mask with at least one pixel, got an empty one")
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)
