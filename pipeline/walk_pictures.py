"""The pictures of a walk: what the full generator draws of each code, and where the last differs from the first."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from inversion.generator import Generator, check_w_plus
from inversion.pixels import to_uint8
from pipeline.report.images import difference, encode

GAINS = (30, 10, 3, 1)


@dataclass(frozen=True)
class Strip:
    """Pictures of a walk.

    Attributes
    ----------
    pictures : JPEG, one for each code, 256 px.
    difference : PNG, absolute difference of the last picture and the first, times ``gain``.
    mean_change : mean absolute difference of the two, in grey levels out of 255.
    """

    pictures: tuple[bytes, ...]
    difference: bytes
    gain: int
    mean_change: float


@torch.no_grad()
def draw(network: Generator, codes: NDArray[np.float32]) -> Strip:
    """Draw codes float32 [n, n_channels, w_dim].

    Raises
    ------
    ValueError
        Codes of another generator.
    """
    w_plus = torch.from_numpy(codes.copy())
    check_w_plus(w_plus, n_channels=network.n_channels, w_dim=network.w_dim)
    device = network.mean_w.device
    # One at a time: a batch saves nothing on a CPU and costs memory.
    tiles = [to_uint8(network.synthesise_256(code[None].to(device)).float().cpu())[0] for code in w_plus]
    gap = np.abs(tiles[-1].astype(np.float64) - tiles[0])
    gain = next((g for g in GAINS if np.quantile(gap, 0.99) * g <= 255), 1)
    seen = difference(tiles[0], tiles[-1], gain=gain)
    assert seen is not None  # pictures of one generator have one size
    pictures = tuple(encode(tile, kind="JPEG", quality=92) for tile in tiles)
    return Strip(pictures, encode(seen), gain, float(gap.mean()))
