"""Where in the image a W+ channel acts: how much the generator's image changes when the channel alone is moved."""

from __future__ import annotations

import torch

from inversion.generator import Generator, check_w_plus


@torch.no_grad()
def channel_effects(
    generator: Generator, w_plus: torch.Tensor, *, n_cells: int = 32, seed: int, batch_size: int = 4
) -> torch.Tensor:
    """Mean absolute change of the full image for each channel of one code, in square cells.

    Each of the channel's numbers is moved by one standard deviation of W, up or down at random, all at once, and then
    by the same the other way; the mean of both changes counts. Random signs follow no direction of W, so what comes out
    is how strongly, and where, the channel acts, not what it means.

    Parameters
    ----------
    generator : the full one, whose image is judged.
    w_plus : float [n_channels, w_dim], the code of one face.
    n_cells : cells per side; 256 must be divisible by it.
    seed : of the signs; one seed moves all faces and channels alike.

    Returns
    -------
    float32 [n_channels, n_cells, n_cells] on the [-1, 1] scale (2 would be from black to white).

    Raises
    ------
    ValueError
        A code of another shape, or a number of cells that does not divide 256.
    """
    check_w_plus(w_plus[None], n_channels=generator.n_channels, w_dim=generator.w_dim)
    if n_cells < 1 or 256 % n_cells:
        raise ValueError(f"expected a number of cells that divides 256, got {n_cells}")
    signs = torch.randint(0, 2, (generator.w_dim,), generator=torch.Generator().manual_seed(seed)) * 2 - 1
    step = generator.std_w.cpu() * signs
    code = w_plus.float().cpu()
    moved = code.repeat(2 * generator.n_channels, 1, 1)  # [2 C, C, w_dim]
    for c in range(generator.n_channels):
        moved[2 * c, c] += step
        moved[2 * c + 1, c] -= step
    device = generator.mean_w.device
    before = generator.synthesise_256(code[None].to(device)).float()
    changes = []
    for start in range(0, len(moved), batch_size):
        images = generator.synthesise_256(moved[start : start + batch_size].to(device)).float()
        gap = (images - before).abs().mean(dim=1, keepdim=True)  # [b, 1, 256, 256]
        changes.append(torch.nn.functional.avg_pool2d(gap, 256 // n_cells)[:, 0].cpu())
    return torch.cat(changes).reshape(generator.n_channels, 2, n_cells, n_cells).mean(dim=1)
