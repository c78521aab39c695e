"""Every classifier on every feature space of labelled face crops, by grouped cross-validation: LatentForensics' table.

    uv run lf bench spaces --crops FOLDER --cache FOLDER --spaces stages texture texture+frequency \\
        --models logistic svm_rbf

FOLDER holds images and ``labels.csv`` (``file,label,source_group``), as ``data.source: crops`` takes them. Spaces are
vectors of the crops as they are: ``wplus`` (the encoder's codes, no search), ``pca`` and ``vqvae``, ``pooled``,
``stages`` and ``blocks`` (EfficientNet-Lite0, 224 px), ``texture`` (the same network, 320 px), ``texture-lite2``,
``frequency``; joined by '+' they stand side by side. Vectors are kept in the cache. Figures are FRAME level, one crop a
video; intervals are bootstrapped over source groups. With ``--train-groups N`` each fold trains on N groups only;
with ``--flat`` a fused space is taken for one part.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks import machine
from classifiers.bootstrap import evaluate
from classifiers.models import MODEL_NAMES, PROFILE_NAMES, make_model
from classifiers.splits import grouped_folds
from embeddings.efficientnet import FeatureMode, load_embedder
from embeddings.frequency import frequency_features
from embeddings.image_pca import ImagePcaFit
from embeddings.vqvae_codec import load_codec
from inversion.encoder import load_encoder
from inversion.memory import keep_freed_memory
from inversion.pixels import to_unit
from pipeline import weights
from pipeline.progress import bar
from pipeline.stages.codecs import WEIGHTS as VQVAE

Images = NDArray[np.uint8]
Vectors = NDArray[np.float32]
SHOWN = ("roc_auc", "accuracy", "balanced_accuracy", "log_loss")
_BATCH = 16


@dataclass(frozen=True)
class Crops:
    """Files, labels int64 [n] and source groups [n]."""

    files: list[Path]
    y: NDArray[np.int64]
    groups: NDArray[np.str_]

    def batches(self, side_px: int | None, what: str) -> Iterator[Images]:
        """uint8 [<= 16, S, S, 3], resized where a side is told."""
        starts = range(0, len(self.files), _BATCH)
        for start in bar(starts, total=len(starts), what=what, unit="batch"):
            images = (Image.open(f).convert("RGB") for f in self.files[start : start + _BATCH])
            yield np.stack([np.asarray(i if side_px is None else i.resize((side_px, side_px))) for i in images])


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, make the vectors, train, print a line each."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--spaces", nargs="+", default=["pooled", "stages", "texture", "texture+frequency"])
    parser.add_argument("--models", nargs="+", default=["logistic", "svm_rbf"], choices=MODEL_NAMES)
    parser.add_argument("--profile", default="default", choices=PROFILE_NAMES)
    parser.add_argument("--n-folds", type=int, default=5)
    parser.add_argument("--train-groups", type=int)
    parser.add_argument("--flat", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    if unknown := {p for s in asked.spaces for p in s.split("+")} - set(MAKERS):
        parser.error(f"unknown space {', '.join(sorted(unknown))}; there are: {', '.join(MAKERS)}")
    keep_freed_memory()
    crops = read_labels(asked.crops)
    asked.cache.mkdir(parents=True, exist_ok=True)
    share = float(crops.y.mean())
    print(machine.facts())
    print(
        f"{len(crops.y)} crops, {len(set(crops.groups.tolist()))} source groups, {share:.1%} fake; grouped "
        f"{asked.n_folds}-fold, frame level, profile {asked.profile}; always the larger class: accuracy "
        f"{max(share, 1 - share):.3f}"
    )
    print(f"{'space':34}{'model':11}{'dims':>7}" + "".join(f"{name:>27}" for name in SHOWN) + f"{'training s':>12}")
    folds = grouped_folds(crops.groups, crops.y, n_folds=asked.n_folds, seed=asked.seed)
    for space in asked.spaces:
        parts = [vectors(part, crops, asked.cache) for part in space.split("+")]
        X = np.concatenate(parts, axis=1)
        blocks = tuple(part.shape[1] for part in parts) if len(parts) > 1 and not asked.flat else ()
        for name in asked.models:
            p, seconds = _out_of_fold(crops, X, blocks, folds, name, asked)
            rows = {r.metric: r for r in evaluate(crops.y, p, crops.groups, seed=asked.seed)}
            cells = [f"{r.value:.3f} [{r.ci_low:.3f}, {r.ci_high:.3f}]" for r in (rows[m] for m in SHOWN)]
            line = "".join(f"{cell:>27}" for cell in cells)
            print(f"{space:34}{name:11}{X.shape[1]:>7}{line}{seconds:12.0f}", flush=True)


def read_labels(folder: Path) -> Crops:
    """Rows of ``labels.csv`` in their order."""
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    labels = [{"real": 0, "fake": 1, "0": 0, "1": 1}[row["label"].lower()] for row in rows]
    groups = np.array([row["source_group"] for row in rows])
    return Crops([folder / row["file"] for row in rows], np.array(labels, dtype=np.int64), groups)


def vectors(name: str, crops: Crops, cache: Path) -> Vectors:
    """Vectors of one space, float32 [n, d], from the cache where they are."""
    file = cache / f"{name}.npy"
    if not file.is_file():
        started_s = time.perf_counter()
        found = MAKERS[name](crops).astype(np.float32)
        with file.with_suffix(".part").open("wb") as stream:
            np.save(stream, found)
        file.with_suffix(".part").rename(file)
        print(f"  {name}: {(time.perf_counter() - started_s) / len(found):.3f} s a crop", flush=True)
    kept: Vectors = np.load(file)
    if len(kept) != len(crops.y):
        raise SystemExit(f"{file} holds {len(kept)} vectors for {len(crops.y)} crops: delete it")
    return kept


def _out_of_fold(
    crops: Crops, X: Vectors, blocks: tuple[int, ...], folds: NDArray[np.int64], name: str, asked: argparse.Namespace
) -> tuple[NDArray[np.float64], float]:
    """P(fake) of every crop by a model that saw none of its group, and seconds of training in all."""
    p, seconds = np.empty(len(X)), 0.0
    rng = np.random.default_rng(asked.seed)
    for k in range(asked.n_folds):
        inside = folds != k
        if asked.train_groups:
            chosen = rng.choice(np.unique(crops.groups[inside]), asked.train_groups, replace=False)
            inside &= np.isin(crops.groups, chosen)
        model = make_model(name, profile=asked.profile, seed=asked.seed + k, n_jobs=-1, blocks=blocks)
        started_s = time.perf_counter()
        model.fit(X[inside], crops.y[inside], groups=crops.groups[inside])
        seconds += time.perf_counter() - started_s
        p[folds == k] = model.predict_p_fake(X[folds == k])
    return p, seconds


def _embedded(
    features: FeatureMode, input_px: int, network: str = "tf_efficientnet_lite0"
) -> Callable[[Crops], Vectors]:
    def make(crops: Crops) -> Vectors:
        file = weights.require(network, allow_noncommercial=True)
        embedder = load_embedder(network, file, features=features, input_px=input_px)
        return np.concatenate([embedder.embed(b, batch_size=_BATCH) for b in crops.batches(None, features)])

    return make


def _wplus(crops: Crops) -> Vectors:
    encoder = load_encoder(weights.require("mobile-encoder", allow_noncommercial=True))
    with torch.inference_mode():
        return np.concatenate([encoder(to_unit(b)).flatten(1).numpy() for b in crops.batches(256, "wplus")])


def _pca(crops: Crops) -> Vectors:
    fit = ImagePcaFit(512)
    for batch in crops.batches(256, "fit pca"):
        fit.add(batch)
    pca = fit.finish()
    return np.concatenate([pca.code(batch).code for batch in crops.batches(256, "pca")])


def _vqvae(crops: Crops) -> Vectors:
    codec = load_codec(weights.require(VQVAE, allow_noncommercial=True), features="embedded")
    return np.concatenate([codec.code(batch).code for batch in crops.batches(256, "vqvae")])


def _frequency(crops: Crops) -> Vectors:
    return np.stack([frequency_features(image) for batch in crops.batches(None, "frequency") for image in batch])


MAKERS: dict[str, Callable[[Crops], Vectors]] = {
    "wplus": _wplus,
    "pca": _pca,
    "vqvae": _vqvae,
    "pooled": _embedded("pooled", 224),
    "stages": _embedded("stages", 224),
    "blocks": _embedded("blocks", 224),
    "texture": _embedded("texture", 320),
    "texture-lite2": _embedded("texture", 320, "tf_efficientnet_lite2"),
    "frequency": _frequency,
}

if __name__ == "__main__":
    main()
