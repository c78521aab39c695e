"""The state of one batch of a search; `inversion.optimise` says what is searched and why."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from inversion.generator import Generator
from inversion.perceptual import Features, PerceptualDistance
from inversion.result import InversionResult, Trace
from inversion.row_adam import RowAdam
from inversion.schedule import InversionSettings, learning_rate_factor

SIDE_PX, COARSE_PX = 256, 128
#: Share of the run over which the noise on the codes falls to nothing (Karras et al. 2020, appendix D).
NOISE_SHARE = 0.75

Encoder = Callable[[Tensor], Tensor]
Head = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Networks:
    """The networks a search works with; see `inversion.optimise.invert`."""

    generator: Generator
    perceptual: PerceptualDistance
    encoder: Encoder | None
    head: Head | None
    coarse: Head | None


class _Goal(NamedTuple):
    """The faces at one size, [n, 3, side, side], and what the distance's network sees in them."""

    images: Tensor
    features: Features

    def keep(self, rows: Tensor) -> _Goal:
        return _Goal(self.images[rows], [f[rows] for f in self.features])


class _Terms(NamedTuple):
    """The objective and two of its parts, each [n]."""

    total: Tensor
    perceptual: Tensor
    mse: Tensor

    def detach(self) -> _Terms:
        return _Terms(*(term.detach() for term in self))


