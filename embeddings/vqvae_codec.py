"""Faces to VQ-VAE-2 indices, and indices to vectors of bounded length.

LatentForensics gives a forest the 5,120 indices themselves. An index is a name, not a quantity, so three other forms
are offered; averaging over a grid bounds their length. With 64-dimensional vectors and 512 codes per level:

    'indices'    the indices as numbers, 32 x 32 of the top, then 64 x 64 of the bottom level: 5,120 (the paper's form).
    'embedded'   each index replaced by its codebook vector, averaged over an 8 x 8 grid: 2 x 64 x 8 x 8 = 8,192.
    'onehot'     each index as a one-hot vector, averaged over a 2 x 2 grid: 2 x 512 x 2 x 2 = 4,096 shares.
    'histogram'  the same over the whole map: 2 x 512 = 1,024 shares.

Order: top level, then bottom; within each channel by channel, and each channel row by row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor

from embeddings.codec import SIZE_PX, Coded, to_unit
from embeddings.quantise import Quantiser
from embeddings.vqvae import STRIDE_PX, VqVae2
from embeddings.vqvae_weights import load_vqvae

CodeFeatures = Literal["indices", "embedded", "onehot", "histogram"]

# Side of the grid each level is averaged on.
_GRID = {"embedded": 8, "onehot": 2, "histogram": 1}
TOP_SIDE, BOTTOM_SIDE = SIZE_PX // STRIDE_PX, 2 * SIZE_PX // STRIDE_PX


@dataclass(frozen=True, eq=False)
class VqVaeCodec:
    """A frozen network as an `embeddings.codec.Codec`. Made by `load_codec`."""

    model: VqVae2
    weights_sha256: str
    features: CodeFeatures
    device: str

    @property
    def codec_id(self) -> str:
        """``vqvae-<8 hex digits of the weights' SHA-256>-<features>``."""
        return f"vqvae-{self.weights_sha256[:8]}-{self.features}"

    def code(self, images: NDArray[np.uint8]) -> Coded:
        """As in `embeddings.codec.Codec`; D as in the module's text, 5,120 indices."""
        x = to_unit(images)
        with torch.inference_mode():
            found = self.model.encode(torch.from_numpy(x).movedim(3, 1).to(self.device))
            made = self.model.decode(found.top, found.bottom).movedim(1, 3).cpu().numpy()  # [N, 256, 256, 3]
            vectors = self._vectors(found.top_indices, found.bottom_indices)
        indices = torch.cat([found.top_indices.flatten(1), found.bottom_indices.flatten(1)], dim=1)  # [N, 5120]
        stored = indices.cpu().numpy().astype(np.int16)
        return Coded.judged(vectors.cpu().numpy(), stored, target=x, made=made)

    @staticmethod
    def split(indices: NDArray[np.int16]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Stored indices [N, 5120] as maps int64 [N, 32, 32] and [N, 64, 64]; ValueError for another length."""
        n_top, n_bottom = TOP_SIDE**2, BOTTOM_SIDE**2
        if indices.ndim != 2 or indices.shape[1] != n_top + n_bottom:
            raise ValueError(f"expected indices [N, {n_top + n_bottom}], got {list(indices.shape)}")
        whole = indices.astype(np.int64)
        return whole[:, :n_top].reshape(-1, TOP_SIDE, TOP_SIDE), whole[:, n_top:].reshape(-1, BOTTOM_SIDE, BOTTOM_SIDE)

    def decode(self, indices: NDArray[np.int16]) -> NDArray[np.float32]:
        """Reconstructions float32 [N, 256, 256, 3] in [-1, 1] of stored indices [N, 5120]."""
        top, bottom = (torch.from_numpy(part).to(self.device) for part in self.split(indices))
        with torch.inference_mode():
            return self.model.decode_indices(top, bottom).clamp(-1, 1).movedim(1, -1).cpu().numpy()

    def _vectors(self, top: Tensor, bottom: Tensor) -> Tensor:
        """What classifiers read, float32 [N, D]."""
        levels = ((self.model.quantize_t, top), (self.model.quantize_b, bottom))
        if self.features == "indices":
            return torch.cat([indices.flatten(1).float() for _, indices in levels], dim=1)
        return torch.cat([self._pooled(quantiser, indices).flatten(1) for quantiser, indices in levels], dim=1)

    def _pooled(self, quantiser: Quantiser, indices: Tensor) -> Tensor:
        side = _GRID[self.features]
        if self.features == "embedded":
            return F.adaptive_avg_pool2d(quantiser.look_up(indices), side)  # [N, dim, side, side]
        n_codes, cell = len(quantiser.cluster_size), indices.shape[-1] // side
        # One-hot maps would hold n_codes numbers for each index: counting within cells gives the same shares.
        cells = indices.unflatten(2, (side, cell)).unflatten(1, (side, cell)).movedim(3, 2).flatten(3)
        shares = torch.zeros(*cells.shape[:3], n_codes, device=indices.device)  # [N, side, side, n_codes]
        shares.scatter_add_(3, cells, torch.full(cells.shape, 1 / cell**2, device=indices.device))
        return shares.movedim(3, 1)


def load_codec(path: Path, *, features: CodeFeatures, device: str = "cpu") -> VqVaeCodec:
    """Read weights (`embeddings.vqvae_weights.load_vqvae`, with its errors) and make the codec.

    Raises
    ------
    ValueError
        Unknown ``features``; an unusable file.
    """
    if features not in get_args(CodeFeatures):
        raise ValueError(f"features: expected one of {', '.join(get_args(CodeFeatures))}, got {features!r}")
    model, sha256 = load_vqvae(path)
    return VqVaeCodec(model.to(device), sha256, features, device)
