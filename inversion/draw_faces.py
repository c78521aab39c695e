"""Draw faces with the generator into one array file, for whatever is to be trained without photographs.

    python -m inversion.draw_faces --generator DIR --n 2000 --seed 7 --out faces.npy

`DIR` is the folder random_face/data of the installed package. The images stand under the generator's terms (NOTICE).
A run that was stopped goes on where it was: the codes depend on seed and number alone.
"""

import argparse
import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from inversion.code_set import draw_code_set
from inversion.generator import Generator
from inversion.memory import keep_freed_memory
from inversion.mobile import load_mobile
from inversion.pixels import to_uint8

SIZE_PX = 256


@torch.no_grad()
def draw_faces(generator: Generator, path: Path, *, n: int, seed: int) -> Iterator[int]:
    """Write ``n`` faces to ``path``; yields the number done after each.

    Parameters
    ----------
    generator
        From :func:`inversion.mobile.load_mobile`; ``bfloat16`` halves the time.
    path
        The file: ``uint8`` [n, 256, 256, 3], RGB, in NumPy's format. While it is being made its name ends in ``.part``.
        A finished file of this shape is taken as it is.
    n, seed
        Number of faces, at least 1, and the draw of their codes (of W, crossed and drifting ones, in the parts that
        :data:`inversion.code_set.FIT_PARTS` names).

    Raises
    ------
    ValueError
        ``n`` is below 1.
    """
    if n < 1:
        raise ValueError(f"expected at least one face to draw, got {n}")
    shape = (n, SIZE_PX, SIZE_PX, 3)
    if path.is_file() and np.load(path, mmap_mode="r").shape == shape:
        yield n
        return
    codes = draw_code_set(generator, n_fit=n, n_held=0, seed=seed).codes
    # The seed is part of the name: half a file of other faces is never taken up.
    part = path.with_name(f"{path.stem}-{seed}-{generator.weights_sha256[:8]}.part")
    resumed = part.is_file() and np.load(part, mmap_mode="r").shape == shape
    images = np.lib.format.open_memmap(part, "r+" if resumed else "w+", np.uint8, shape)
    for index, code in enumerate(codes):
        if not images[index].any():  # as the file was made: no face is black all over
            images[index] = to_uint8(generator.synthesise_256(code[None].to(generator.mean_w.device)))[0]
        yield index + 1
    images.flush()
    part.replace(path)


def main() -> None:
    """Read the command line and draw."""
    parser = argparse.ArgumentParser(description="Draw 256 px faces with the mobile generator into one .npy file.")
    parser.add_argument("--generator", type=Path, required=True, help="folder random_face/data of the package")
    parser.add_argument("--out", type=Path, required=True, help="the .npy file to write")
    parser.add_argument("--n", type=int, default=2000, help="number of faces")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    told = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    keep_freed_memory()
    generator = load_mobile(told.generator, device=told.device, dtype=torch.bfloat16)
    told.out.parent.mkdir(parents=True, exist_ok=True)
    for done in draw_faces(generator, told.out, n=told.n, seed=told.seed):
        if done % 100 == 0 or done == told.n:
            logging.getLogger(__name__).info("%d of %d faces", done, told.n)


if __name__ == "__main__":
    main()
