"""Where in the image a W+ channel acts: how much the generator's image changes when the channel alone is moved."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from inversion.generator import Generator, check_w_plus


@torch.no_grad()
def moved_images(
    generator: Generator,
    w_plus: torch.Tensor,
    *,
    seed: int,
    channels: Sequence[int] | None = None,
    n_std: float = 1.0,
    batch_size: int = 4,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The full image of one code, and its images with each channel moved to one side and to the other.

    Each of the channel's numbers is moved by ``n_std`` standard deviations of W, up or down at random, all at once, and
    then by the same the other way. Random signs follow no direction of W, so what comes out is how strongly, and where,
    the channel acts, not what it means.

    Parameters
    ----------
    generator : the full one, whose image is judged.
    w_plus : float [n_channels, w_dim], the code of one face.
    seed : of the signs; one seed moves all faces and channels alike.
    channels : which channels to move, one at a time; None: all.

    Returns
    -------
    (before [3, 256, 256], moved [n_moved, 2, 3, 256, 256]) float32, nominally in [-1, 1]; the second axis is up, down

    Raises
    ------
    ValueError
        A code of another shape, or a channel that it does not have.
    """
    check_w_plus(w_plus[None], n_channels=generator.n_channels, w_dim=generator.w_dim)
    wanted = list(range(generator.n_channels) if channels is None else channels)
    if not wanted or not all(0 <= c < generator.n_channels for c in wanted):
        raise ValueError(f"expected channels from 0 to {generator.n_channels - 1}, got {wanted}")
    signs = torch.randint(0, 2, (generator.w_dim,), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    step = n_std * generator.std_w.cpu() * signs
    code = w_plus.float().cpu()
    moved = code.repeat(2 * len(wanted), 1, 1)  # [2 M, C, w_dim]
    for place, c in enumerate(wanted):
        moved[2 * place, c] += step
        moved[2 * place + 1, c] -= step
    device = generator.mean_w.device
    before = generator.synthesise_256(code[None].to(device)).float().cpu()[0]
    images = [
        generator.synthesise_256(moved[start : start + batch_size].to(device)).float().cpu()
        for start in range(0, len(moved), batch_size)
    ]
    return before, torch.cat(images).reshape(len(wanted), 2, *before.shape)


def change_maps(before: torch.Tensor, moved: torch.Tensor, *, n_cells: int = 32) -> torch.Tensor:
    """Mean absolute change per channel in square cells, the mean of both sides; arguments as `moved_images` gives them.

    Returns
    -------
    float32 [n_moved, n_cells, n_cells] on the [-1, 1] scale (2 would be from black to white).

    Raises
    ------
    ValueError
        A number of cells that does not divide 256.
    """
    if n_cells < 1 or 256 % n_cells:
        raise ValueError(f"expected a number of cells that divides 256, got {n_cells}")
    gap = (moved - before).abs().mean(dim=(1, 2))  # [M, 256, 256]
    return torch.nn.functional.avg_pool2d(gap[:, None], 256 // n_cells)[:, 0]
