"""Gentle motion of the sample set's people: directions in W and smooth paths along them.

Directions are found when the set is built, from the generator's own images: some hundred random codes are rendered,
six attributes are measured on each image, and the codes are regressed on the attributes. Each coefficient vector is
the mean change of a code per standard deviation of one attribute at equal others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.sample.geometry import Points, check_landmarks, face_frame

FloatArray = NDArray[np.float64]

#: Measured attributes, in the order of the columns of `measure_attributes`.
ATTRIBUTES = ("yaw", "pitch", "mouth_width", "mouth_contrast", "light_side", "brightness")

# W+ channels (first, past last) that each attribute's direction moves. Layers up to 16 px set the pose, those up to
# 64 px the features, later ones light and colour (Karras et al., CVPR 2019, section 3.1).
_CHANNELS = {
    "yaw": (0, 4),
    "pitch": (0, 4),
    "mouth_width": (3, 7),
    "mouth_contrast": (3, 7),
    "light_side": (6, 12),
    "brightness": (6, 12),
}
_N_ATTRIBUTES = len(ATTRIBUTES)


def measure_attributes(rgb: NDArray[np.uint8], landmarks_px: Points) -> FloatArray:
    """Measure a face image.

    Parameters
    ----------
    rgb : uint8 array [H, W, 3]
    landmarks_px : float array [5, 2]

    Returns
    -------
    float64 array [6]
        In the order of `ATTRIBUTES`: nose offset along the eyes, and across them, in face scales; mouth width in face
        scales; deviation of luminance in the mouth (teeth and the gap between lips), in grey levels; left minus right
        cheek luminance over their sum; mean luminance of both cheeks, in grey levels.
    """
    points = check_landmarks(landmarks_px)
    _, right, down = face_frame(points)
    squared_scale = float(right @ right)
    eyes, mouth, nose = points[:2].mean(0), points[3:].mean(0), points[2]
    luminance = rgb.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    mouth_patch = _patch(luminance, mouth, 0.30, right)
    left_cheek = float(_patch(luminance, 0.5 * (points[0] + points[3]) - 0.1 * right, 0.15, right).mean())
    right_cheek = float(_patch(luminance, 0.5 * (points[1] + points[4]) + 0.1 * right, 0.15, right).mean())
    return np.array(
        [
            (nose - 0.5 * (eyes + mouth)) @ right / squared_scale,
            (nose - eyes) @ down / max(float((mouth - eyes) @ down), 1.0),
            np.linalg.norm(points[4] - points[3]) / np.sqrt(squared_scale),
            mouth_patch.std(),
            (left_cheek - right_cheek) / max(left_cheek + right_cheek, 1.0),
            0.5 * (left_cheek + right_cheek),
        ]
    )


def _patch(luminance: FloatArray, centre: Points, half_size_rel: float, right: Points) -> FloatArray:
    half = max(1, round(half_size_rel * float(np.linalg.norm(right))))
    x, y = (round(float(v)) for v in centre)
    height, width = luminance.shape
    x, y = min(max(x, half), width - half - 1), min(max(y, half), height - half - 1)
    return luminance[y - half : y + half + 1, x - half : x + half + 1]


def find_directions(codes: FloatArray, attributes: FloatArray) -> FloatArray:
    """Directions in W by inverse regression: ordinary least squares of codes on standardised attributes.

    Regressing codes on attributes (not attributes on codes) needs more samples than attributes, not than code
    dimensions, and keeps the directions inside the distribution of codes.

    Parameters
    ----------
    codes : float array [N, 512]
    attributes : float array [N, 6]

    Returns
    -------
    float64 array [6, 512]
        Change of the code per standard deviation of each attribute, the others held.

    Raises
    ------
    ValueError
        If there are fewer than 10 codes per attribute, or an attribute does not vary.
    """
    n, k = attributes.shape
    if len(codes) != n:
        raise ValueError(f"expected as many codes as attribute rows, got {len(codes)} and {n}")
    if n < 10 * k:
        raise ValueError(f"expected at least {10 * k} measured codes for {k} attributes, got {n}")
    std = attributes.std(0)
    if (std <= 0).any():
        raise ValueError(f"attribute {int(np.argmin(std))} is the same in all images, so no direction can be found")
    design = np.column_stack([np.ones(n), (attributes - attributes.mean(0)) / std])
    coefficients, *_ = np.linalg.lstsq(design, np.asarray(codes, np.float64), rcond=None)
    # Rounded far below what can be seen, so that the last bits of a threaded solver change no clip.
    return np.round(coefficients[1:], 6)


@dataclass(frozen=True)
class MotionSettings:
    """Amplitudes of a clip's motion.

    Attributes
    ----------
    amplitude : mapping of attribute name to float
        Largest excursion in standard deviations of the attribute.
    """

    amplitude: Mapping[str, float]


#: Gentle: a head that turns by some degrees, a mouth that moves as in speech, light that shifts a little.
GENTLE = MotionSettings(
    {"yaw": 0.9, "pitch": 0.9, "mouth_width": 2.4, "mouth_contrast": 2.4, "light_side": 1.0, "brightness": 0.6}
)


def smooth_curve(n_frames: int, *, fps: float, rng: np.random.Generator, fastest_hz: float) -> FloatArray:
    """Smooth random curve: three sines of random frequency and phase, scaled to a largest magnitude of 1.

    Parameters
    ----------
    n_frames : int
    fps : float
    rng : numpy.random.Generator
    fastest_hz : float
        Frequencies are uniform between a fifth of this and this.

    Returns
    -------
    float64 array [n_frames] in [-1, 1]
    """
    time_s = np.arange(n_frames) / fps
    frequency = rng.uniform(fastest_hz / 5, fastest_hz, 3)
    phase = rng.uniform(0, 2 * np.pi, 3)
    weight = rng.uniform(0.5, 1.0, 3) * (fastest_hz / 5) / frequency
    curve = (weight[:, None] * np.sin(2 * np.pi * frequency[:, None] * time_s + phase[:, None])).sum(0)
    # Scaled by the bound, not by the clip's own maximum: short clips are then calm, not stretched to full swing.
    return curve / weight.sum()


def code_offsets(
    directions: FloatArray,
    n_frames: int,
    *,
    fps: float,
    n_channels: int,
    settings: MotionSettings,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """W+ offsets of one clip: each attribute moves along its own curve, in its own channels.

    Returns
    -------
    float32 array [n_frames, n_channels, 512]
        Add to a person's code. The first channels carry pose, the middle ones expression, the later ones light.
    """
    offsets = np.zeros((n_frames, n_channels, directions.shape[1]))
    for row, name in zip(directions, ATTRIBUTES, strict=True):
        fastest_hz = 1.6 if name.startswith("mouth") else 0.6
        curve = settings.amplitude[name] * smooth_curve(n_frames, fps=fps, rng=rng, fastest_hz=fastest_hz)
        first, last = _CHANNELS[name]
        offsets[:, first:last] += curve[:, None, None] * row
    return offsets.astype(np.float32)
