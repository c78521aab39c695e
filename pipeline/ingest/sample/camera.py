"""The sample set's camera: surroundings for a square face image, slow camera movement, exposure, sensor noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.sample.geometry import FloatImage
from pipeline.ingest.sample.motion import smooth_curve

FRAME_HEIGHT_PX, FRAME_WIDTH_PX = 320, 384
#: Side of the generator's square in the frame at zoom 1; the face is about half as wide.
SQUARE_PX = 304
_PAD_SHARE = 0.35


def add_surroundings(square: FloatImage) -> FloatImage:
    """Extend a square image on all sides by its blurred reflection, as FFHQ's alignment does where a crop leaves it.

    Parameters
    ----------
    square : float32 array [S, S, 3]

    Returns
    -------
    float32 array [S + 2 P, S + 2 P, 3], P = round(0.35 S)
        The square stays untouched but for a thin band along its border that fades into the blur.
    """
    side = square.shape[0]
    if square.ndim != 3 or square.shape[1] != side or square.shape[2] != 3:
        raise ValueError(f"expected a square image [S, S, 3], got {square.shape}")
    pad = round(_PAD_SHARE * side)
    padded = cv2.copyMakeBorder(square, pad, pad, pad, pad, cv2.BORDER_REFLECT_101)
    blurred = cv2.GaussianBlur(padded, (0, 0), 0.06 * side)
    coordinate = np.arange(side + 2 * pad, dtype=np.float32) - pad
    depth = np.minimum(coordinate, side - 1 - coordinate)  # > 0 inside
    inside = np.minimum(depth[:, None], depth[None, :])
    t = np.clip(inside / (0.05 * side), 0, 1)[..., None]
    weight = t * t * (3 - 2 * t)
    return weight * padded + (1 - weight) * blurred


@dataclass(frozen=True)
class CameraPath:
    """One clip's camera, frame by frame.

    Attributes
    ----------
    matrices : float64 array [T, 2, 3]
        From pixels of the canvas of `add_surroundings` to pixels of the frame.
    gain : float64 array [T]
        Exposure factor.
    noise_std : float
        Deviation of the sensor noise in grey levels at mid grey.
    noise_seed : int
    """

    matrices: NDArray[np.float64]
    gain: NDArray[np.float64]
    noise_std: float
    noise_seed: int


def camera_path(n_frames: int, *, fps: float, canvas_square_px: int, rng: np.random.Generator) -> CameraPath:
    """Draw a hand-held camera: placement, slow zoom by some percent, drift by some pixels, roll by a degree or two.

    Parameters
    ----------
    n_frames, fps
        Length and rate of the clip.
    canvas_square_px : int
        Side of the square before `add_surroundings`.
    rng : numpy.random.Generator
    """
    curves = [smooth_curve(n_frames, fps=fps, rng=rng, fastest_hz=f) for f in (0.4, 0.7, 0.7, 0.5, 0.5)]
    zoom = rng.uniform(0.97, 1.06) * (1 + 0.035 * curves[0])
    base_x, base_y, base_roll = rng.uniform(-22, 22), rng.uniform(12, 20), rng.uniform(-3, 3)
    shift_x, shift_y = base_x + 5 * curves[1], base_y + 4 * curves[2]
    roll = np.deg2rad(base_roll + 1.6 * curves[3])
    centre = round(_PAD_SHARE * canvas_square_px) + (canvas_square_px - 1) / 2
    matrices = np.empty((n_frames, 2, 3))
    for i in range(n_frames):
        scale = zoom[i] * SQUARE_PX / canvas_square_px
        cos, sin = scale * np.cos(roll[i]), scale * np.sin(roll[i])
        linear = np.array([[cos, -sin], [sin, cos]])
        target = np.array([(FRAME_WIDTH_PX - 1) / 2 + shift_x[i], (FRAME_HEIGHT_PX - 1) / 2 + shift_y[i]])
        matrices[i] = np.column_stack([linear, target - linear @ np.array([centre, centre])])
    gain = 1 + 0.02 * curves[4]
    return CameraPath(matrices, gain, float(rng.uniform(1.2, 2.6)), int(rng.integers(2**31)))


def film(square: FloatImage, camera: CameraPath, frame_index: int) -> FloatImage:
    """One clean frame: surroundings, geometry and exposure of the camera, before noise.

    Parameters
    ----------
    square : float32 array [S, S, 3] in [0, 255]
    camera : CameraPath
    frame_index : int

    Returns
    -------
    float32 array [FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 3] in [0, 255]
    """
    frame = cv2.warpAffine(
        add_surroundings(square),
        camera.matrices[frame_index],
        (FRAME_WIDTH_PX, FRAME_HEIGHT_PX),
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REFLECT_101,
    )
    return np.clip(frame * np.float32(camera.gain[frame_index]), 0, 255)


def add_sensor_noise(frame: FloatImage, camera: CameraPath, frame_index: int) -> NDArray[np.uint8]:
    """Add shot-like noise and round to 8 bits.

    The noise belongs to the footage: a real clip and the forgeries made from it get the same field, and only its
    strength follows the (possibly forged) brightness.

    Returns
    -------
    uint8 array [H, W, 3]
    """
    rng = np.random.default_rng([camera.noise_seed, frame_index])
    field = rng.standard_normal(frame.shape, dtype=np.float32)
    std = camera.noise_std * np.sqrt(0.25 + 0.75 * np.clip(frame, 0, 255) / np.float32(127.5))
    return np.clip(np.rint(frame + std * field), 0, 255).astype(np.uint8)
