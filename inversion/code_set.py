"""The codes and images that the head and the encoder are fitted on, drawn by seed and rendered once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from inversion.codes import CodeKind, draw_codes
from inversion.generator import Generator

#: Parts of each kind of code. Encoder and head learn from all.
FIT_PARTS: dict[CodeKind, int] = {"w": 17, "crossover": 5, "drift": 7}
HELD_PARTS: dict[CodeKind, int] = {"w": 4, "crossover": 3, "drift": 3}


@dataclass(frozen=True)
class CodeSet:
    """Codes, the first ``n_held`` of which are kept out of every fit.

    Attributes
    ----------
    codes
        ``float32`` [N, n_channels, w_dim].
    kinds
        The :data:`inversion.codes.CodeKind` of each code.
    n_held
        Number of codes kept out.
    """

    codes: torch.Tensor
    kinds: tuple[CodeKind, ...]
    n_held: int

    def held(self, kind: CodeKind) -> list[int]:
        """Give the positions of the kept-out codes of one kind."""
        return [i for i in range(self.n_held) if self.kinds[i] == kind]

    def fitted(self, kind: CodeKind | None = None) -> list[int]:
        """Give the positions of the codes to fit on, of one kind or all."""
        return [i for i in range(self.n_held, len(self.kinds)) if kind in (None, self.kinds[i])]


@torch.no_grad()
def draw_code_set(generator: Generator, *, n_fit: int, n_held: int, seed: int) -> CodeSet:
    """Draw a set: kept-out codes by kind, then the codes to fit on in random order."""
    random = torch.Generator().manual_seed(seed)
    codes, kinds = [], list[CodeKind]()
    for total, parts in ((n_held, HELD_PARTS), (n_fit, FIT_PARTS)):
        for kind, n in _shares(total, parts).items():
            if n == 0:  # a small set may lack the rarer kinds
                continue
            codes.append(draw_codes(generator, n, kind=kind, random=random).cpu())
            kinds += [kind] * n
    order = torch.cat([torch.arange(n_held), n_held + torch.randperm(n_fit, generator=random)])
    return CodeSet(torch.cat(codes)[order], tuple(kinds[i] for i in order.tolist()), n_held)


@torch.no_grad()
def render(generator: Generator, code_set: CodeSet, path: Path) -> Iterator[int]:
    """Render each code, reduced by area to 256 px, into a ``float16`` array file [N, 3, 256, 256].

    Yields the number of images done after each. A file of the right shape from an undisturbed run is taken as it is; an
    unfinished one carries another name and is made anew.
    """
    shape = (len(code_set.codes), 3, 256, 256)
    if path.is_file() and np.load(path, mmap_mode="r").shape == shape:
        yield shape[0]
        return
    part = path.with_suffix(".part")
    images = np.lib.format.open_memmap(part, "w+", np.float16, shape)
    for index in range(shape[0]):
        code = code_set.codes[index : index + 1].to(generator.mean_w.device)
        images[index] = generator.synthesise_256(code)[0].half().cpu().numpy()
        yield index + 1
    images.flush()
    part.replace(path)


def read_images(images: npt.NDArray[np.float16], indices: list[int]) -> torch.Tensor:
    """Copy images out of the array file: ``float32`` [n, 3, 256, 256], not clipped."""
    return torch.from_numpy(np.stack([images[i] for i in indices]).astype(np.float32))


def _shares(total: int, parts: dict[CodeKind, int]) -> dict[CodeKind, int]:
    """Split ``total`` in proportion to ``parts``; what rounding leaves over goes to the first kind."""
    counts = {kind: total * part // sum(parts.values()) for kind, part in parts.items()}
    first = next(iter(counts))
    counts[first] += total - sum(counts.values())
    return counts
