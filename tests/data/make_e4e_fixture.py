"""Make tests/data/e4e_parity.npz: codes computed by the e4e authors' own code with seeded random weights.

    git clone https://github.com/omertov/encoder4editing /some/where/else
    uv run python -m tests.data.make_e4e_fixture /some/where/else

Neither weights nor images are stored: `seeded_checkpoint` and `seeded_faces` make them again. The authors' module of
StyleGAN2 compiles CUDA code when it is imported; of it only a linear layer is needed here, so empty functions stand in
for the compiled ones.
"""

from __future__ import annotations

import math
import sys
import types
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812

from inversion.e4e import E4eEncoder

OUT = Path(__file__).with_name("e4e_parity.npz")
#: Of a 32 px generator: the fewest that use all three levels of the pyramid.
N_STYLES = 8


def seeded_faces() -> torch.Tensor:
    """Smooth coloured patterns with some noise, float32 [2, 3, 256, 256] in [-1, 1]."""
    rng = np.random.default_rng(4)
    coarse = torch.from_numpy(rng.uniform(-1, 1, (2, 3, 9, 9)).astype(np.float32))
    smooth = F.interpolate(coarse, size=(256, 256), mode="bicubic", align_corners=False)
    noise = torch.from_numpy(rng.normal(0, 0.05, (2, 3, 256, 256)).astype(np.float32))
    return (smooth + noise).clamp(-1, 1)


def seeded_checkpoint(n_styles: int = N_STYLES) -> dict[str, Any]:
    """A checkpoint in the published form with random weights that keep activations near unit size.

    The 120 million weights are windows of a few megabytes of random numbers, each of its own offset: no two layers are
    equal, and the stored file stays small.
    """
    rng = np.random.default_rng(2021)
    pool = rng.standard_normal(2_500_000 + 40_000, dtype=np.float32)
    pools: dict[float, torch.Tensor] = {}

    def window(shape: torch.Size, scale: float, place: int) -> torch.Tensor:
        start = place * 97 % 40_000
        if shape.numel() < 300_000:
            return torch.from_numpy(scale * pool[start : start + shape.numel()]).view(shape)
        base = pools.setdefault(scale, torch.from_numpy(scale * pool))
        return base[start : start + shape.numel()].view(shape)

    with torch.device("meta"):
        shapes = {key: value.shape for key, value in E4eEncoder(n_styles).state_dict().items()}
    state: dict[str, torch.Tensor] = {}
    for place, (key, shape) in enumerate(shapes.items()):
        if key.endswith("num_batches_tracked"):
            state[f"encoder.{key}"] = torch.tensor(1000)
        elif len(shape) > 1:
            linear = key.endswith("linear.weight")  # unit variance is StyleGAN's way to store it
            gain = 2.5 if key.startswith("styles.") else 1.5  # heads have no normalisation to make up for their ReLUs
            state[f"encoder.{key}"] = window(shape, 1.0 if linear else math.sqrt(gain / shape[1:].numel()), place)
        elif key.endswith("running_var"):
            state[f"encoder.{key}"] = window(shape, 1.0, place).abs() + 0.5
        elif key.endswith(("bias", "running_mean")):
            state[f"encoder.{key}"] = window(shape, 0.1, place)
        else:  # scales of normalisations, slopes of PReLU
            state[f"encoder.{key}"] = 0.5 + window(shape, 0.1, place)
    state["decoder.input.input"] = torch.zeros(1, 512, 4, 4)
    mean = torch.from_numpy(rng.normal(0, 0.3, (1, 512)).astype(np.float32)).repeat(n_styles, 1)
    opts = {
        "encoder_type": "Encoder4Editing",
        "start_from_latent_avg": True,
        "stylegan_size": 2 ** ((n_styles + 2) // 2),
        "progressive_steps": [0, 20000],
        "exp_dir": "somewhere",
        "id_lambda": 0.5,
    }
    return {"state_dict": state, "latent_avg": mean, "opts": opts}


def published_codes(checkpoint: dict[str, Any], faces: torch.Tensor, reference: Path) -> torch.Tensor:
    """What the authors' own module makes of a checkpoint and faces."""
    ops = types.ModuleType("models.stylegan2.op")
    for name in ("FusedLeakyReLU", "fused_leaky_relu", "upfirdn2d"):
        setattr(ops, name, None)
    sys.modules["models.stylegan2.op"] = ops
    sys.path.insert(0, str(reference))
    from models.encoders.psp_encoders import Encoder4Editing

    network = Encoder4Editing(50, "ir_se", Namespace(**checkpoint["opts"])).eval()
    prefix = "encoder."
    network.load_state_dict(
        {k.removeprefix(prefix): v for k, v in checkpoint["state_dict"].items() if k.startswith(prefix)}
    )
    with torch.inference_mode():
        return network(faces) + checkpoint["latent_avg"].repeat(len(faces), 1, 1)


def main() -> None:
    codes = published_codes(seeded_checkpoint(), seeded_faces(), Path(sys.argv[1])).numpy()
    np.savez_compressed(OUT, codes=codes)
    spread = codes.std(axis=2).round(2).tolist()
    print(f"{OUT.name}: {OUT.stat().st_size / 1024:.0f} KiB, spread of the styles {spread}")


if __name__ == "__main__":
    main()
