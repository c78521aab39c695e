"""How near the light heads' images come to the full generator's, on codes that nothing was fitted to.

    uv run lf bench head --faces FOLDER --n-faces 10

Sampled codes are drawn by a seed of their own: of W, crossed between channels, drifted per channel. Inverted ones are
what effort `fast` finds for the last faces of FOLDER (aligned, 256 px). The heads serve gradients; what they lack is
added at the corrected steps, and codes are never rated on their images.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from benchmarks.faces import last_faces, read_faces
from inversion.codes import CodeKind, draw_codes
from inversion.optimise import Head, invert
from inversion.schedule import EFFORTS
from pipeline import params
from pipeline.paths import Paths
from pipeline.stages.invert import STAGE
from pipeline.stages.inverter import Inverter, load_inverter

SEED = 20_261


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        prog="lf bench head", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="folder of aligned 256 px faces")
    parser.add_argument("--n-faces", type=int, default=10, help="faces to invert, and codes of each kind to draw")
    told = parser.parse_args(arguments)
    try:
        files = last_faces(told.faces, told.n_faces)
    except ValueError as error:
        parser.error(str(error))
    current = STAGE.run(params.load(Paths().params), Paths())
    inverter = load_inverter(current)
    if inverter.head is None:
        parser.exit(1, "this generator has no heads\n")
    random = torch.Generator().manual_seed(SEED)
    codes = {kind: draw_codes(inverter.exact, told.n_faces, kind=kind, random=random) for kind in get_args(CodeKind)}
    faces = read_faces(files).to(current.device)
    codes["inverted"] = torch.cat([_inverted(face, inverter) for face in faces.split(2)])
    print(
        f"{'head':8}{'codes':12}{'n':>4}{'PSNR dB, mean (least)':>26}{inverter.perceptual.name + ', mean (most)':>30}"
    )
    for name, head in (("fine", inverter.head), ("coarse", inverter.coarse)):
        if head is None:
            continue
        for kind, of_kind in codes.items():
            found = [_apart(code[None].to(current.device), head, inverter) for code in of_kind]
            psnr_db, distance = np.array(found).T
            print(
                f"{name:8}{kind:12}{len(found):4}{f'{psnr_db.mean():.2f} ({psnr_db.min():.2f})':>26}"
                f"{f'{distance.mean():.4f} ({distance.max():.4f})':>30}"
            )


def _inverted(faces: Tensor, inverter: Inverter) -> Tensor:
    return invert(
        faces,
        generator=inverter.generator,
        head=inverter.head,
        coarse=inverter.coarse,
        encoder=inverter.encoder,
        perceptual=inverter.perceptual,
        settings=EFFORTS["fast"],
    ).wplus


@torch.no_grad()
def _apart(code: Tensor, head: Head, inverter: Inverter) -> tuple[float, float]:
    """PSNR and distance of a head's image of one code and the full generator's at the same size, clipped."""
    made = head(code).float().clamp(-1, 1)
    full = inverter.exact.synthesise_256(code).float().clamp(-1, 1)
    full = F.avg_pool2d(full, full.shape[-1] // made.shape[-1])
    psnr_db = 10 * torch.log10(4 / (made - full).square().mean())
    return float(psnr_db), float(inverter.perceptual(made, full))


if __name__ == "__main__":
    main()
