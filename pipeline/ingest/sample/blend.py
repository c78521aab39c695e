"""Colour match and blending: feathered, and gradient-domain (Poisson).

Images are float32 [H, W, 3], RGB, in [0, 255]; masks are bool [H, W]. No blend touches a pixel outside its mask.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from pipeline.ingest.sample.geometry import FloatImage
from pipeline.ingest.sample.mask import FloatArray, Mask

_MIN_STD = 1e-3
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def match_colour(source: FloatImage, reference: FloatImage, mask: Mask, *, strength: float = 1.0) -> FloatImage:
    """Give `source` the mean and standard deviation of `reference` inside the mask, per CIELAB channel.

    Reinhard et al., "Color transfer between images", 2001, in CIELAB; statistics inside the mask only.

    Parameters
    ----------
    source, reference : float32 array [H, W, 3] in [0, 255]
    mask : bool array [H, W], not empty
    strength : float
        0 leaves `source` as it is, 1 matches mean and deviation in full.

    Returns
    -------
    float32 array [H, W, 3] in [0, 255]
        The whole source, transferred.
    """
    if not mask.any():
        raise ValueError("expected a mask with at least one pixel, got an empty one")
    lab = cv2.cvtColor(np.clip(source, 0, 255) / np.float32(255), cv2.COLOR_RGB2LAB)
    lab_reference = cv2.cvtColor(np.clip(reference, 0, 255) / np.float32(255), cv2.COLOR_RGB2LAB)
    mean, std = lab[mask].mean(0, dtype=np.float64), lab[mask].std(0, dtype=np.float64)
    mean_r, std_r = lab_reference[mask].mean(0, dtype=np.float64), lab_reference[mask].std(0, dtype=np.float64)
    gain = 1 + strength * (std_r / np.maximum(std, _MIN_STD) - 1)
    matched = (lab - mean) * gain + mean + strength * (mean_r - mean)
    return np.clip(cv2.cvtColor(matched.astype(np.float32), cv2.COLOR_LAB2RGB) * np.float32(255), 0, 255)


def inward_feather(mask: Mask, *, width_px: float) -> NDArray[np.float32]:
    """Blending weight of a mask: 0 outside, rising smoothly inwards to 1 at `width_px` from the edge.

    Returns
    -------
    float32 array [H, W] in [0, 1]
    """
    distance = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    t = np.clip(distance / max(width_px, 1e-6), 0, 1)
    return (t * t * (3 - 2 * t)).astype(np.float32)


def feather_blend(target: FloatImage, source: FloatImage, mask: Mask, *, width_px: float) -> FloatImage:
    """Put `source` into `target` inside the mask, fading over `width_px` from the mask's edge inwards."""
    alpha = inward_feather(mask, width_px=width_px)[..., None]
    return np.where(mask[..., None], target + alpha * (source - target), target).astype(np.float32)


def poisson_blend(target: FloatImage, source: FloatImage, mask: Mask, *, rim_limit: float | None = None) -> FloatImage:
    """Put `source` into `target` inside the mask by gradient-domain cloning.

    Pérez, Gangnet, Blake, "Poisson image editing", 2003, importing gradients: inside the mask the result has the
    source's Laplacian, on the mask's rim it meets the target. Written as source plus a membrane: a harmonic function
    equal to target - source outside the mask. Pixels beyond the image's border count as no neighbour.

    Parameters
    ----------
    target, source : float32 arrays [H, W, 3] in [0, 255]
    mask : bool array [H, W]
    rim_limit : float, optional
        Differences on the rim are kept within this many grey levels of their median per channel, so that a strand of
        hair on the rim does not darken the face. The result then no longer meets the target there.

    Returns
    -------
    float32 array [H, W, 3] in [0, 255]
    """
    if not mask.any():
        return target.copy()
    if mask.all():
        raise ValueError("expected a mask that leaves a rim of the target, got one that covers the whole image")
    difference = target.astype(np.float64) - source
    if rim_limit is not None:
        rim = cv2.dilate(mask.astype(np.uint8), _CROSS).astype(bool) & ~mask
        median = np.median(difference[rim], axis=0)
        difference = np.clip(difference, median - rim_limit, median + rim_limit)
    result = target.copy()
    result[mask] = np.clip(source[mask] + harmonic_fill(difference, mask), 0, 255)
    return result


def harmonic_fill(values: FloatArray, mask: Mask) -> FloatArray:
    """Solve Laplace's equation inside the mask with `values` around it as the boundary (five-point stencil).

    Parameters
    ----------
    values : float64 array [H, W, C]
        Read on the mask's rim alone.
    mask : bool array [H, W]
        Neither empty nor the whole image.

    Returns
    -------
    float64 array [mask.sum(), C]
        In the order of ``values[mask]``.
    """
    rows, cols = np.nonzero(mask)
    n = len(rows)
    number = np.full(mask.shape, -1, np.int64)
    number[rows, cols] = np.arange(n)
    degree, right = np.zeros(n), np.zeros((n, values.shape[2]))
    edges_i, edges_j = [], []
    for dy, dx in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        y, x = rows + dy, cols + dx
        inside = np.flatnonzero((y >= 0) & (y < mask.shape[0]) & (x >= 0) & (x < mask.shape[1]))
        degree[inside] += 1
        neighbour = number[y[inside], x[inside]]
        free = neighbour >= 0
        edges_i.append(inside[free])
        edges_j.append(neighbour[free])
        fixed = inside[~free]
        right[fixed] += values[y[fixed], x[fixed]]
    i, j = np.concatenate(edges_i), np.concatenate(edges_j)
    laplacian = sparse.csc_matrix((-np.ones(len(i)), (i, j)), shape=(n, n)) + sparse.diags(degree, format="csc")
    # Ordering and mode for a symmetric matrix: several times faster here than the defaults.
    factors = splu(laplacian.tocsc(), permc_spec="MMD_AT_PLUS_A", options={"SymmetricMode": True})
    return np.asarray(factors.solve(right))
