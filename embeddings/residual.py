"""What a reconstruction leaves over, as features: input minus reconstruction, in numbers per place and frequency.

A generator that knows genuine faces cannot draw the traces that a forgery leaves (blending rims, upsampling patterns),
so they stay in the residual; its size says how far the W+ code can be trusted at all.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CELLS = 4  # the image is looked at in 4 x 4 cells
QUANTILES = (0.1, 0.5, 0.9)
N_BANDS = 8  # rings of the spectrum, from the mean up to the highest frequency along an axis
PER_CELL = ("mean", "deviation", *(f"quantile {q:g}" for q in QUANTILES))
N_FEATURES = CELLS * CELLS * (3 * len(PER_CELL) + 1) + N_BANDS + 3
RESIDUAL_ID = "residual1"  # a change of the features below is another id
# Keeps logarithms of empty spectra finite: a hundredth of the energy that rounding to 8 bits leaves.
_FLOOR = 1e-2 * (1 / 127.5) ** 2 / 12


def residual_features(
    face: NDArray[np.uint8], made: NDArray[np.uint8], perceptual: NDArray[np.floating]
) -> NDArray[np.float32]:
    """Describe the residuals of some faces.

    Parameters
    ----------
    face : uint8 [N, H, W, 3] RGB, aligned faces.
    made : uint8 [N, H, W, 3], the reconstruction of each.
    perceptual : [N], the perceptual distance of the two (column ``lpips``).

    Returns
    -------
    float32 [N, 267]. With r = (face - made) / 127.5 and 4 x 4 cells: per cell and colour r's mean, deviation and 10, 50
    and 90 % quantile; per cell the root mean square of the luma residual less its 3 x 3 mean (high frequencies);
    the log energy of the luma residual in 8 rings of its spectrum; ``perceptual``, mean squared error, PSNR in dB (of
    [-1, 1] images, peak 2; at most that of one grey level's rounding).

    Raises
    ------
    ValueError
        Shapes or types that differ from these, images below 16 px, a distance that is not finite.
    """
    if face.dtype != np.uint8 or made.dtype != np.uint8:
        raise ValueError(f"expected uint8 images, got {face.dtype} and {made.dtype}")
    if face.ndim != 4 or face.shape[3] != 3 or face.shape != made.shape or min(face.shape[1:3]) < 16:
        raise ValueError(
            f"expected faces and reconstructions of one shape [N, H, W, 3] of at least 16 px, "
            f"got {list(face.shape)} and {list(made.shape)}"
        )
    distance = np.asarray(perceptual, dtype=np.float32)
    if distance.shape != (len(face),) or not np.isfinite(distance).all():
        raise ValueError(f"expected {len(face)} finite perceptual distances, got shape {list(distance.shape)}")
    rows = [_one(f, m) for f, m in zip(face, made, strict=True)]
    found = np.stack(rows) if rows else np.zeros((0, N_FEATURES - 1))
    return np.insert(found, N_FEATURES - 3, distance, axis=1).astype(np.float32)


def _one(face: NDArray[np.uint8], made: NDArray[np.uint8]) -> NDArray[np.float64]:
    """All features of one face but the perceptual distance, [266]."""
    residual = (face.astype(np.float32) - made.astype(np.float32)) / 127.5  # [H, W, 3]
    luma = residual @ np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601
    per_cell = []
    for cell in _cells(residual):  # [h, w, 3]
        values = cell.reshape(-1, 3)
        per_cell += [values.mean(axis=0), values.std(axis=0), *np.quantile(values, QUANTILES, axis=0)]
    fine = [np.sqrt(np.square(cell).mean()) for cell in _cells(_high_pass(luma))]
    mse = float(np.square(residual).mean())
    psnr_db = 10 * np.log10(4 / max(mse, _FLOOR))
    return np.concatenate([*per_cell, fine, _rings(luma), [mse, psnr_db]])


def _cells(image: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [cell for band in np.array_split(image, CELLS) for cell in np.array_split(band, CELLS, axis=1)]


def _high_pass(luma: NDArray[np.float32]) -> NDArray[np.float32]:
    """Luma less the mean of its 3 x 3 neighbourhood, edges repeated, [H, W]."""
    h, w = luma.shape
    wide = np.pad(luma, 1, mode="edge")
    mean = sum(wide[i : i + h, j : j + w] for i in range(3) for j in range(3)) / np.float32(9)
    return np.asarray(luma - mean, dtype=np.float32)


def _rings(luma: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log10 of the mean energy per frequency in rings of equal width, [N_BANDS]; corners past the last are left out."""
    h, w = luma.shape
    energy = np.square(np.abs(np.fft.rfft2(luma))) / (h * w)
    radius = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None])  # cycles per pixel, up to 0.5 on an axis
    ring = np.minimum((radius * 2 * N_BANDS).astype(np.int64), N_BANDS)
    total = np.bincount(ring.ravel(), energy.ravel(), N_BANDS + 1)[:N_BANDS]
    count = np.bincount(ring.ravel(), minlength=N_BANDS + 1)[:N_BANDS]
    return np.log10(total / count + _FLOOR)