class Search:
    """State of one batch: codes in standard deviations from the mean, their optimiser, and each face's best.

    `_rows` [n] numbers the faces still in the batch; so do the first axes of `_offset`, `_missed`, `_goals`, `_end`,
    `_fall` and `_rating`. What is reported holds all N.
    """

    def __init__(
        self, target: Tensor, start: Tensor, networks: Networks, settings: InversionSettings, began_s: float
    ) -> None:
        self._networks, self._settings, self._began_s = networks, settings, began_s
        n, device = len(target), target.device
        self._coarse_steps = settings.coarse_steps if networks.coarse is not None else 0
        self._goals = {SIDE_PX: self._goal(target)}
        if self._coarse_steps:
            self._goals[COARSE_PX] = self._goal(_shrink(target, COARSE_PX))
        # In these units one learning rate fits dimensions whose spread differs sevenfold.
        self._offset = (start - networks.generator.mean_w) / networks.generator.std_w  # [n, C or 1, D]
        self._adam = RowAdam(self._offset)
        self._missed: Tensor | None = None  # what the head misses of the full image, [n, 3, side, side]
        self._rows = torch.arange(n, device=device)
        self._end = torch.full((n,), settings.steps, device=device)
        self._fall = torch.full((n,), settings.decay_fraction * settings.steps, device=device)
        self._rating = torch.full((n,), torch.inf, device=device)
        self._best_offset = self._offset.clone()
        self._best_image = torch.zeros_like(target)
        self._best_loss = torch.full((n,), torch.inf, device=device)
        self._best_step = torch.zeros(n, dtype=torch.int64, device=device)
        self._loss_start = torch.full((n,), torch.inf, device=device)
        self._steps_run = torch.full((n,), settings.steps, device=device)
        self._diverged = torch.zeros(n, dtype=torch.bool, device=device)
        self._trace: list[tuple[int, float, Tensor, Tensor]] = []

    @property
    def n_left(self) -> int:
        """Faces still in the batch."""
        return len(self._rows)

    def rate_and_step(self, step: int) -> None:
        """Rate the codes after `step` updates where it is their turn, then update those that go on."""
        last = step == self._settings.steps
        offset = self._offset.detach().requires_grad_(not last)
        with torch.set_grad_enabled(not last):
            image, full = self._draw(offset, step, last=last)
            terms = self._objective(image, offset)
        sound = terms.total.detach().isfinite()  # [n]
        if full is not None:
            with torch.no_grad():  # a fine image equals the full one here, a coarse one is no base for a rating
                rated = terms.detach() if image.shape[-1] == SIDE_PX else self._objective(full, offset)
            sound &= rated.total.isfinite()
            self._rate(step, full, rated, sound)
        if last:
            self._diverged[self._rows] |= ~sound
            return
        # Summed, not averaged: a face's gradient, and so its path, is the same in every batch.
        (gradient,) = torch.autograd.grad(terms.total.sum(), offset)
        sound &= gradient.isfinite().flatten(1).all(dim=1)
        self._diverged[self._rows] |= ~sound
        stay = sound & (self._end > step)
        if not bool(stay.all()):
            self._steps_run[self._rows[~stay]] = step
            self._keep(stay)
            gradient = gradient[stay]
        if self.n_left:
            rate = self._settings.learning_rate * learning_rate_factor(
                step,
                rise_steps=self._settings.warmup_fraction * self._settings.steps,
                end=self._end,
                fall_steps=self._fall,
            )
            self._offset = self._offset + self._adam.step(gradient, rate)

    def result(self) -> InversionResult:
        """Gather what was found for all faces."""
        steps, seconds, perceptual, mse = zip(*self._trace, strict=True)
        return InversionResult(
            wplus=self._codes(self._best_offset).float(),
            image=self._best_image,
            loss_start=self._loss_start,
            loss_best=torch.where(self._best_loss.isfinite(), self._best_loss, self._loss_start),
            best_step=self._best_step,
            steps_run=self._steps_run,
            diverged=self._diverged,
            trace=Trace(
                step=torch.tensor(steps),
                seconds_per_face=torch.tensor(seconds, dtype=torch.float64) / len(self._best_step),
                perceptual=torch.stack(perceptual),
                mse_unit=torch.stack(mse),
            ),
        )

    def _codes(self, offset: Tensor) -> Tensor:
        """[n, C or 1, D] in standard deviations from the mean -> [n, C, D]."""
        generator = self._networks.generator
        return (generator.mean_w + generator.std_w * offset).expand(-1, generator.n_channels, -1)

    def _draw(self, offset: Tensor, step: int, *, last: bool) -> tuple[Tensor, Tensor | None]:
        """Images that gradients flow through, and the full generator's where codes are to be rated on them."""
        networks = self._networks
        exact = last or self._is_exact(step)
        noise = 0.0 if exact else self._noise(step)
        with self._autocast():
            codes = self._codes(offset + noise)
            if networks.head is None or last:
                image = networks.generator.synthesise_256(codes).float()
                return image, image.detach() if isinstance(noise, float) else None  # noisy codes are not what is kept
            head = networks.coarse if step < self._coarse_steps and networks.coarse is not None else networks.head
            image = head(codes).float()
            full: Tensor | None = None
            if exact:
                with torch.no_grad():
                    full = networks.generator.synthesise_256(codes).float()
                    self._missed = _shrink(full, image.shape[-1]) - image
        assert self._missed is not None  # step 0 is exact
        return image + self._missed, full

    def _is_exact(self, step: int) -> bool:
        """Whether the full generator draws this step; images of another head miss something else, so at their start."""
        return step % self._settings.correct_every == 0 or step == self._coarse_steps

    def _noise(self, step: int) -> Tensor | float:
        """Noise [1, C or 1, D] on the codes, the same for each face, so that none depends on its batch."""
        strength = self._settings.code_noise * max(0.0, 1.0 - step / (NOISE_SHARE * self._settings.steps)) ** 2
        if strength == 0.0:
            return 0.0
        random = torch.Generator().manual_seed(self._settings.seed * 1_000_003 + step)
        return strength * torch.randn(self._offset.shape[1:], generator=random).to(self._offset)

    def _objective(self, image: Tensor, offset: Tensor) -> _Terms:
        settings, goal = self._settings, self._goals[image.shape[-1]]
        with self._autocast():
            perceptual = self._networks.perceptual.distance_to(goal.features, image)
        mse = (image - goal.images).square().mean(dim=(1, 2, 3))
        total = perceptual + settings.mse_weight * mse + settings.prior_weight * offset.square().mean(dim=(1, 2))
        if settings.in_domain_weight > 0 and self._networks.encoder is not None:
            # Encoders refuse what is not finite; here the total is not finite either, and the guard decides.
            read = self._networks.encoder(_enlarge(image, SIDE_PX).nan_to_num())
            away = (read - self._codes(offset)) / self._networks.generator.std_w
            total = total + settings.in_domain_weight * away.square().mean(dim=(1, 2))
        return _Terms(total, perceptual, mse)

    def _rate(self, step: int, full: Tensor, rated: _Terms, sound: Tensor) -> None:
        """Keep what is better than before; let faces that hardly improve come to rest."""
        rows, loss = self._rows, rated.total
        if step == 0:
            self._loss_start = loss.clone()
        better = sound & (loss < self._best_loss[rows])
        won = rows[better]
        self._best_loss[won] = loss[better]
        self._best_step[won] = step
        self._best_offset[won] = self._offset[better]
        self._best_image[won] = full[better]
        seconds = time.perf_counter() - self._began_s
        self._trace.append((step, seconds, self._for_all(rated.perceptual), self._for_all(rated.mse)))
        if not self._is_exact(step):  # without a head every step is rated, but progress is judged over stretches
            return
        rest, every = self._settings.steps - step, self._settings.correct_every
        if self._settings.stop_below > 0 and rest > every and step > self._coarse_steps:
            resting = self._end < self._settings.steps
            tired = ~resting & (loss > (1.0 - self._settings.stop_below) * self._rating)
            self._end[tired] = step + every
            self._fall[tired] = float(every)
        self._rating = loss.clone()

    def _for_all(self, values: Tensor) -> Tensor:
        """Values [n] of the faces still there -> [N] on the CPU, NaN for the others."""
        spread = torch.full((len(self._best_step),), torch.nan)
        spread[self._rows.cpu()] = values.float().cpu()
        return spread

    def _keep(self, stay: Tensor) -> None:
        self._rows, self._offset = self._rows[stay], self._offset[stay]
        self._end, self._fall, self._rating = self._end[stay], self._fall[stay], self._rating[stay]
        self._missed = None if self._missed is None else self._missed[stay]
        self._goals = {side: goal.keep(stay) for side, goal in self._goals.items()}
        self._adam.keep(stay)

    def _goal(self, images: Tensor) -> _Goal:
        with torch.no_grad(), self._autocast():
            return _Goal(images, self._networks.perceptual.features(images))

    def _autocast(self) -> torch.autocast:
        device = self._networks.generator.mean_w.device.type
        return torch.autocast(device, dtype=torch.bfloat16, enabled=self._settings.autocast_bf16)


def _shrink(images: Tensor, side_px: int) -> Tensor:
    """Reduce by area."""
    return images if images.shape[-1] == side_px else F.avg_pool2d(images, images.shape[-1] // side_px)


def _enlarge(images: Tensor, side_px: int) -> Tensor:
    return images if images.shape[-1] == side_px else F.interpolate(images, (side_px, side_px), mode="bilinear")
