"""Self-blended images (SBI): fakes made from one genuine face and nothing else.

After Shiohara and Yamasaki, "Detecting Deepfakes with Self-Blended Images" (CVPR 2022, arXiv:2204.08376): two copies of
one picture, one of them changed a little in colour or sharpness, are blended inside a mask of the face, after one was
shifted and scaled a little. What is left are the traces that every blended forgery has: a rim, and two statistics in
one face. The ranges are those of that paper's program where it has them.

The paper's mask is the hull of dlib's 81 landmarks. Here five landmarks stand for them: an outline (a superellipse with
its own reach up and down) is laid through eyes and mouth with the proportions of an average face, for one of four
regions (`REGIONS`), made irregular angle by angle, and bent by an elastic deformation.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from classifiers.checks import Float32Array, FloatArray

#: Changes with every change of what comes out for the same random numbers; part of a blended face's id.
RECIPE = "sbi1"
#: Where a tight crop has the five points, as shares of its side, for crops that came without landmarks.
TIGHT_CROP = np.array([[0.33, 0.40], [0.67, 0.40], [0.50, 0.59], [0.37, 0.75], [0.63, 0.75]])

# Region -> half-width, reach up, reach down, centre; all in units of the distance from eyes to mouth, the centre along
# it from the eyes. Brows lie 0.45 above the eyes, the hairline 1, the chin 1.75 below.
REGIONS = {
    "face": (1.05, 1.25, 1.40, 0.35),  # hairline to chin
    "inner": (1.00, 0.80, 1.30, 0.35),  # brows to chin
    "eyes": (1.00, 0.50, 0.60, 0.0),  # brows to nose
    "mouth": (0.75, 0.60, 0.80, 0.95),  # nose to chin
}
REGION_SHARES = (0.35, 0.45, 0.1, 0.1)
SUPERELLIPSE_POWER = 2.4
N_ANGLES = 64
ROUGHNESS = 0.06  # standard deviation of the outline's radius, as a share, over some five waves around it

ELASTIC_ALPHA, ELASTIC_SIGMA = 50.0, 7.0  # at 256 px: displacements of about 1 px that change over 7 px
SHIFT_X, SHIFT_Y, SCALE = 0.03, 0.015, 0.95  # of the side; scale between 0.95 and 1 / 0.95
BLUR_PX = (1.0, 5.0)  # sigma at 256 px, once to draw the mask's rim inwards and once to soften it
RATIOS = (0.25, 0.5, 0.75, 1.0, 1.0, 1.0)  # how much of the source shows inside the mask
P_RGB_SHIFT, RGB_SHIFT = 0.3, 20.0
BRIGHTNESS, CONTRAST, SATURATION = 0.1, 0.1, 0.1
DOWNSCALE = (
    1.5,
    2.5,
)  # 2 and 4 in the paper, whose faces are half as large again; 4 leaves a blur nobody would pass on
SHARPEN = (0.2, 0.5)


def self_blend(
    face: npt.NDArray[np.uint8], landmarks_px: npt.ArrayLike, *, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Blend a face with a changed copy of itself.

    Parameters
    ----------
    face : uint8 [S, S, 3], RGB, S of at least 32.
    landmarks_px : [5, 2] left eye, right eye, nose, left and right mouth corner, in pixels of ``face``.
    rng : decides everything random; the same state gives the same picture.

    Returns
    -------
    uint8 [S, S, 3]

    Raises
    ------
    ValueError
        Another shape or dtype, landmarks that are not finite, eyes and mouth in one place, or a face of which nothing
        lies inside the picture.
    """
    if face.dtype != np.uint8 or face.ndim != 3 or face.shape[2] != 3 or face.shape[0] != face.shape[1]:
        raise ValueError(f"Expected a square uint8 RGB picture [S, S, 3], got {face.dtype} of shape {face.shape}.")
    side = face.shape[0]
    if side < 32:
        raise ValueError(f"Expected a face of at least 32 px, got {side} px.")
    mask = face_mask(landmarks_px, side, rng=rng)
    source = target = face.astype(np.float32)
    if rng.random() < 0.5:
        source = _change(source, rng)
    else:
        target = _change(target, rng)
    source, mask = _displace(source, mask, rng)
    weight = _soften(mask, rng) * np.float32(rng.choice(RATIOS))
    if weight.max() == 0:
        raise ValueError("The mask of the face is empty: the landmarks lie outside the picture.")
    blended = target + weight[..., None] * (source - target)
    return np.rint(blended.clip(0, 255)).astype(np.uint8)


