"""Second-order and regional statistics of feature maps: what forged texture changes, wherever in the face it lies.

Averages over a whole map hide that a swapped face differs from the skin, hair and background around it. So each channel
is averaged inside and outside an ellipse in the middle of the crop, with its deviation there; and the correlations
between channels are kept, as texture descriptors do (Gatys et al., "Texture synthesis using convolutional neural
networks", NeurIPS 2015; Lin et al., "Bilinear CNN models", ICCV 2015), through a fixed projection to few directions
(Gao et al., "Compact bilinear pooling", CVPR 2016, project at random too).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

#: Directions that correlations are taken between; narrower maps keep their channels.
N_DIRECTIONS = 24
#: Half axes and lowered centre of the ellipse, in halves of the image: the face of an FFHQ-like or boxed crop.
ELLIPSE = (0.62, 0.72, 0.05)
_FINE_PX = 448
_EPS = 1e-5


def n_regional(channels: int) -> int:
    """Numbers that `regional` gives for a map of so many channels."""
    return 4 * channels


def n_correlations(channels: int) -> int:
    """Numbers that `correlations` gives for a map of so many channels."""
    k = min(channels, N_DIRECTIONS)
    return k * (k + 1) // 2


def regional(maps: Tensor) -> Tensor:
    """Means and deviations inside and outside the ellipse.

    Parameters
    ----------
    maps
        float32 [N, C, h, w].

    Returns
    -------
    Tensor
        float32 [N, 4 C]: means inside, deviations inside, means outside, deviations outside.
    """
    weights = _regions(int(maps.shape[2]), int(maps.shape[3])).to(maps)  # [2, h * w]
    flat = maps.flatten(2)
    means = flat @ weights.T  # [N, C, 2]
    # Around the mean of the whole map, so that squares of large means do not swallow small deviations.
    centre = flat.mean(dim=2, keepdim=True)
    squares = (flat - centre).square() @ weights.T - (means - centre).square()
    deviations = squares.clamp_min(0).sqrt()
    return torch.cat([means[..., 0], deviations[..., 0], means[..., 1], deviations[..., 1]], dim=1)


def correlations(maps: Tensor) -> Tensor:
    """Correlations between channels over the whole map, seen along fixed directions.

    With Z the map, each channel standardised over its positions, and P the directions: the upper triangle of
    P^T (Z Z^T / hw) P. A channel that is constant counts as zero.

    Parameters
    ----------
    maps
        float32 [N, C, h, w].

    Returns
    -------
    Tensor
        float32 [N, k (k + 1) / 2], k = min(C, `N_DIRECTIONS`), row after row.
    """
    flat = maps.flatten(2)
    std, mean = torch.std_mean(flat, dim=2, keepdim=True, correction=0)
    standard = (flat - mean) / (std + _EPS)
    seen = _directions(int(maps.shape[1])).to(maps) @ standard  # [N, k, h * w]
    matrix = seen @ seen.transpose(1, 2) / flat.shape[2]
    return matrix.flatten(1)[:, _upper_triangle(int(matrix.shape[1])).to(maps.device)]


@lru_cache(maxsize=64)
def _regions(height: int, width: int) -> Tensor:
    """Weights float32 [2, h * w] of each position inside and outside; each row sums to 1.

    Positions on the edge count in both, by their share, so that a map of one position has both regions.
    """
    axis = (torch.arange(_FINE_PX) + 0.5) / _FINE_PX * 2 - 1
    inside = ((axis[None, :] / ELLIPSE[0]) ** 2 + ((axis[:, None] - ELLIPSE[2]) / ELLIPSE[1]) ** 2 < 1).float()
    share = adaptive_avg_pool2d(inside[None], (height, width))[0].flatten()
    both = torch.stack([share, 1 - share])
    return both / both.sum(dim=1, keepdim=True)


@lru_cache(maxsize=64)
def _upper_triangle(k: int) -> Tensor:
    """Positions int64 [k (k + 1) / 2] in a flattened k x k matrix, row after row."""
    rows, columns = torch.triu_indices(k, k)
    return rows * k + columns


@lru_cache(maxsize=64)
def _directions(channels: int) -> Tensor:
    """Fixed directions, float32 [k, C]: the channels themselves, or signs drawn once by numpy's generator."""
    if channels <= N_DIRECTIONS:
        return torch.eye(channels)
    signs = np.random.default_rng(channels).integers(0, 2, (N_DIRECTIONS, channels)) * 2 - 1
    return torch.from_numpy(signs.astype(np.float32)) / channels**0.5
