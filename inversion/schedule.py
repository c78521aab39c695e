"""Settings of the inversion, its effort dial, and its learning-rate schedule."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

Latent = Literal["w+", "w"]
Effort = Literal["encoder", "fast", "paper", "max"]


def _require(settings: object, name: str, low: float, high: float) -> None:
    value = getattr(settings, name)
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"inversion settings: expected {name} finite and from {low:g} to {high:g}, got {value!r}")


@dataclass(frozen=True, kw_only=True)
class InversionSettings:
    """How codes are searched; every value is checked when the object is made.

    Attributes
    ----------
    steps
        Updates of the codes; 0 keeps the start and only rates it.
    learning_rate
        Of Adam, in standard deviations of w (per dimension) per step.
    latent
        ``w+``: a code for each channel; ``w``: one code for all, which starts from the mean of the first codes.
    mse_weight
        Weight of the mean squared error over pixels in [-1, 1] beside the perceptual distance.
    prior_weight
        Truncation prior: weight of the mean squared distance from the mean code, in standard deviations. W+ has room
        for codes that match the pixels and mean nothing; near the mean, channels stay comparable between faces, as
        classifiers on W+ need.
    in_domain_weight
        Weight of the mean squared distance, in standard deviations, between a code and what the encoder reads off its
        image (Zhu et al., "In-Domain GAN Inversion", ECCV 2020); above 0 it needs an encoder and costs a pass of it.
    code_noise
        Deviation of the noise on the codes at the first step, in standard deviations of w; it falls to nothing
        quadratically over the first 75 % (Karras et al. 2020, appendix D). 0 leaves it out.
    seed
        Of that noise, the only thing drawn.
    warmup_fraction, decay_fraction
        Shares of the run over which the learning rate rises and falls.
    correct_every
        Steps between two images of the full generator when a head is used. Without a head every step is exact.
    coarse_fraction
        Share of the steps, from the first, that go through the coarse head where there is one.
    stop_below
        A face whose rating improved by less than this share since the last exact one slows down over the next
        `correct_every` steps and leaves the batch; 0 lets every face run to the end.
    autocast_bf16
        Run the networks in bfloat16 where that is safe (losses and codes stay float32).
    """

    steps: int = 100
    learning_rate: float = 0.05
    latent: Latent = "w+"
    mse_weight: float = 1.0
    prior_weight: float = 0.001
    in_domain_weight: float = 0.0
    code_noise: float = 0.0
    seed: int = 0
    warmup_fraction: float = 0.05
    decay_fraction: float = 0.25
    correct_every: int = 10
    coarse_fraction: float = 0.0
    stop_below: float = 0.0
    autocast_bf16: bool = False

    def __post_init__(self) -> None:
        _require(self, "steps", 0, math.inf)
        _require(self, "learning_rate", sys.float_info.min, math.inf)
        _require(self, "correct_every", 1, math.inf)
        for name in ("mse_weight", "prior_weight", "in_domain_weight", "code_noise"):
            _require(self, name, 0, math.inf)
        for name in ("warmup_fraction", "decay_fraction", "coarse_fraction", "stop_below"):
            _require(self, name, 0, 1)
        if self.latent not in ("w+", "w"):
            raise ValueError(f"inversion settings: expected latent 'w+' or 'w', got {self.latent!r}")

    @property
    def coarse_steps(self) -> int:
        """Steps that go through the coarse head, where there is one."""
        return round(self.coarse_fraction * self.steps)


#: The effort dial. docs/decisions.md holds the figures behind these values.
EFFORTS: dict[Effort, InversionSettings] = {
    "encoder": InversionSettings(steps=0),
    "fast": InversionSettings(steps=5, learning_rate=0.09, correct_every=10),
    "paper": InversionSettings(steps=100, learning_rate=0.05, correct_every=10, stop_below=0.02),
    "max": InversionSettings(steps=1000, learning_rate=0.03, correct_every=25, stop_below=0.002),
}


def effort(name: Effort, *, steps: int | None = None) -> InversionSettings:
    """Settings of an effort, with another number of steps where one is told."""
    settings = EFFORTS[name]
    return settings if steps is None else replace(settings, steps=steps)


def learning_rate_factor(step: int, *, rise_steps: float, end: Tensor, fall_steps: Tensor) -> Tensor:
    """Share of the full learning rate that each face uses: linear warm-up, plateau, cosine decay to its own end.

    The ramps of StyleGAN2's projector (Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR
    2020, appendix D, arXiv 1912.04958), taken at the middle of each step, so that the first and the last one move too:
    with t = step + 1/2, min(1, t / rise) * (1 - cos(pi * min(1, (end - t) / fall))) / 2.

    Parameters
    ----------
    step
        From 0 to below each face's end.
    rise_steps
        Length of the warm-up; 0 leaves it out.
    end
        [N]: the number of steps after which a face has finished.
    fall_steps
        Float [N]: length of a face's decay; 0 leaves it out.

    Returns
    -------
    Tensor
        float32 [N] in (0, 1].
    """
    t = step + 0.5
    rise = min(1.0, t / rise_steps) if rise_steps > 0 else 1.0
    left = torch.where(fall_steps > 0, (end - t) / fall_steps.clamp_min(1e-9), torch.ones_like(fall_steps))
    return (rise * 0.5 * (1.0 - torch.cos(math.pi * left.clamp(0.0, 1.0)))).float()
