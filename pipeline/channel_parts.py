"""Coarse, middle and fine W+ channels, by the resolution they act at."""

from __future__ import annotations

#: First channel of each part: 4 x 4 and 8 x 8 (pose, shape), 16 and 32 (features), 64 and more (colour, texture).
#: The resolutions are StyleGAN's (arXiv:1812.04948, section 3.1); a StyleGAN2 has one layer at 4 x 4, else two.
FIRST = {"coarse": 0, "middle": 3, "fine": 7}


def parts(n_channels: int) -> dict[str, list[int]]:
    """Channels of each part; parts beyond the last channel are left out."""
    starts = [*FIRST.values(), n_channels]
    ends = starts[1:]
    ranges = {name: list(range(a, min(b, n_channels))) for name, a, b in zip(FIRST, starts, ends, strict=False)}
    return {name: channels for name, channels in ranges.items() if channels}
