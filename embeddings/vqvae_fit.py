"""Fit a VQ-VAE-2 to images: Adam for the network, moving averages for the codebooks.

Left to itself the top level dies: a code or two in use, and the bottom level, nearer to the image and quicker to learn,
does all the work. Four things keep it alive. Both levels start with vectors of deviation 1, the top level learns alone
for a while, codebooks are filled anew from the batch for as long as vectors move faster than averages follow, and to
the end a quarter of the windows are decoded from the top level alone (nested dropout; Rippel, Gelbart and Adams,
"Learning ordered representations with nested dropout", ICML 2014).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from embeddings.codec import LEVELS_PER_UNIT, SIZE_PX
from embeddings.image_source import ImageSource
from embeddings.quantise import Quantiser
from embeddings.vqvae import STRIDE_PX, VqVae2

CHECKPOINT_STEPS = 200
# The first steps decode the top level alone; of short fits a quarter.
_TOP_ALONE_STEPS = 300
# After that this share of the windows still is.
_TOP_ALONE_SHARE = 0.25
# Codebooks are filled anew every so many steps, for the first so many.
_FILL_EVERY, _FILL_STEPS = 10, 1000
# After that codes that get less than this share of an even share are moved, until the rate falls low.
_DEAD_SHARE, _RESTART_EVERY, _RESTART_UNTIL = 0.03, 50, 0.8


@dataclass(frozen=True)
class VqVaeFit:
    """How the network is fitted.

    Attributes
    ----------
    n_steps, batch_size
        Adam steps, and windows in each.
    window_px
        Side of the windows cut out of the images, a multiple of 8. The network is convolutional: many small windows
        teach it more than few whole images of the same cost.
    learning_rate
        Peak; it rises over 50 steps or a tenth of them all, stays for half the fit and falls to zero along a cosine.
    commitment
        Weight of the commitment loss (0.25 in the papers).
    seed
        First weights, and which windows a step sees.
    bf16
        Convolutions in bfloat16; codes are always looked up in float32.
    """

    n_steps: int = 20_000
    batch_size: int = 16
    window_px: int = 128
    learning_rate: float = 1e-3
    commitment: float = 0.25
    seed: int = 0
    bf16: bool = False

    def __post_init__(self) -> None:
        if self.window_px % STRIDE_PX or not STRIDE_PX <= self.window_px <= SIZE_PX:
            raise ValueError(f"window_px: expected a multiple of {STRIDE_PX} up to {SIZE_PX}, got {self.window_px}")
        if self.n_steps < 1 or self.batch_size < 1:
            raise ValueError(f"expected at least 1 step and window, got {self.n_steps} and {self.batch_size}")


def start_vqvae(model: VqVae2, *, seed: int) -> None:
    """Draw the network's first weights from ``seed``, as torch draws them by default (uniform by fan-in)."""
    random = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            bound = 1 / math.sqrt(module.weight[0].numel())
            torch.nn.init.uniform_(module.weight, -bound, bound, generator=random)
            if module.bias is not None:
                torch.nn.init.uniform_(module.bias, -bound, bound, generator=random)


def fit_vqvae(
    model: VqVae2, images: ImageSource, indices: list[int], settings: VqVaeFit, *, checkpoint: Path | None = None
) -> Iterator[tuple[int, float]]:
    """Fit ``model`` in place; yields after each step its number, from 1, and the mean squared error of its windows.

    What a step draws depends on the seed and its number alone, so a fit that was stopped goes on as if it had not been.

    Parameters
    ----------
    model
        On the device to work on, its weights drawn by `start_vqvae`.
    images, indices
        Where images come from, and the numbers of those to learn from.
    settings
        Length, rate, windows.
    checkpoint
        File for the state, written every ``CHECKPOINT_STEPS`` steps; if it exists, the fit goes on from it.

    Raises
    ------
    FloatingPointError
        The loss is no longer a number: the rate is too high.
    """
    model.train().requires_grad_(True)
    device = next(model.parameters()).device
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate, betas=(0.9, 0.99))
    first = 0
    if checkpoint is not None and checkpoint.is_file():
        first = _resume(checkpoint, model, optimiser)
    for step in range(first, settings.n_steps):
        windows = _windows(images, indices, settings, step).to(device)
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, settings.n_steps)
        error = _learn(model, optimiser, windows, settings, step)
        if not math.isfinite(error):
            raise FloatingPointError(f"step {step + 1}: the loss is not a number; lower the learning rate")
        if checkpoint is not None and (step + 1) % CHECKPOINT_STEPS == 0:
            part = checkpoint.with_suffix(".part")
            torch.save({"step": step + 1, "model": model.state_dict(), "optimiser": optimiser.state_dict()}, part)
            part.replace(checkpoint)
        yield step + 1, error
    model.eval().requires_grad_(False)


