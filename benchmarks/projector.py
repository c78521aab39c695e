"""NVIDIA's projector, re-stated: the yardstick for inversions.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, appendix D (arXiv 1912.04958), as the
published `projector.py` of stylegan2-ada-pytorch runs it: one code in W for all channels, from the mean; Adam (0.9,
0.999) at rate 0.1 with linear warm-up over 5 % and cosine fall over the last 25 % of the steps; Gaussian noise on the
code, of deviation 0.05 times the spread of W, falling to nothing quadratically over the first 75 %; the loss is the
perceptual distance alone. The last code is taken. Noise inputs, which the original optimises beside the code, are fixed
in our generators, so neither they nor their regularisation appear.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from inversion.generator import Generator
from inversion.perceptual import PerceptualDistance

N_SPREAD_SAMPLES = 10_000
INITIAL_NOISE, NOISE_SHARE = 0.05, 0.75
RATE, WARMUP_SHARE, FALL_SHARE = 0.1, 0.05, 0.25


def project(
    images: Tensor,
    *,
    generator: Generator,
    perceptual: PerceptualDistance,
    steps: int,
    seed: int,
    full_size: bool = False,
) -> Tensor:
    """Codes of W for faces, through the full generator.

    Parameters
    ----------
    images
        float32 [N, 3, 256, 256] in [-1, 1]; the faces are searched together and do not influence each other.
    steps
        1,000 in the original.
    seed
        Of the noise on the code.
    full_size
        Make the image at full size and reduce it by area, as the original; else `synthesise_256`, the same image
        (to rounding) for less.

    Returns
    -------
    float32 [N, n_channels, w_dim]: one code of W, repeated.
    """
    random = torch.Generator(images.device).manual_seed(seed)
    spread = _spread(generator, random)
    w = generator.mean_w.expand(len(images), 1, -1).clone().requires_grad_()  # [N, 1, D]
    adam = torch.optim.Adam([w], lr=RATE, betas=(0.9, 0.999))
    with torch.no_grad():
        target = perceptual.features(images)
    for step in range(steps):
        t = step / steps
        adam.param_groups[0]["lr"] = RATE * _rate_factor(t)
        strength = spread * INITIAL_NOISE * max(0.0, 1.0 - t / NOISE_SHARE) ** 2
        noisy = w + strength * torch.randn(w.shape, generator=random, device=w.device)
        codes = noisy.expand(-1, generator.n_channels, -1)
        if full_size:
            drawn = F.interpolate(generator.synthesise(codes), images.shape[-2:], mode="area")
        else:
            drawn = generator.synthesise_256(codes)
        (gradient,) = torch.autograd.grad(perceptual.distance_to(target, drawn).sum(), w)
        w.grad = gradient
        adam.step()
    return w.detach().expand(-1, generator.n_channels, -1).contiguous()


def _spread(generator: Generator, random: torch.Generator) -> float:
    """Root mean squared distance of codes from their mean, over the whole vector."""
    z = torch.randn(N_SPREAD_SAMPLES, generator.w_dim, generator=random, device=generator.mean_w.device)
    with torch.no_grad():
        codes = generator.map(z)
    return float((codes - generator.mean_w).square().sum(1).mean().sqrt())


def _rate_factor(t: float) -> float:
    fall = min(1.0, (1.0 - t) / FALL_SHARE)
    return (0.5 - 0.5 * math.cos(fall * math.pi)) * min(1.0, t / WARMUP_SHARE)
