"""The sample set's two forgeries: a face swap and a self-blended face.

Images are float32 [H, W, 3], RGB, in [0, 255]. No forgery touches a pixel outside its mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.sample.blend import feather_blend, match_colour, poisson_blend
from pipeline.ingest.sample.geometry import FloatImage, Points, warp_by_landmarks
from pipeline.ingest.sample.mask import FloatArray, bounding_region, inner_face_mask

_RIM_LIMIT = 30.0


@dataclass(frozen=True)
class SwapSettings:
    """How one clip's face swap is made; constant over the clip.

    Attributes
    ----------
    blend : {"poisson", "feather"}
    reach : float array [N_ANGLES]
        Outline of the swapped region, see `inner_face_mask`.
    feather_rel : float
        Width of the feather in face scales (about the eye distance).
    colour_strength : float
        See `match_colour`; less than 1 leaves part of the donor's tint.
    resample : float
        See `lower_resolution`.
    """

    blend: str
    reach: FloatArray
    feather_rel: float
    colour_strength: float
    resample: float

    def __post_init__(self) -> None:
        if self.blend not in ("poisson", "feather"):
            raise ValueError(f"expected blend 'poisson' or 'feather', got {self.blend!r}")


def face_scale_px(landmarks_px: Points) -> float:
    """The larger of the eye distance and the eye-to-mouth distance, in pixels."""
    eyes, mouth = landmarks_px[:2].mean(0), landmarks_px[3:].mean(0)
    return float(max(np.linalg.norm(landmarks_px[1] - landmarks_px[0]), np.linalg.norm(mouth - eyes)))


@dataclass(frozen=True, eq=False)
class DonorView:
    """One image of the donor and how much it counts.

    Attributes
    ----------
    image : float32 array [H, W, 3] in [0, 255]
    landmarks_px : float array [5, 2]
    weight : float
        The weights of a frame's views sum to 1.
    """

    image: FloatImage
    landmarks_px: Points
    weight: float


def swap_face(
    target: FloatImage, target_landmarks: Points, donor: Sequence[DonorView], settings: SwapSettings
) -> FloatImage:
    """Replace the inner face of `target` by the donor's, warped by landmarks, colour-matched and blended.

    Parameters
    ----------
    target : float32 array [H, W, 3] in [0, 255]
    target_landmarks : float array [5, 2]
    donor : sequence of DonorView
        Views are mixed after each has been warped onto the target's landmarks.
    settings : SwapSettings

    Returns
    -------
    float32 array [H, W, 3] in [0, 255]
    """
    size_hw = (target.shape[0], target.shape[1])
    mask = inner_face_mask(target_landmarks, size_hw, reach=settings.reach)
    region = bounding_region(mask)
    face = target.copy()
    face[region] = 0
    for view in donor:
        face[region] += view.weight * warp_by_landmarks(
            view.image, view.landmarks_px, target_landmarks, region_yx=region
        )
    face[region] = lower_resolution(face[region], settings.resample)
    face = match_colour(face, target, mask, strength=settings.colour_strength)
    if settings.blend == "poisson":
        face = poisson_blend(target, face, mask, rim_limit=_RIM_LIMIT)
    return feather_blend(target, face, mask, width_px=settings.feather_rel * face_scale_px(target_landmarks))


def lower_resolution(image: FloatImage, factor: float) -> FloatImage:
    """Reduce by `factor` (<= 1) and enlarge again, as a face made at a lower resolution arrives in the frame."""
    if factor >= 1:
        return image
    height, width = image.shape[:2]
    small = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(
        cv2.resize(image, small, interpolation=cv2.INTER_AREA), (width, height), interpolation=cv2.INTER_CUBIC
    )


@dataclass(frozen=True)
class SelfBlendSettings:
    """How one clip's self-blended face is made; constant over the clip.

    Shiohara and Yamasaki, "Detecting deepfakes with self-blended images", CVPR 2022: a face is blended with a slightly
    transformed copy of itself, which leaves blending traces and mismatched statistics but no other identity.

    Attributes
    ----------
    shift_rel : (float, float)
        Shift of the pasted copy, right and down, in face scales.
    zoom, angle_deg : float
        Scale and rotation of the copy about the face's centre.
    gain, offset : float arrays [3]
        Colour change per RGB channel: ``value * gain + offset``.
    resample : float
        See `lower_resolution`.
    sharpen : float
        Unsharp-mask amount applied to the copy; 0 for none.
    reach, feather_rel
        As in `SwapSettings`.
    """

    shift_rel: tuple[float, float]
    zoom: float
    angle_deg: float
    gain: NDArray[np.float32]
    offset: NDArray[np.float32]
    resample: float
    sharpen: float
    reach: FloatArray
    feather_rel: float


def self_blend(frame: FloatImage, landmarks_px: Points, settings: SelfBlendSettings) -> FloatImage:
    """Blend a slightly transformed copy of the face over itself.

    Parameters
    ----------
    frame : float32 array [H, W, 3] in [0, 255]
    landmarks_px : float array [5, 2]
    settings : SelfBlendSettings

    Returns
    -------
    float32 array [H, W, 3] in [0, 255]
    """
    height, width = frame.shape[:2]
    scale_px = face_scale_px(landmarks_px)
    copy = frame * settings.gain + settings.offset
    copy = lower_resolution(copy, settings.resample)
    if settings.sharpen > 0:
        copy = copy + settings.sharpen * (copy - cv2.GaussianBlur(copy, (0, 0), 1.5))
    centre = landmarks_px.mean(0)
    matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), settings.angle_deg, settings.zoom)
    matrix[:, 2] += np.asarray(settings.shift_rel) * scale_px
    copy = cv2.warpAffine(copy, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT_101)
    mask = inner_face_mask(landmarks_px, (height, width), reach=settings.reach)
    return feather_blend(frame, np.clip(copy, 0, 255), mask, width_px=settings.feather_rel * scale_px)
