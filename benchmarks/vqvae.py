"""How well VQ-VAE-2 weights give back faces they were not trained on, and how many codes they use.

    uv run lf bench vqvae --faces FOLDER --last 100

FOLDER holds aligned faces; without ``--weights`` those of this repository are measured.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from embeddings.codec import to_unit
from embeddings.image_source import ImageSource
from embeddings.quantise import perplexity
from embeddings.vqvae_codec import load_codec
from inversion.perceptual import load_stlpips
from pipeline import weights
from pipeline.stages.codecs import WEIGHTS

_BATCH = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(
        prog="lf bench vqvae", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="folder of faces, or a .npy file")
    parser.add_argument("--last", type=int, help="only the last so many, by name")
    parser.add_argument("--weights", type=Path, help="file to measure instead of the repository's")
    told = parser.parse_args(arguments)
    file = told.weights or weights.require(WEIGHTS, allow_noncommercial=True)
    try:
        source, codec = ImageSource(told.faces), load_codec(file, features="histogram")
        chosen = range(len(source))[-told.last :] if told.last else range(len(source))
        distance = load_stlpips(weights.require("stlpips-alex", allow_noncommercial=True), net="alex")
        coded, perceptual = [], []
        for start in range(0, len(chosen), _BATCH):
            images = source.read(chosen[start : start + _BATCH])
            coded.append(codec.code(images))
            indices = coded[-1].indices
            assert indices is not None
            with torch.inference_mode():
                perceptual.append(distance(_channels_first(to_unit(images)), _channels_first(codec.decode(indices))))
    except ValueError as error:
        parser.exit(1, f"{error}\n")
    print(f"{file.name}, {len(chosen)} faces: median (10 % to 90 %)")
    for name, values in (
        ("PSNR, dB", np.concatenate([c.psnr_db for c in coded])),
        ("mean squared error, [-1, 1] squared", np.concatenate([c.mse_unit for c in coded])),
        (distance.name, torch.cat(perceptual).numpy()),
    ):
        low, middle, high = np.quantile(values, [0.1, 0.5, 0.9])
        print(f"  {name}: {middle:.4g} ({low:.4g} to {high:.4g})")
    maps = codec.split(np.concatenate([c.indices for c in coded if c.indices is not None]))
    for level, found in zip(("top", "bottom"), maps, strict=True):
        print(f"  {level} codes: perplexity {perplexity(torch.from_numpy(found)):.0f}, {len(np.unique(found))} in use")


def _channels_first(images: np.ndarray) -> Tensor:
    return torch.from_numpy(images).movedim(-1, 1).contiguous()
