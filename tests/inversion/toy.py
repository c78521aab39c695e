"""A small differentiable generator with a faulty head, for properties of the search that do not depend on faces."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from inversion.perceptual import PerceptualDistance

N_CHANNELS, W_DIM = 3, 4


class ToyGenerator:
    """Smooth 256 px images: tanh of a fixed mixture of patterns, one for each number of the code."""

    n_channels, w_dim, resolution_px = N_CHANNELS, W_DIM, 256
    weights_sha256 = "0" * 64

    def __init__(self) -> None:
        random = torch.Generator().manual_seed(7)
        coarse = torch.randn(N_CHANNELS * W_DIM, 3, 6, 6, generator=random)
        patterns = F.interpolate(coarse, size=(32, 32), mode="bicubic", align_corners=False)
        self._patterns = 0.25 * patterns.flatten(1)  # [C D, 3 * 32 * 32]
        self.mean_w = torch.tensor([0.5, -1.0, 0.0, 2.0])
        self.std_w = torch.tensor([0.2, 0.5, 1.0, 2.0])
        self.n_full_images = 0

    def map(self, z: Tensor, truncation: float = 1.0) -> Tensor:
        return self.mean_w + truncation * self.std_w * z

    def features(self, w_plus: Tensor) -> Tensor:
        offset = ((w_plus - self.mean_w) / self.std_w).flatten(1)  # [N, C D]
        return (offset @ self._patterns).reshape(-1, 3, 32, 32)

    def synthesise(self, w_plus: Tensor) -> Tensor:
        return F.interpolate(torch.tanh(self.features(w_plus)), scale_factor=8)

    def synthesise_256(self, w_plus: Tensor) -> Tensor:
        self.n_full_images += len(w_plus)
        return self.synthesise(w_plus)


def faulty_head(w_plus: Tensor) -> Tensor:
    """Near the full image, but too flat, tinted, and with a tint that follows the code: an error that can be fitted."""
    tint = 0.2 + 0.1 * torch.tanh(w_plus[:, 0, :3])
    image = torch.tanh(0.8 * ToyGenerator().features(w_plus)) + tint[:, :, None, None]
    return F.interpolate(image, scale_factor=8)


def faulty_coarse_head(w_plus: Tensor) -> Tensor:
    """The same at 128 px."""
    return F.avg_pool2d(faulty_head(w_plus), 2)


def toy_distance() -> PerceptualDistance:
    """The real distance over two trivial slices: colours on a 32 px grid, and their spread on a 16 px grid."""

    class Slices(nn.Module):
        def forward(self, x: Tensor) -> list[Tensor]:
            small = F.avg_pool2d(x, 8) + 1.5  # away from 0, where unit length jumps
            return [small, F.avg_pool2d(small.square(), 2)]

    lin = [torch.tensor([1.0, 2.0, 1.0]), torch.tensor([0.5, 0.5, 0.5])]
    return PerceptualDistance(Slices(), lin, name="toy", weights_sha256="1" * 64)


def toy_codes(n: int, *, seed: int, spread: float = 0.7) -> Tensor:
    """Codes [n, 3, 4] around the mean of `ToyGenerator`, `spread` standard deviations wide."""
    generator = ToyGenerator()
    z = torch.randn(n, N_CHANNELS, W_DIM, generator=torch.Generator().manual_seed(seed))
    return generator.mean_w + spread * generator.std_w * z
