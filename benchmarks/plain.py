"""Plain steps: what a search costs and reaches that does nothing but descend.

Adam with torch's own betas from the mean code, one code for each channel, through the full generator, on perceptual
distance plus squared error. The rate is constant; 0.01 is that of IDInvert (Zhu et al., "In-Domain GAN Inversion", ECCV
2020, the published `invert.py`), on which LatentForensics builds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from inversion.generator import Generator
from inversion.perceptual import PerceptualDistance

IDINVERT_RATE = 0.01


def descend(
    images: Tensor, *, generator: Generator, perceptual: PerceptualDistance, steps: int, rate: float = IDINVERT_RATE
) -> Tensor:
    """Codes float32 [N, n_channels, w_dim] of W+ for faces float32 [N, 3, 256, 256] in [-1, 1]."""
    w_plus = generator.mean_w.expand(len(images), generator.n_channels, -1).clone().requires_grad_()
    adam = torch.optim.Adam([w_plus], lr=rate)
    with torch.no_grad():
        goal = perceptual.features(images)
    for _ in range(steps):
        drawn = generator.synthesise_256(w_plus)
        loss = perceptual.distance_to(goal, drawn) + (drawn - images).square().mean(dim=(1, 2, 3))
        (w_plus.grad,) = torch.autograd.grad(loss.sum(), w_plus)
        adam.step()
    return w_plus.detach()