def face_mask(landmarks_px: npt.ArrayLike, side: int, *, rng: np.random.Generator) -> Float32Array:
    """A random region of the face with an irregular outline: float32 [side, side], 0 or 1.

    Raises
    ------
    ValueError
        Landmarks of another shape, not finite, or eyes and mouth in one place.
    """
    points = np.asarray(landmarks_px, dtype=np.float64)
    if points.shape != (5, 2) or not np.isfinite(points).all():
        raise ValueError(f"Expected five finite landmarks [5, 2], got shape {points.shape}.")
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    down = mouth - eyes
    unit = float(np.linalg.norm(down))
    if unit < 1:
        raise ValueError("Eyes and mouth lie in one place, so the face has no direction.")
    down /= unit
    right = np.array([down[1], -down[0]])
    name = str(rng.choice(list(REGIONS), p=REGION_SHARES))
    half_width, up, low, centre = REGIONS[name]
    # In profile the eyes come together: half of the width follows them.
    width = half_width * (0.5 * unit + 0.5 * abs(float((points[1] - points[0]) @ right)))
    middle = eyes + centre * unit * down + float((points.mean(axis=0) - eyes) @ right) * right
    angle = np.arange(N_ANGLES, dtype=np.float64) * (2 * np.pi / N_ANGLES)
    cos, sin = np.cos(angle), np.sin(angle)
    radius = (np.abs(cos) ** SUPERELLIPSE_POWER + np.abs(sin) ** SUPERELLIPSE_POWER) ** (-1 / SUPERELLIPSE_POWER)
    radius *= 1 + _waves(angle, rng)
    across = (radius * cos * width)[:, None] * right
    along = (radius * sin * np.where(sin < 0, up, low) * unit)[:, None] * down
    mask = np.zeros((side, side), np.float32)
    cv2.fillPoly(mask, [np.rint(middle + across + along).astype(np.int32)], 1.0)
    return mask


def _waves(angle: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A smooth random function on the circle with standard deviation `ROUGHNESS`: float64 [n]."""
    n_waves = 5
    amplitude, phase = rng.normal(size=(2, n_waves)) * ROUGHNESS * (2 / n_waves) ** 0.5, rng.random(n_waves)
    waves = [amplitude[0, k] * np.cos((k + 1) * angle + 2 * np.pi * phase[k]) for k in range(n_waves)]
    return np.asarray(np.sum(waves, axis=0))


def _change(picture: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Another colour and another sharpness: float32 [S, S, 3] in [0, 255]."""
    out = picture
    if rng.random() < P_RGB_SHIFT:
        out = out + rng.uniform(-RGB_SHIFT, RGB_SHIFT, size=3).astype(np.float32)
    grey = out.mean(axis=2, keepdims=True)
    out = grey + (out - grey) * np.float32(1 + rng.uniform(-SATURATION, SATURATION))
    gain, shift = 1 + rng.uniform(-CONTRAST, CONTRAST), 255 * rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    out = (out * np.float32(gain) + np.float32(shift)).clip(0, 255)
    if rng.random() < 0.5:
        side = out.shape[0]
        small = max(round(side / float(rng.choice(DOWNSCALE))), 8)
        reduced = cv2.resize(out, (small, small), interpolation=cv2.INTER_NEAREST)
        out = cv2.resize(reduced, (side, side), interpolation=cv2.INTER_LINEAR)
    else:
        out = out + np.float32(2 * rng.uniform(*SHARPEN)) * (out - cv2.GaussianBlur(out, (0, 0), 1.0))
    return np.asarray(out.clip(0, 255), dtype=np.float32)


def _displace(picture: Float32Array, mask: Float32Array, rng: np.random.Generator) -> tuple[Float32Array, Float32Array]:
    """Shift and scale both alike, about the middle; then bend the mask alone."""
    side = mask.shape[0]
    scale = float(rng.uniform(SCALE, 1 / SCALE))
    shift = rng.uniform(-1, 1, size=2) * (SHIFT_X * side, SHIFT_Y * side)
    middle = side / 2 - 0.5
    matrix = np.array([[scale, 0, shift[0] + (1 - scale) * middle], [0, scale, shift[1] + (1 - scale) * middle]])
    moved = cv2.warpAffine(picture, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    outline = cv2.warpAffine(mask, matrix, (side, side), flags=cv2.INTER_LINEAR, borderValue=0)
    size = side / 256
    noise = rng.uniform(-1, 1, size=(2, side, side)).astype(np.float32)
    dx, dy = (ELASTIC_ALPHA * size**2 * cv2.GaussianBlur(n, (0, 0), ELASTIC_SIGMA * size) for n in noise)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    bent = cv2.remap(outline, x + dx, y + dy, interpolation=cv2.INTER_LINEAR, borderValue=0)
    return np.asarray(moved, dtype=np.float32), np.asarray(bent, dtype=np.float32)


def _soften(mask: Float32Array, rng: np.random.Generator) -> Float32Array:
    """Blending weight [S, S] in [0, 1]: the mask with a rim that falls off inside its outline.

    As the paper's program: blur, keep what is still 1, blur again.
    """
    first, second = rng.uniform(*BLUR_PX, size=2) * mask.shape[0] / 256
    inside = (cv2.GaussianBlur(mask, (0, 0), first) > 0.99).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(inside, (0, 0), second), dtype=np.float32)
