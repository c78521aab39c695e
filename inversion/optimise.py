"""Batched search for the W+ codes that make a generator draw given faces.

The objective is that of LatentForensics and of the StyleGAN projectors before it: a perceptual distance plus a weighted
mean squared error, here with a small pull towards the mean code. Adam, warm-up and decay; each face keeps its own best
code, and leaves the batch where it has converged.

A full generator is slow to differentiate (FFHQ-1024 on a CPU: seconds a face and step), so steps may go through a
light `head` that draws 256 px images from the generator's middle features, the first ones through a `coarse` head that
draws 128 px images. A head is not the generator, and optimising through one fits its errors. So every few steps the
full generator's image is made, without gradient, and what the head missed is added to the head's image as a constant
until the next such step:

    image(w) = head(w) + (full(w_k) - head(w_k)),    k the last corrected step.

Codes are rated on the full generator's images alone, at the corrected steps, and the best rated one is kept. (The idea
is space mapping's: a cheap model aligned with the costly one at the current point; Bandler et al., "Space mapping: the
state of the art", IEEE Trans. MTT 52(1), 2004.)
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from inversion.generator import Generator
from inversion.perceptual import PerceptualDistance
from inversion.result import InversionResult, Trace
from inversion.schedule import InversionSettings, Latent
from inversion.search import Encoder, Head, Networks, Search

__all__ = ["Encoder", "Head", "InversionResult", "InversionSettings", "OnStep", "Trace", "invert"]

#: Rounding of a resize may leave [-1, 1] by this much.
RANGE_SLACK = 1e-3
OnStep = Callable[[int, int], None]


def invert(
    images: Tensor,
    *,
    generator: Generator,
    perceptual: PerceptualDistance,
    settings: InversionSettings,
    encoder: Encoder | None = None,
    head: Head | None = None,
    coarse: Head | None = None,
    on_step: OnStep | None = None,
) -> InversionResult:
    """Search W+ codes whose images look like `images`; faces of a batch do not influence each other.

    Parameters
    ----------
    images
        float32 [N, 3, 256, 256] in [-1, 1], aligned as the generator's training images, on the generator's device.
    generator
        Frozen generator.
    perceptual
        Distance of the objective.
    settings
        See `InversionSettings`.
    encoder
        Images -> first codes [N, n_channels, w_dim]; without one the search starts from the mean code.
    head
        Codes -> images [N, 3, 256, 256] near the full generator's, cheap to differentiate; without one each step goes
        through the generator.
    coarse
        The same at 128 px, for the first steps; needs a `head`.
    on_step
        Called with (steps done, steps) after each step.

    Raises
    ------
    ValueError
        Images of another shape, dtype or range, or not finite; an encoder's codes of another shape; a setting that
        needs an encoder without one.
    """
    _check_images(images)
    if settings.in_domain_weight > 0 and encoder is None:
        raise ValueError("inversion settings: in_domain_weight above 0 needs an encoder")
    # A caller may sit in inference mode; its tensors could not take part in a gradient, so the images are copied out.
    with torch.inference_mode(False), torch.enable_grad():
        began_s = time.perf_counter()
        target = images.clone()
        start = _first_codes(target, generator, encoder, settings.latent)
        search = Search(target, start, Networks(generator, perceptual, encoder, head, coarse), settings, began_s)
        for step in range(settings.steps + 1):
            search.rate_and_step(step)
            if on_step is not None and step > 0:
                on_step(step, settings.steps)
            if not search.n_left:
                break
        return search.result()


def _first_codes(images: Tensor, generator: Generator, encoder: Encoder | None, latent: Latent) -> Tensor:
    """Codes to start from, [N, C, D] in W+ and [N, 1, D] in W."""
    shape = (len(images), generator.n_channels, generator.w_dim)
    if encoder is None:
        codes = generator.mean_w.expand(shape)
    else:
        with torch.no_grad():
            codes = encoder(images)
    if tuple(codes.shape) != shape:
        raise ValueError(f"encoder: expected codes of shape {list(shape)}, got {list(codes.shape)}")
    if not bool(codes.isfinite().all()):
        raise ValueError("encoder: expected finite codes, got NaN or infinity")
    return codes.float().mean(dim=1, keepdim=True) if latent == "w" else codes.float().clone()


def _check_images(images: Tensor) -> None:
    expected = "expected images as float32 [N, 3, 256, 256] in [-1, 1] with N of at least 1"
    if images.ndim != 4 or tuple(images.shape[1:]) != (3, 256, 256) or len(images) == 0:
        raise ValueError(f"{expected}, got shape {list(images.shape)}")
    if images.dtype != torch.float32:
        raise ValueError(f"{expected}, got {images.dtype}")
    if not bool(images.isfinite().all()):
        raise ValueError(f"{expected}, got NaN or infinity")
    low, high = images.min().item(), images.max().item()
    if low < -1 - RANGE_SLACK or high > 1 + RANGE_SLACK:
        raise ValueError(f"{expected}, got values from {low:.3g} to {high:.3g}")
