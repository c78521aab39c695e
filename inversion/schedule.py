"""Settings of the inversion and its learning-rate schedule."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class InversionSettings:
    """How codes are searched; every value is checked when the object is made.

    Attributes
    ----------
    steps
        Updates of the codes; 0 keeps the start and only rates it.
    learning_rate
        Of Adam, in standard deviations of w (per dimension) per step.
    mse_weight
        Weight of the mean squared error over pixels in [-1, 1] beside the perceptual distance.
    prior_weight
        Weight of the mean squared distance from the mean code, in standard deviations. W+ has room for codes that match
        the pixels and mean nothing; near the mean, channels stay comparable between faces, as classifiers on W+ need.
    warmup_fraction, decay_fraction
        Shares of the run over which the learning rate rises and falls.
    correct_every
        Steps between two images of the full generator when a head is used; 0 trusts the head alone, so that codes are
        compared on the head's images. Without a head every step is exact.
    full_steps
        Last steps that go through the full generator even when there is a head.
    autocast_bf16
        Run the networks in bfloat16 where that is safe (losses and codes stay float32).
    """

    steps: int = 100
    learning_rate: float = 0.05
    mse_weight: float = 1.0
    prior_weight: float = 0.001
    warmup_fraction: float = 0.05
    decay_fraction: float = 0.25
    correct_every: int = 10
    full_steps: int = 0
    autocast_bf16: bool = False

    def __post_init__(self) -> None:
        _require(self, "steps", 0, math.inf)
        _require(self, "learning_rate", sys.float_info.min, math.inf)
        for name in ("mse_weight", "prior_weight", "correct_every"):
            _require(self, name, 0, math.inf)
        for name in ("warmup_fraction", "decay_fraction"):
            _require(self, name, 0, 1)
        _require(self, "full_steps", 0, self.steps)


def learning_rate_factor(step: int, n_steps: int, *, warmup_fraction: float, decay_fraction: float) -> float:
    """Share of the full learning rate that `step` uses: linear warm-up, plateau, cosine decay.

    The ramps of StyleGAN2's projector (Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR
    2020, appendix D, arXiv 1912.04958), taken at the middle of each step, so that the first and the last one move too:
    with t = (step + 1/2) / n_steps, min(1, t / warmup) * (1 - cos(pi * min(1, (1 - t) / decay))) / 2.

    Parameters
    ----------
    step
        0 to n_steps - 1.
    n_steps
        Steps of the whole run, at least 1.
    warmup_fraction, decay_fraction
        Shares of the run, in [0, 1]; 0 leaves the ramp out.

    Returns
    -------
    float
        In (0, 1].
    """
    if not 0 <= step < n_steps:
        raise ValueError(f"expected a step from 0 to {n_steps - 1}, got {step}")
    t = (step + 0.5) / n_steps
    rise = min(1.0, t / warmup_fraction) if warmup_fraction > 0 else 1.0
    left = min(1.0, (1.0 - t) / decay_fraction) if decay_fraction > 0 else 1.0
    return rise * 0.5 * (1.0 - math.cos(math.pi * left))


def _require(settings: InversionSettings, name: str, low: float, high: float) -> None:
    value = getattr(settings, name)
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"inversion settings: expected {name} finite and from {low:g} to {high:g}, got {value!r}")
