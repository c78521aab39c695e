"""Rows of table ``channel_effects``: a few faces' codes, each channel moved, and where the image changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from inversion.channel_effects import channel_effects
from pipeline.networks import load_generator
from pipeline.params import Generator

N_CELLS = 32


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
        maps = channel_effects(network, torch.from_numpy(code.copy()), n_cells=N_CELLS, seed=seed).numpy()
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
            }
