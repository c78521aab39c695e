"""Skin tone on the cheeks as an angle in CIELAB (ITA), and how bright a face is.

The individual typology angle is ITA = atan((L* - 50) / b*) in degrees, and its classes are those of A. Chardon, I.
Cretois, C. Hourseau, "Skin colour typology and suntanning pathways", International Journal of Cosmetic Science 13,
1991. They were made for a colorimeter held against the skin. Read off a picture, the angle also carries the light, the
camera's white balance and exposure, make-up and compression (J. J. Howard et al., "Reliability and Validity of
Image-Based and Self-Reported Skin Phenotype Metrics", IEEE TBIOM 3(4), 2021): it sorts pictures by how light the skin
*appears*, it does not tell a person's skin tone, still less an ethnicity.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipeline.ingest.align import DegenerateFaceError, ffhq_quad
from pipeline.ingest.detect import check_rgb

#: Lower ends of the classes in degrees, from dark to very light (Chardon et al.).
ITA_EDGES = (-30.0, 10.0, 28.0, 41.0, 55.0)
SKIN_TONES = ("dark", "brown", "tan", "intermediate", "light", "very light")
PATCH_SHARE = 0.24  # side of a cheek's patch, of the eye distance
OUTWARD_SHARE = 0.08  # its centre lies this far outside the middle of eye and mouth corner, of the eye distance
MIN_PATCH_PX = 6.0
ONE_CHEEK_DEG = 20.0  # beyond this yaw only the nearer cheek is measured


@dataclass(frozen=True)
class Skin:
    """``ita_deg`` in [-90, 90]; ``gap_deg``: how much the cheeks differ (side light); both empty with a reason."""

    ita_deg: float | None = None
    gap_deg: float | None = None
    reason: str | None = None


def crop_landmarks(
    landmarks_px: ArrayLike, box_xyxy_px: ArrayLike, *, crop: str, margin: float, size_px: int
) -> NDArray[np.float64]:
    """The five landmarks in the cut face's own pixels, float64 [5, 2].

    Raises
    ------
    ValueError (DegenerateFaceError among them) : a crop without a known place, or landmarks that determine none.
    """
    points = np.asarray(landmarks_px, dtype=np.float64).reshape(-1, 2)
    if crop == "ffhq":
        quad = ffhq_quad(points)
    elif crop == "margin":
        box = np.asarray(box_xyxy_px, dtype=np.float64)
        half = (box[2:] - box[:2]).max() * (1 + margin) / 2
        quad = (box[:2] + box[2:]) / 2 + half * np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]])
    else:
        raise ValueError(f"a crop '{crop}' does not tell where its landmarks are")
    axes = np.stack([quad[3] - quad[0], quad[1] - quad[0]], axis=1) / size_px  # columns: across, down
    return np.asarray(np.linalg.solve(axes, (points - quad[0]).T).T, dtype=np.float64)


def cheeks(landmarks: NDArray[np.float64]) -> NDArray[np.float64]:
    """Squares on the left and right cheek (the viewer's): float64 [2, 4] x0, y0, x1, y1 in the crop's pixels."""
    eyes, mouth = landmarks[:2], landmarks[3:]
    across = eyes[1] - eyes[0]
    distance = float(np.linalg.norm(across))
    outward = OUTWARD_SHARE * np.stack([-across, across])
    centre = (eyes + mouth) / 2 + outward  # [2, 2]
    half = PATCH_SHARE * distance / 2
    return np.concatenate([centre - half, centre + half], axis=1)


def measure_skin(face_rgb: NDArray[np.uint8], landmarks: NDArray[np.float64] | None, *, yaw_deg: float | None) -> Skin:
    """ITA of the cheeks of one cut face, from the medians of L* and b* (D65) in each cheek's patch.

    Parameters
    ----------
    face_rgb : uint8 [S, S, 3].
    landmarks : [5, 2] in the crop's pixels, None where unknown.
    yaw_deg : beyond +-20 only the nearer cheek counts (positive: the nose points right, the left cheek is nearer).
    """
    if landmarks is None:
        return Skin(reason="no landmarks in this crop")
    side = check_rgb(face_rgb)[0]
    squares = cheeks(landmarks)
    if squares[0, 2] - squares[0, 0] < MIN_PATCH_PX:
        return Skin(reason="the cheeks are too small")
    angles = []
    turned = 0.0 if yaw_deg is None or not np.isfinite(yaw_deg) else yaw_deg
    for index, (x0, y0, x1, y1) in enumerate(np.rint(squares).astype(int)):
        nearer = index == (0 if turned > 0 else 1)
        if abs(turned) > ONE_CHEEK_DEG and not nearer:
            continue
        if min(x0, y0) < 0 or max(x1, y1) > side:
            continue
        lab = to_lab(face_rgb[y0:y1, x0:x1])
        light, _, yellow = np.median(lab.reshape(-1, 3), axis=0)
        if yellow > 0:
            angles.append(float(np.degrees(np.arctan2(light - 50.0, yellow))))
    if not angles:
        return Skin(reason="the cheeks lie outside the crop or have no skin colour")
    gap = abs(angles[0] - angles[1]) if len(angles) == 2 else None
    return Skin(ita_deg=float(np.mean(angles)), gap_deg=gap)


def to_lab(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """8-bit sRGB to CIELAB (D65): L* in [0, 100], a* and b* unbounded in principle; float32, same shape."""
    unit = np.ascontiguousarray(rgb, dtype=np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(unit, cv2.COLOR_RGB2LAB), dtype=np.float32)


def brightness(face_rgb: NDArray[np.uint8]) -> float:
    """Mean L* of the crop's inner half, in [0, 100]."""
    side = check_rgb(face_rgb)[0]
    inner = face_rgb[side // 4 : side - side // 4, side // 4 : side - side // 4]
    return float(to_lab(inner)[..., 0].mean(dtype=np.float64))


__all__ = [
    "ITA_EDGES",
    "SKIN_TONES",
    "DegenerateFaceError",
    "Skin",
    "brightness",
    "cheeks",
    "crop_landmarks",
    "measure_skin",
    "to_lab",
]
