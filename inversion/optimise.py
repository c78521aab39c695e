"""Batched search for the W+ codes that make a generator draw given faces.

The objective is that of LatentForensics and of the StyleGAN projectors before it: a perceptual distance plus a weighted
mean squared error, here with a small pull towards the mean code. Adam, warm-up and decay; each face keeps its own best
code. Nothing is drawn at random: equal inputs give equal codes on one machine.

A full generator is slow to differentiate (FFHQ-1024 on a CPU: seconds a face and step), so steps may go through a
light `head` that draws 256 px images from the generator's middle features. A head is not the generator, and optimising
through one fits its errors. So every few steps the full generator's image is made, without gradient, and what the head
missed is added to the head's image as a constant until the next such step:

    image(w) = head(w) + (full(w_k) - head(w_k)),    k the last corrected step.

At a corrected step the image, hence the loss, is exactly the full generator's; only there are codes compared and kept.
(The idea is space mapping's: a cheap model aligned with the costly one at the current point; Bandler et al., "Space
mapping: the state of the art", IEEE Trans. MTT 52(1), 2004.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from inversion.generator import Generator
from inversion.perceptual import PerceptualDistance
from inversion.schedule import InversionSettings, learning_rate_factor

__all__ = ["Encoder", "Head", "InversionResult", "InversionSettings", "OnStep", "invert"]

#: Rounding of a resize may leave [-1, 1] by this much.
RANGE_SLACK = 1e-3
#: Short memories for short searches (docs/decisions.md).
ADAM_BETAS = (0.8, 0.95)
#: Adam divides each gradient by its own size, which would make a full step of rounding noise; below this it is damped.
#: Gradients per standard deviation of W are about 2e-4 (median), 4e-6 (1st percentile); quality is the same.
ADAM_EPS = 1e-5

Encoder = Callable[[Tensor], Tensor]
Head = Callable[[Tensor, Tensor], Tensor]
OnStep = Callable[[int, int], None]


class FeatureGenerator(Generator, Protocol):
    """A generator with a cheap first half, for use with a head."""

    def features(self, w_plus: Tensor) -> Tensor:
        """Middle features [N, C, H, W] of codes [N, n_channels, w_dim]."""
        ...


@dataclass(frozen=True, kw_only=True)
class InversionResult:
    """Codes of a batch of faces, and how the search went.

    Attributes
    ----------
    wplus
        float32 [N, n_channels, w_dim]: for each face the best code among those compared.
    loss_start, loss_best
        float32 [N]: objective of the start and of `wplus`, on images of the full generator (of the head, where
        `correct_every` is 0). `loss_start` is not finite for a face that could not be rated at all.
    best_step
        int64 [N]: number of updates that led to `wplus`; 0 is the start.
    diverged
        bool [N]: loss or gradient stopped being finite; the face was frozen, `wplus` holds its best code until then.
    steps_run
        Updates made.
    """

    wplus: Tensor
    loss_start: Tensor
    loss_best: Tensor
    best_step: Tensor
    diverged: Tensor
    steps_run: int


def invert(
    images: Tensor,
    *,
    generator: Generator,
    perceptual: PerceptualDistance,
    settings: InversionSettings,
    encoder: Encoder | None = None,
    head: Head | None = None,
    on_step: OnStep | None = None,
) -> InversionResult:
    """Search W+ codes whose images look like `images`; faces of a batch do not influence each other.

    Parameters
    ----------
    images
        float32 [N, 3, 256, 256] in [-1, 1], aligned as the generator's training images, on the generator's device.
    generator
        Frozen generator; with a `head` it must offer ``features`` too.
    perceptual
        Distance of the objective.
    settings
        See `InversionSettings`.
    encoder
        Images -> first codes [N, n_channels, w_dim]; without one the search starts from the mean code.
    head
        (features, codes) -> images [N, 3, 256, 256] near the full generator's; without one each step goes through it.
    on_step
        Called with (steps done, steps) after each step.

    Raises
    ------
    ValueError
        Images of another shape, dtype or range, or not finite; an encoder's codes of another shape.
    """
    _check_images(images)
    # A caller may sit in inference mode; its tensors could not take part in a gradient, so the images are copied out.
    with torch.inference_mode(False), torch.enable_grad():
        target = images.clone()
        start = _first_codes(target, generator, encoder)
        search = _Search(target, start, generator, head, perceptual, settings)
        for step in range(settings.steps + 1):
            search.rate_and_step(step)
            if on_step is not None and step > 0:
                on_step(step, settings.steps)
        return search.result()


class _Search:
    """State of one batch: codes in standard deviations from the mean, their optimiser, and each face's best."""

    def __init__(
        self,
        target: Tensor,
        start: Tensor,
        generator: Generator,
        head: Head | None,
        perceptual: PerceptualDistance,
        settings: InversionSettings,
    ) -> None:
        self._target, self._generator, self._head = target, generator, head
        self._perceptual, self._settings = perceptual, settings
        with torch.no_grad(), self._autocast():
            self._target_features = perceptual.features(target)
        # In these units one learning rate fits dimensions whose spread differs sevenfold.
        self._offset = ((start - generator.mean_w) / generator.std_w).detach().requires_grad_()  # [N, C, D]
        self._adam = torch.optim.Adam([self._offset], lr=settings.learning_rate, betas=ADAM_BETAS, eps=ADAM_EPS)
        self._missed: Tensor | None = None  # what the head misses of the full image, [N, 3, 256, 256]
        n, device = len(target), target.device
        self._best_offset = self._offset.detach().clone()
        self._best_loss = torch.full((n,), torch.inf, device=device)
        self._best_step = torch.zeros(n, dtype=torch.int64, device=device)
        self._loss_start = torch.full((n,), torch.inf, device=device)
        self._active = torch.ones(n, dtype=torch.bool, device=device)

    def rate_and_step(self, step: int) -> None:
        """Rate the codes after `step` updates, then update them unless this was the last rating."""
        last = step == self._settings.steps
        with torch.set_grad_enabled(not last):
            image, comparable = self._draw(step)
            loss = self._objective(image)  # [N]
        self._active &= loss.detach().isfinite()
        if step == 0:
            self._loss_start = loss.detach().clone()
        if comparable:
            self._keep_best(loss.detach(), step)
        if not last:
            self._update(loss, step)

    def result(self) -> InversionResult:
        codes = self._generator.mean_w + self._generator.std_w * self._best_offset
        return InversionResult(
            wplus=codes.float(),
            loss_start=self._loss_start,
            loss_best=torch.where(self._best_loss.isfinite(), self._best_loss, self._loss_start),
            best_step=self._best_step,
            diverged=~self._active,
            steps_run=self._settings.steps,
        )

    def _draw(self, step: int) -> tuple[Tensor, bool]:
        """Images [N, 3, 256, 256] of the present codes, and whether codes may be compared on them."""
        settings = self._settings
        codes = self._generator.mean_w + self._generator.std_w * self._offset
        with self._autocast():
            # The last updates may go through the full generator; the rating after them is exact as well.
            if self._head is None or (settings.full_steps > 0 and step >= settings.steps - settings.full_steps):
                return self._generator.synthesise_256(codes).float(), True
            image = self._head(self._generator.features(codes), codes).float()  # type: ignore[attr-defined]
            if settings.correct_every == 0:
                return image, True
            # Step 0 is always exact, so `_missed` is known from then on.
            exact = step % settings.correct_every == 0 or step == settings.steps
            if exact or self._missed is None:
                with torch.no_grad():
                    self._missed = self._generator.synthesise_256(codes).float() - image
        return image + self._missed, exact

    def _objective(self, image: Tensor) -> Tensor:
        with self._autocast():
            perceptual = self._perceptual.distance_to(self._target_features, image)
        mse = (image - self._target).square().mean(dim=(1, 2, 3))
        prior = self._offset.square().mean(dim=(1, 2))
        return perceptual + self._settings.mse_weight * mse + self._settings.prior_weight * prior

    def _keep_best(self, loss: Tensor, step: int) -> None:
        better = self._active & (loss < self._best_loss)
        self._best_loss = torch.where(better, loss, self._best_loss)
        self._best_step = torch.where(better, step, self._best_step)
        self._best_offset = torch.where(better[:, None, None], self._offset.detach(), self._best_offset)

    def _update(self, loss: Tensor, step: int) -> None:
        # Summed, not averaged: a face's gradient, and so its path, is the same in every batch.
        (gradient,) = torch.autograd.grad(loss.sum(), self._offset)
        self._active &= gradient.isfinite().all(dim=(1, 2))
        frozen = ~self._active
        gradient[frozen] = 0.0
        self._offset.grad = gradient
        factor = learning_rate_factor(
            step,
            self._settings.steps,
            warmup_fraction=self._settings.warmup_fraction,
            decay_fraction=self._settings.decay_fraction,
        )
        self._adam.param_groups[0]["lr"] = self._settings.learning_rate * factor
        self._adam.step()
        with torch.no_grad():
            self._offset[frozen] = self._best_offset[frozen]

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self._target.device.type, dtype=torch.bfloat16, enabled=self._settings.autocast_bf16)


def _first_codes(images: Tensor, generator: Generator, encoder: Encoder | None) -> Tensor:
    shape = (len(images), generator.n_channels, generator.w_dim)
    if encoder is None:
        return generator.mean_w.expand(shape).clone()
    with torch.no_grad():
        codes = encoder(images)
    if tuple(codes.shape) != shape:
        raise ValueError(f"encoder: expected codes of shape {list(shape)}, got {list(codes.shape)}")
    if not bool(codes.isfinite().all()):
        raise ValueError("encoder: expected finite codes, got NaN or infinity")
    return codes.float()


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
