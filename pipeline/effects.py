"""What moving a W+ channel does to a face: rows of table ``channel_effects``, and single strips of pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from inversion.channel_effects import change_maps, moved_images
from inversion.generator import Generator as Network
from inversion.pixels import to_uint8
from pipeline.networks import load_generator
from pipeline.params import Generator

N_CELLS = 32
STRIP_PX = 192  # side of each of a strip's three pictures


def effect_rows(
    codes: NDArray[np.float32],
    face_ids: list[str],
    inverter_id: str,
    *,
    generator: Generator,
    device: str,
    allow_noncommercial: bool,
    seed: int,
) -> Iterator[dict[str, Any]]:
    """Rows of some faces; ``codes`` float32 [n, n_channels, w_dim]."""
    network = load_generator(generator, device=device, allow_noncommercial=allow_noncommercial)
    for face, code in zip(face_ids, codes, strict=True):
        before, moved = moved_images(network, torch.from_numpy(code.copy()), seed=seed)
        maps = change_maps(before, moved, n_cells=N_CELLS).numpy()
        quarter = N_CELLS // 4
        for channel, cells in enumerate(maps):
            inner = cells[quarter:-quarter, quarter:-quarter].sum(dtype=np.float64)
            total = cells.sum(dtype=np.float64)
            yield {
                "face_id": face,
                "inverter_id": inverter_id,
                "channel": channel,
                "mean_change": float(cells.mean(dtype=np.float64)),
                "inner_share": min(1.0, float(inner / total)) if total > 0 else 0.0,
                "change_map": cells.ravel().tolist(),
                "strip": _strip(before, moved[channel]),
            }


def live_strip(network: Network, code: NDArray[np.float32], *, channel: int, n_std: float, seed: int) -> bytes:
    """Three pictures of a face side by side, as in ``channel_effects``; ``code`` float32 [n_channels, w_dim].

    Raises
    ------
    ValueError
        The code is of another generator, or has no such channel.
    """
    before, moved = moved_images(network, torch.from_numpy(code.copy()), seed=seed, channels=[channel], n_std=n_std)
    return _strip(before, moved[0])


def _strip(before: torch.Tensor, sides: torch.Tensor) -> bytes:
    """JPEG of: moved down, as it is, moved up; ``sides`` [2, 3, 256, 256] is up, down."""
    tiles = to_uint8(torch.stack([sides[1], before, sides[0]]))  # [3, 256, 256, 3]
    row = Image.fromarray(np.concatenate(list(tiles), axis=1))
    buffer = io.BytesIO()
    row.resize((3 * STRIP_PX, STRIP_PX), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()
