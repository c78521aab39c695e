"""Make tests/data/stlpips_parity.npz: distances computed by the ST-LPIPS authors' own code on seeded images.

    uv run python tests/data/make_stlpips_fixture.py

The package's code imports IPython and torchsummary, which it neither declares nor needs for computing a distance; two
empty modules stand in for them here. The images are not stored: `seeded_images` makes them again.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

OUT = Path(__file__).with_name("stlpips_parity.npz")
SIDES_PX = {"alex": (256, 255, 96), "vgg": (97, 96)}  # odd and even: the borders of the blurs differ


def seeded_images(side_px: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Four pairs of float32 [4, 3, side, side] in [-1, 1]: smooth against noisy, shifted, darkened and unrelated."""
    rng = np.random.default_rng(side_px)
    coarse = torch.from_numpy(rng.uniform(-1, 1, (4, 3, 9, 9)).astype(np.float32))
    x = F.interpolate(coarse, size=(side_px, side_px), mode="bicubic", align_corners=False).clamp(-1, 1)
    noise = torch.from_numpy(rng.normal(0, 0.1, (3, side_px, side_px)).astype(np.float32))
    y = torch.stack([x[0] + noise, x[1].roll((3, -2), (1, 2)), x[2] * 0.5 - 0.5, x[0].flip(2)]).clamp(-1, 1)
    return x, y


def published_distance(net: str) -> torch.nn.Module:
    """The authors' own module, with stand-ins for what their code imports and does not use."""
    for name, attribute in (("IPython", "embed"), ("torchsummary", "summary")):
        module = types.ModuleType(name)
        setattr(module, attribute, None)
        sys.modules.setdefault(name, module)
    from stlpips_pytorch import stlpips

    return stlpips.LPIPS(net=net, variant="shift_tolerant", verbose=False)


def main() -> None:
    arrays = {}
    for net, sides_px in SIDES_PX.items():
        published = published_distance(net)
        for side_px in sides_px:
            with torch.inference_mode():
                arrays[f"{net}_{side_px}"] = published(*seeded_images(side_px)).flatten().numpy()
    np.savez(OUT, **arrays)
    print({k: v.tolist() for k, v in arrays.items()})


if __name__ == "__main__":
    main()
