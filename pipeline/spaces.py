"""Names of feature spaces: the plain ones, channels of W+ codes, and several side by side.

    wplus  efficientnet  frequency  pca  vqvae  residual
                                                   a space as it is stored (residual: worked out from stored images)
    wplus.3  wplus.0-3  wplus.0-2.7                W+ channels alone: numbers and ranges, ends included
    wplus.coarse  wplus.middle  wplus.fine         W+ channels by the size of the image they act on
    wplus.fine+efficientnet                        vectors side by side

Letters, digits, '.', '+', '-' and '_' alone, so that a name is also a file name and needs no quotes in YAML.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STORED = ("wplus", "efficientnet", "frequency", "pca", "vqvae")
BASES = (*STORED, "residual")
# Stored space -> table, vector column and the column that names its maker.
SOURCES = {
    "wplus": ("wplus", "wplus", "inverter_id"),
    "efficientnet": ("embeddings", "embedding", "embedder_id"),
    "pca": ("codes", "code", "codec_id"),
    "frequency": ("embeddings", "embedding", "embedder_id"),
    "vqvae": ("codes", "code", "codec_id"),
}
W_DIM = 512  # numbers per channel, the same in every generator
# Karras et al. (2019), section 3.1: coarse 4 and 8 px, middle 16 and 32 px, fine 64 px and above. In StyleGAN2 and in
# MobileStyleGAN alike, channel 0 acts at 4 px, 1 and 2 at 8 px, 3 and 4 at 16 px, and so on; the last ones colour.
BANDS: dict[str, tuple[int, int | None]] = {"coarse": (0, 2), "middle": (3, 6), "fine": (7, None)}

_CHANNELS = rf"(?:\.(?:{'|'.join(BANDS)}|\d{{1,2}}(?:-\d{{1,2}})?))*"
_PART = rf"(?:wplus{_CHANNELS}|{'|'.join(b for b in BASES if b != 'wplus')})"
PATTERN = rf"^{_PART}(?:\+{_PART})*\Z"
EXAMPLES = f"{', '.join(BASES)}, W+ channels (wplus.3, wplus.0-3, wplus.coarse, wplus.middle, wplus.fine) and sums"


@dataclass(frozen=True)
class Part:
    """One vector of a fused space: a stored space, whole or some channels of it.

    Attributes
    ----------
    name : as written, such as ``wplus.0-3``.
    base : the stored space it is cut from, such as ``wplus``.
    wanted : what stands behind the dots, such as ``("0-3",)``; empty for the whole vector.
    """

    name: str
    base: str
    wanted: tuple[str, ...]

    def columns(self, n_dims: int) -> NDArray[np.int64] | None:
        """Columns of a base vector of ``n_dims`` numbers that the part keeps; None for all.

        Raises
        ------
        ValueError
            A vector that is no whole number of channels, or a channel it does not have.
        """
        # Networks of narrower codes exist; all of theirs is shorter than one channel of the usual ones, or so rare that
        # a code that lost part of a channel is likelier.
        if self.base == "wplus" and n_dims > W_DIM and n_dims % W_DIM:
            raise ValueError(f"a W+ code has {W_DIM} numbers per channel, so {n_dims} are no whole number of channels")
        if not self.wanted:
            return None
        n_channels = n_dims // W_DIM
        channels = sorted({c for item in self.wanted for c in _channels(item, n_channels)})
        if not channels or channels[-1] >= n_channels:
            raise ValueError(f"'{self.name}' asks for a channel that is not there: W+ has 0 to {n_channels - 1} here")
        return np.concatenate([np.arange(W_DIM) + W_DIM * c for c in channels])


def is_made_for(maker: str, base: str) -> bool:
    """Whether vectors of ``maker`` are of a stored space: one table holds both codecs, one both kinds of embeddings."""
    if SOURCES[base][1] == "code" or base == "frequency":
        return maker.startswith(f"{base}-")
    return base != "efficientnet" or not maker.startswith("frequency-")


def parse(space: str) -> tuple[Part, ...]:
    """The parts of a space, in order.

    Raises
    ------
    ValueError
        A name that is none, with what there is; a stored space that occurs twice; a range that runs backwards.
    """
    if not re.match(PATTERN, space):
        raise ValueError(f"unknown space '{space}', expected {EXAMPLES} (wplus+efficientnet)")
    parts = []
    for name in space.split("+"):
        base, *wanted = name.split(".")
        for item in wanted:
            low, _, high = item.partition("-")
            if high and int(high) < int(low):
                raise ValueError(f"'{name}' runs backwards: write {high}-{low}")
        parts.append(Part(name, base, tuple(wanted)))
    bases = [p.base for p in parts]
    if len(set(bases)) < len(bases):
        raise ValueError(f"'{space}' names the same vectors twice: join channels with dots, such as wplus.0-2.7")
    return tuple(parts)


def bases(space: str) -> tuple[str, ...]:
    """The spaces whose vectors ``space`` is made of, such as ``("wplus", "efficientnet")``."""
    return tuple(part.base for part in parse(space))


def assemble(parts: Mapping[str, NDArray[np.float32]], space: str) -> NDArray[np.float32]:
    """Vectors of ``space`` from those of the spaces it is made of.

    Parameters
    ----------
    parts : base space -> float32 [n, d], rows of the same faces in the same order; more than is needed may be there.
    space : any name that `parse` takes.

    Returns
    -------
    float32 [n, D], parts in the order of the name. Nothing is scaled: that is learnt with the classifier and kept
    inside it. A space that is one whole part is given back as it came, without a copy.

    Raises
    ------
    ValueError
        An unknown space, a missing part, parts of unequal numbers of rows, a channel that is not there.
    """
    cut = []
    for part in parse(space):
        if part.base not in parts:
            raise ValueError(
                f"space '{space}' needs vectors of '{part.base}', got {', '.join(sorted(parts)) or 'none'}"
            )
        whole = np.asarray(parts[part.base], dtype=np.float32)
        if whole.ndim != 2:
            raise ValueError(f"expected vectors of '{part.base}' of shape [n, d], got {list(whole.shape)}")
        columns = part.columns(whole.shape[1])
        cut.append(whole if columns is None else whole[:, columns])
    rows = [len(vectors) for vectors in cut]
    if len(set(rows)) > 1:
        raise ValueError(f"the parts of '{space}' have {' and '.join(map(str, rows))} rows, expected the same faces")
    return cut[0] if len(cut) == 1 else np.concatenate(cut, axis=1)


def _channels(item: str, n_channels: int) -> range:
    if item in BANDS:
        first, last = BANDS[item]
        return range(first, n_channels if last is None else min(last, n_channels - 1) + 1)
    low, _, high = item.partition("-")
    return range(int(low), int(high or low) + 1)
