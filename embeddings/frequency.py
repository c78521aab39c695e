"""Statistics of a face's fine structure: what resampling, blending and generators change in spectra and noise.

No network: block DCT energies (Frank et al., "Leveraging frequency analysis for deep fake image recognition", ICML
2020), amplitudes of high-pass residuals (the filters of Fridrich and Kodovsky, "Rich models for steganalysis of digital
images", IEEE TIFS 7(3), 2012) and the radial power spectrum (Durall et al., "Watch your up-convolution", CVPR 2020),
each inside and outside the ellipse of `embeddings.texture`, for luma and both chroma planes.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

from embeddings.texture import ELLIPSE

#: Names the vectors: raise the number when they change.
FREQUENCY_ID = "frequency-1"
_BLOCK = 8
_FILTERS = tuple(
    np.array(rows, dtype=np.float32)
    for rows in (
        [[-1, 1]],
        [[-1], [1]],
        [[1, -2, 1]],
        [[1], [-2], [1]],
        [[-1, 2, -1], [2, -4, 2], [-1, 2, -1]],
    )
)
_N_RADII = 51
_SPECTRUM_SHARE = 4 / 7  # of the side: the square in the middle whose spectrum is taken
_FLOOR = 0.05  # grey levels: keeps logarithms of flat regions finite
N_DIMS = 3 * (3 * _BLOCK**2 + 5 * len(_FILTERS)) + _N_RADII
_MIN_SIDE_PX = 4 * _BLOCK


def frequency_features(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Statistics of one face.

    Parameters
    ----------
    image
        uint8 [H, H, 3], RGB, at least 32 px; what does not fill a block of 8 px is left out.

    Returns
    -------
    float32 [N_DIMS]
        Natural logarithms of grey levels (radial spectrum: of power), for Y, Cr, Cb: mean of each DCT coefficient's
        size inside and outside the ellipse and its deviation inside; then for each high-pass filter mean inside and
        outside, deviation inside and outside, median inside; last the radial spectrum of Y.

    Raises
    ------
    ValueError
        Another dtype or shape.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or image.shape[0] != image.shape[1]:
        raise ValueError(f"Expected a square RGB image of uint8, got {image.dtype} {list(image.shape)}.")
    if len(image) < _MIN_SIDE_PX:
        raise ValueError(f"Expected an image of at least {_MIN_SIDE_PX} px, got {len(image)} px.")
    side = len(image) // _BLOCK * _BLOCK
    planes = cv2.cvtColor(np.ascontiguousarray(image[:side, :side]), cv2.COLOR_RGB2YCrCb).astype(np.float32)
    inside = _inside(side)
    parts = [_block_energies(planes[..., c], inside) for c in range(3)]
    parts += [_residual_sizes(planes[..., c], inside) for c in range(3)]
    parts.append(_radial_spectrum(planes[..., 0]))
    return np.concatenate(parts).astype(np.float32)


def _inside(side_px: int) -> npt.NDArray[np.bool_]:
    axis = (np.arange(side_px) + 0.5) / side_px * 2 - 1
    within: npt.NDArray[np.bool_] = (axis[None, :] / ELLIPSE[0]) ** 2 + (
        (axis[:, None] - ELLIPSE[2]) / ELLIPSE[1]
    ) ** 2 < 1
    return within


def _log(levels: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    return np.log(levels.astype(np.float64) + _FLOOR)


def _block_energies(plane: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """[3 * 64] of one plane [H, H]."""
    n = len(plane) // _BLOCK
    blocks = plane.reshape(n, _BLOCK, n, _BLOCK).swapaxes(1, 2).reshape(n * n, _BLOCK, _BLOCK)
    middle = inside.reshape(n, _BLOCK, n, _BLOCK).mean(axis=(1, 3)).ravel() > 0.5
    sizes = np.abs(dctn(blocks, axes=(1, 2), norm="ortho")).reshape(n * n, -1)
    return np.concatenate(
        [_log(sizes[middle].mean(axis=0)), _log(sizes[~middle].mean(axis=0)), _log(sizes[middle].std(axis=0))]
    )


def _residual_sizes(plane: npt.NDArray[np.float32], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """[5 * filters] of one plane [H, H]."""
    found = []
    for kernel in _FILTERS:
        size = np.abs(cv2.filter2D(plane, -1, kernel))
        within, around = size[inside], size[~inside]
        found.append([within.mean(), around.mean(), within.std(), around.std(), np.median(within)])
    return _log(np.array(found).ravel())


def _radial_spectrum(luma: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Mean power [51] of the middle of the luma plane in rings up to the corner of the spectrum, Hann-windowed."""
    side = round(len(luma) * _SPECTRUM_SHARE)
    first = (len(luma) - side) // 2
    window = np.hanning(side)
    power = np.abs(np.fft.fft2(luma[first : first + side, first : first + side] * np.outer(window, window))) ** 2
    frequency = np.fft.fftfreq(side)
    radius = np.hypot(frequency[:, None], frequency[None, :])  # to 0.71 cycles per pixel
    ring = np.minimum((radius * 80).astype(np.int64), _N_RADII - 1)
    count = np.bincount(ring.ravel(), minlength=_N_RADII)
    return np.log(np.bincount(ring.ravel(), power.ravel(), minlength=_N_RADII) / np.maximum(count, 1) + 1)