def _learn(model: VqVae2, optimiser: torch.optim.Adam, windows: Tensor, settings: VqVaeFit, step: int) -> float:
    """One step of network and codebooks on ``windows``; the mean squared error before it, where both levels serve."""
    top_alone = min(_TOP_ALONE_STEPS, settings.n_steps // 4)
    both = step >= top_alone
    with torch.autocast(windows.device.type, torch.bfloat16, enabled=settings.bf16):
        if step == 0:
            _standardise(model.quantize_conv_t, model.encode(windows).top_vectors)
            _fill(model.quantize_t, model.encode(windows).top_vectors, settings, step)
        if step == top_alone:
            _standardise(model.quantize_conv_b, model.encode(windows).bottom_vectors)
            _fill(model.quantize_b, model.encode(windows).bottom_vectors, settings, step)
        code = model.encode(windows)
        n_top_alone = math.ceil(_TOP_ALONE_SHARE * len(windows)) if both else len(windows)
        bottom = torch.cat([torch.zeros_like(code.bottom[:n_top_alone]), code.bottom[n_top_alone:]])
        made = model.decode(code.top, bottom)
    errors = (made.float() - windows).square().mean(dim=(1, 2, 3))  # [N]
    commitment = code.top_commitment + (code.bottom_commitment if both else 0)
    optimiser.zero_grad()
    (errors.mean() + settings.commitment * commitment).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    _move(model.quantize_t, code.top_vectors.detach(), code.top_indices, settings, step)
    if both:
        _move(model.quantize_b, code.bottom_vectors.detach(), code.bottom_indices, settings, step)
    return errors[n_top_alone if both and n_top_alone < len(errors) else 0 :].mean().item()


def _windows(images: ImageSource, indices: list[int], settings: VqVaeFit, step: int) -> Tensor:
    """Windows of one step, half of them mirrored, float32 [N, 3, window_px, window_px] in [-1, 1]."""
    random = np.random.default_rng([settings.seed, step])
    chosen = random.choice(indices, settings.batch_size, replace=settings.batch_size > len(indices))
    corners = random.integers(0, SIZE_PX - settings.window_px + 1, (settings.batch_size, 2))
    mirrored = random.random(settings.batch_size) < 0.5
    cut = []
    for index, (row, column), mirror in zip(chosen.tolist(), corners.tolist(), mirrored, strict=True):
        window = images.read([index])[0, row : row + settings.window_px, column : column + settings.window_px]
        cut.append(window[:, ::-1] if mirror else window)
    batch = torch.from_numpy(np.stack(cut)).movedim(-1, 1)  # [N, 3, window_px, window_px] uint8, channels last
    return batch.float() / LEVELS_PER_UNIT - 1


@torch.no_grad()
def _standardise(layer: torch.nn.Conv2d, vectors: Tensor) -> None:
    """Scale ``layer`` so that its output ``vectors`` [N, dim, H, W] has mean 0 and deviation 1 in each channel.

    torch's first weights shrink what differs between places in every layer, and biases do not. The top level lies so
    deep that its vectors deviate by 0.005 about a mean of length 0.7: to the decoder all its codes look alike, it never
    learns to read them.
    """
    mean, deviation = vectors.float().mean((0, 2, 3)), vectors.float().std((0, 2, 3)).clamp(min=1e-6)
    layer.weight.div_(deviation[:, None, None, None])
    layer.bias.sub_(mean).div_(deviation)  # type: ignore[union-attr]


def _fill(quantiser: Quantiser, vectors: Tensor, settings: VqVaeFit, step: int, *, below: float = math.inf) -> None:
    """Move codes that get ``below`` so many vectors (all codes by default) onto ``vectors`` [N, dim, H, W]."""
    random = torch.Generator().manual_seed((settings.seed << 32) + step)
    quantiser.restart(vectors, below=below, random=random)


def _move(quantiser: Quantiser, vectors: Tensor, indices: Tensor, settings: VqVaeFit, step: int) -> None:
    """One step of a codebook: after the ``vectors`` [N, dim, H, W] of ``indices`` [N, H, W], or filled with them."""
    quantiser.follow(vectors, indices)
    done = step + 1
    if done <= _FILL_STEPS:
        if done % _FILL_EVERY == 0:
            _fill(quantiser, vectors, settings, step)
    elif done % _RESTART_EVERY == 0 and done < _RESTART_UNTIL * settings.n_steps:
        even = indices.numel() / len(quantiser.cluster_size)
        _fill(quantiser, vectors, settings, step, below=_DEAD_SHARE * even)


def _rate(step: int, n_steps: int) -> float:
    done = step / n_steps
    fall = 1.0 if done < 0.5 else 0.5 * (1 + math.cos(math.pi * (done - 0.5) / 0.5))
    return min(1.0, (step + 1) / min(50.0, 0.1 * n_steps)) * fall


def _resume(checkpoint: Path, model: VqVae2, optimiser: torch.optim.Adam) -> int:
    state = torch.load(checkpoint, weights_only=True, map_location=next(model.parameters()).device)
    model.load_state_dict(state["model"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])
