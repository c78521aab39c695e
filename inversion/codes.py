"""Draw W+ codes to fit the head and the encoder on.

Codes that an optimiser finds leave W: their channels drift apart. A head that was fitted on W alone would be optimised
into its blind spots, so part of the codes is mixed per channel.
"""

from typing import Literal

import torch

from inversion.generator import Generator

CodeKind = Literal["w", "crossover", "drift"]

#: Truncations are drawn evenly from this range: below it faces are all alike, above it they break.
TRUNCATION_RANGE = (0.6, 1.0)


def draw_codes(generator: Generator, n: int, *, kind: CodeKind, random: torch.Generator) -> torch.Tensor:
    """Draw ``n`` W+ codes.

    Parameters
    ----------
    generator
        Its mapping network and mean code are used.
    n
        Number of codes, at least 1.
    kind
        ``"w"``: one code for all channels. ``"crossover"``: each channel takes one of three codes, in runs.
        ``"drift"``: to a common code each channel adds an offset of its own, as long as a share (drawn per code from
        [0, 0.8]) of a code's distance from the mean.
    random
        CPU generator that makes the draw.

    Returns
    -------
    torch.Tensor
        ``float32`` [n, n_channels, w_dim] on the generator's device.

    Raises
    ------
    ValueError
        If ``n`` is below 1 or the kind is unknown.
    """
    if n < 1:
        raise ValueError(f"expected at least one code to draw, got {n}")
    if kind == "w":
        return _codes_in_w(generator, n, 1, random).expand(-1, generator.n_channels, -1).contiguous()
    if kind == "crossover":
        parents = _codes_in_w(generator, n, 3, random)  # [n, 3, D]
        return torch.gather(
            parents,
            1,
            _runs(n, generator.n_channels, random).to(parents.device)[..., None].expand(-1, -1, generator.w_dim),
        )
    if kind == "drift":
        common = _codes_in_w(generator, n, 1, random)
        own = _codes_in_w(generator, n, generator.n_channels, random)
        share = torch.rand(n, 1, 1, generator=random).mul(0.8).to(common.device)
        return common + share * (own - generator.mean_w)
    raise ValueError(f"expected a kind of code among w, crossover and drift, got '{kind}'")


def _codes_in_w(generator: Generator, n: int, n_each: int, random: torch.Generator) -> torch.Tensor:
    """Draw [n, n_each, w_dim] codes in W, one truncation for each."""
    low, high = TRUNCATION_RANGE
    z = torch.randn(n * n_each, generator.w_dim, generator=random)
    truncation = low + (high - low) * torch.rand(n * n_each, 1, generator=random)
    mean = generator.mean_w
    w = mean + truncation.to(mean) * (generator.map(z.to(mean)) - mean)
    return w.reshape(n, n_each, generator.w_dim)


def _runs(n: int, n_channels: int, random: torch.Generator) -> torch.Tensor:
    """Draw parent numbers 0 to 2 per channel, ``int64`` [n, n_channels], that change at two random places."""
    cuts = torch.randint(0, n_channels + 1, (n, 2), generator=random)
    channel = torch.arange(n_channels)
    return (channel >= cuts[:, :1]).long() + (channel >= cuts[:, 1:]).long()
