"""Fit the fast head to the full generator's images."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812

from inversion.code_set import CodeSet, read_images
from inversion.head import N_BANDS, FastHead, StyleScale
from inversion.mobile import MobileGenerator

#: Rows and columns of image at a window's edge that the loss leaves out: the window cuts their neighbours off.
MARGIN_PX = 6
CHECKPOINT_STEPS = 250


@dataclass(frozen=True)
class HeadFit:
    """How the head is fitted.

    Attributes
    ----------
    n_steps
        Adam steps; each brings one code's features into the pool and learns from windows of ``n_windows`` of the pool.
    n_pool
        Codes whose features are kept in memory (8 MiB each in ``bfloat16``).
    window_px
        Side of a window, in features.
    learning_rate, slow_share
        Peak rate, and the share of it for the weights that act through the code.
    seed
        First weights, order of the codes and places of the windows.
    """

    n_steps: int = 6000
    n_pool: int = 32
    n_windows: int = 4
    window_px: int = 52
    learning_rate: float = 1.5e-3
    slow_share: float = 0.15
    seed: int = 0


def fit_head(
    head: FastHead,
    generator: MobileGenerator,
    code_set: CodeSet,
    images: npt.NDArray[np.float16],
    settings: HeadFit,
    *,
    checkpoint: Path | None = None,
) -> Iterator[tuple[int, float]]:
    """Fit ``head`` in place; yields after each step its number, from 1, and the mean squared error of its windows.

    What a step draws depends on the seed and its number alone, so a fit that was stopped goes on as if it had not been.

    Parameters
    ----------
    head
        From :func:`inversion.head.start_head`; :func:`start_direct` should have been called on it.
    generator
        Gives the features; ``bfloat16`` halves the time.
    code_set, images
        Codes and their full images at 256 px.
    settings
        Length and rates.
    checkpoint
        File for the state, written every ``CHECKPOINT_STEPS`` steps; if it exists, the fit goes on from it.
    """
    head.train().requires_grad_(True)
    head.styles.requires_grad_(False)  # the generator's own
    optimiser = _optimiser(head, settings)
    first = _resume(checkpoint, head, optimiser) if checkpoint is not None and checkpoint.is_file() else 0
    order = _CodeOrder(code_set.fitted(), settings.seed)
    # Before step k the pool holds codes k to k + n_pool - 1 of the order; the step replaces the oldest one.
    pool = {
        number: _features(head, generator, code_set, order[number]) for number in range(first, first + settings.n_pool)
    }
    for step in range(first, settings.n_steps):
        del pool[step]
        pool[step + settings.n_pool] = _features(head, generator, code_set, order[step + settings.n_pool])
        random = np.random.default_rng([settings.seed, 1, step])
        chosen = (step + 1 + random.choice(settings.n_pool, settings.n_windows, replace=False)).tolist()
        row, column = random.integers(0, head.plan.features_px - settings.window_px + 1, 2).tolist()
        rows, columns = slice(row, row + settings.window_px), slice(column, column + settings.window_px)
        indices = [order[number] for number in chosen]
        windows = torch.cat([pool[number][:, :, rows, columns] for number in chosen])
        made = head(
            windows.contiguous(memory_format=torch.channels_last), code_set.codes[indices], corner=(row, column)
        )
        target = _targets(head, images, indices)
        target = target[:, :, 2 * rows.start : 2 * rows.stop, 2 * columns.start : 2 * columns.stop]
        inner = (..., slice(MARGIN_PX, -MARGIN_PX), slice(MARGIN_PX, -MARGIN_PX))
        loss = F.mse_loss(made[inner], target[inner])
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * _rate(step, settings.n_steps)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimiser.step()
        if checkpoint is not None and (step + 1) % CHECKPOINT_STEPS == 0:
            part = checkpoint.with_suffix(".part")
            torch.save({"step": step + 1, "head": head.state_dict(), "optimiser": optimiser.state_dict()}, part)
            part.replace(checkpoint)
        yield step + 1, loss.item()
    head.eval().requires_grad_(False)


@torch.no_grad()
def start_direct(
    head: FastHead,
    generator: MobileGenerator,
    code_set: CodeSet,
    images: npt.NDArray[np.float16],
    *,
    n_codes: int = 48,
    n_pixels: int = 3000,
    seed: int = 5,
) -> None:
    """Start the head's direct path by least squares on a few codes, and bring the scaled features to unit size.

    The path from scaled features to the image's Haar bands is linear, so its best start has a closed form. Features
    differ a thousandfold in size; dividing the first scale by each one's root mean square gives all the same step size.
    """
    random = torch.Generator().manual_seed(seed)
    n_features = head.enter.in_channels
    gram = torch.zeros(n_features + 1, n_features + 1, dtype=torch.float64)
    moment = torch.zeros(n_features + 1, N_BANDS, dtype=torch.float64)
    for index in code_set.fitted()[:n_codes]:
        scale = head.up(code_set.codes[index : index + 1, head.plan.up_channel])
        x = (_features(head, generator, code_set, index).float() * scale[:, :, None, None])[0].flatten(1).T
        y = _haar(_targets(head, images, [index]))[0].flatten(1).T
        keep = torch.randperm(len(x), generator=random)[:n_pixels]
        x = torch.cat([x[keep], torch.ones(len(keep), 1)], 1).double()
        gram += x.T @ x
        moment += x.T @ y[keep].double()
    size = (gram.diag()[:-1] / gram[-1, -1]).sqrt()
    ridge = torch.cat([gram.diag()[:-1] * 1e-4, torch.zeros(1, dtype=torch.float64)])
    solution = torch.linalg.solve(gram + torch.diag(ridge), moment)
    head.up.weight.div_(size[:, None].float())
    head.up.bias.div_(size.float())
    head.enter.weight[:N_BANDS] = (solution[:-1].T * size).float()[:, :, None, None]
    assert head.enter.bias is not None
    head.enter.bias[:N_BANDS] = solution[-1].float()
    head.enter.weight[N_BANDS:] *= 1.5


@torch.no_grad()
def head_psnr_db(
    head: FastHead,
    generator: MobileGenerator,
    code_set: CodeSet,
    images: npt.NDArray[np.float16],
    indices: list[int],
) -> float:
    """Give the mean PSNR of the head's images against the full generator's, both clipped to [-1, 1]; the peak is 2."""
    psnr = []
    for index in indices:
        made = head(_features(head, generator, code_set, index), code_set.codes[index : index + 1])
        mse = F.mse_loss(made.clamp(-1, 1), _targets(head, images, [index]).clamp(-1, 1)).item()
        psnr.append(10 * math.log10(4 / mse))
    return float(np.mean(psnr))


def _features(head: FastHead, generator: MobileGenerator, code_set: CodeSet, index: int) -> torch.Tensor:
    with torch.no_grad():
        return generator.features(code_set.codes[index : index + 1], head.plan.n_blocks)


def _targets(head: FastHead, images: npt.NDArray[np.float16], indices: list[int]) -> torch.Tensor:
    """Full images, reduced by area to the side that the head draws."""
    whole = read_images(images, indices)
    return F.avg_pool2d(whole, whole.shape[-1] // (2 * head.plan.features_px))


def _haar(image: torch.Tensor) -> torch.Tensor:
    """One level of the orthonormal Haar transform, [N, 3, 2 H, 2 W] -> [N, 12, H, W], band by band."""
    a, b, c, d = (image[..., u::2, v::2] for u in (0, 1) for v in (0, 1))
    return 0.5 * torch.cat([a + b + c + d, a + b - c - d, a - b + c - d, a - b - c + d], dim=1)


def _optimiser(head: FastHead, settings: HeadFit) -> torch.optim.Adam:
    slow = [p for module in head.modules() if isinstance(module, StyleScale) for p in module.parameters()]
    slow += list(head.up.parameters())
    known = {id(p) for p in slow}
    fast = [p for p in head.parameters() if p.requires_grad and id(p) not in known]
    peak = settings.learning_rate
    return torch.optim.Adam(
        [{"params": fast, "peak": peak}, {"params": slow, "peak": peak * settings.slow_share}], betas=(0.9, 0.99)
    )


def _rate(step: int, n_steps: int) -> float:
    """Warm up over 50 steps, stay for three tenths, then fall to zero along a cosine."""
    done = step / n_steps
    fall = 1.0 if done < 0.3 else 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7))
    return min(1.0, (step + 1) / 50) * fall


def _resume(checkpoint: Path, head: FastHead, optimiser: torch.optim.Adam) -> int:
    state = torch.load(checkpoint, weights_only=True)
    head.load_state_dict(state["head"])
    optimiser.load_state_dict(state["optimiser"])
    return int(state["step"])


class _CodeOrder:
    """An endless order of codes, each round through all of them shuffled anew; any place can be asked for."""

    def __init__(self, indices: list[int], seed: int) -> None:
        self._indices, self._seed = np.asarray(indices), seed
        self._rounds: dict[int, list[int]] = {}

    def __getitem__(self, number: int) -> int:
        turn, place = divmod(number, len(self._indices))
        if turn not in self._rounds:
            self._rounds[turn] = np.random.default_rng([self._seed, 0, turn]).permutation(self._indices).tolist()
        return self._rounds[turn][place]
