"""Files of faces to EfficientNet vectors: images per second, beside a plain loop over one image at a time.

    uv run lf bench embed --crops FOLDER --n-images 512

FOLDER holds images and ``labels.csv``, as ``data.source: crops`` takes them. ``plain`` opens an image, resizes it,
makes a tensor and runs timm's network as it comes, one image after another, as York's listing does (there with B7).
``torch`` and ``onnx`` decode ahead in a thread and run batches through `embeddings.efficientnet`, which folds batch
normalisation, stores channels last and, for ``onnx``, runs on ONNX Runtime; ``bf16`` is there where the processor has
it. All resize with Pillow and take turns, and of each the fastest turn counts, its start apart. ``apart`` is the
largest distance between two vectors of one image, as a share of the plain one's length.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import machine
from benchmarks.spaces import read_labels
from benchmarks.turns import in_turns
from embeddings.architectures import get_architecture
from embeddings.efficientnet import Engine, Precision, load_embedder
from embeddings.networks import load_network
from pipeline import weights
from pipeline.ahead import one_ahead
from pipeline.runinfo import pick_precision

NETWORK = "tf_efficientnet_lite0"
Images = NDArray[np.uint8]
Vectors = NDArray[np.float32]


def opened(file: Path, side_px: int) -> Images:
    """RGB uint8 [S, S, 3]."""
    return np.asarray(Image.open(file).convert("RGB").resize((side_px, side_px), Image.Resampling.BICUBIC))


def plain(file: Path | None, side_px: int) -> Callable[[Sequence[Path]], Vectors]:
    """York's loop: pooled vectors [n, d]."""
    architecture = get_architecture(NETWORK)
    network, _ = load_network(architecture, file)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (architecture.mean, architecture.std))

    def embed(files: Sequence[Path]) -> Vectors:
        found = []
        with torch.no_grad():
            for path in files:
                x = torch.from_numpy(opened(path, side_px).copy()).permute(2, 0, 1).float() / 255
                features = network.forward_features(((x - mean) / std).unsqueeze(0))  # type: ignore[operator]
                found.append(features.mean(dim=(2, 3)).squeeze(0).numpy())
        return np.stack(found)

    return embed


def ours(
    file: Path | None, side_px: int, batch_size: int, engine: Engine, precision: Precision
) -> Callable[[Sequence[Path]], Vectors]:
    """The product's way: pooled vectors [n, d]."""
    embedder = load_embedder(NETWORK, file, features="pooled", input_px=side_px, engine=engine, precision=precision)

    def batches(files: Sequence[Path]) -> Iterator[Images]:
        for start in range(0, len(files), batch_size):
            yield np.stack([opened(path, side_px) for path in files[start : start + batch_size]])

    def embed(files: Sequence[Path]) -> Vectors:
        return np.concatenate([embedder.embed(batch, batch_size=batch_size) for batch in one_ahead(batches(files))])

    return embed


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all in turn; print images per second, ratios, and how far apart the vectors are."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--n-images", type=int, default=512)
    parser.add_argument("--side-px", type=int, default=224)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args(arguments)
    files = read_labels(asked.crops).files[: asked.n_images]
    weights_file = weights.require(NETWORK, allow_noncommercial=False)
    print(machine.facts())
    makers: dict[str, Callable[[], Callable[[Sequence[Path]], Vectors]]] = {
        "plain": lambda: plain(weights_file, asked.side_px),
        "torch": lambda: ours(weights_file, asked.side_px, asked.batch_size, "torch", "fp32"),
        "onnx": lambda: ours(weights_file, asked.side_px, asked.batch_size, "onnx", "fp32"),
    }
    if pick_precision("auto", "cpu") == "bf16":
        makers["bf16"] = lambda: ours(weights_file, asked.side_px, asked.batch_size, "torch", "bf16")
    embed, start_s = {}, {}
    for name, make in makers.items():
        began = time.perf_counter()
        embed[name] = make()
        start_s[name] = time.perf_counter() - began
        embed[name](files[:8])
    best_s, found = in_turns({name: partial(one, files) for name, one in embed.items()}, asked.turns)
    print(f"{len(files)} files, {asked.side_px} px\n{'':8}{'start s':>9}{'images/s':>10}{'to plain':>10}{'apart':>10}")
    length = np.linalg.norm(found["plain"], axis=1)
    for name, seconds in best_s.items():
        apart = (np.linalg.norm(found[name] - found["plain"], axis=1) / length).max()
        ratio = best_s["plain"] / seconds
        print(f"{name:8}{start_s[name]:9.1f}{len(files) / seconds:10.1f}{ratio:9.2f}x{apart:10.1e}")
