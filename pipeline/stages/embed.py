"""Stage ``embed``: vectors of every usable face, by an EfficientNet and by statistics of the fine structure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from embeddings.efficientnet import Embedder, load_embedder
from embeddings.frequency import FREQUENCY_ID, frequency_features
from pipeline import tables, weights
from pipeline.ahead import one_ahead
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.common import Run, Stage
from pipeline.stages.face_batches import FaceBatch, FaceBatches

STAGE = Stage(
    "embed",
    sections=("device", "spaces", "embed", "weights"),
    inputs=("faces",),
)
# Fewer faces are done before ONNX Runtime has started.
ONNX_FROM_N_FACES = 256
Embed = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def run(params: Params, paths: Paths) -> None:
    """Write the ``embeddings`` table, one piece per embedder and batch of faces."""
    current = STAGE.run(params, paths)
    batches = FaceBatches(paths.table("faces"), batch_size=current.params.embed.batch_size)
    embedders, used = ({}, {}) if batches.none else _embedders(current, paths, batches.n_faces)
    meta = current.meta(used, reason=batches.none)
    if not embedders:
        for name in ("embeddings", "embeddings_blended"):
            tables.write_rows([], paths.table(name), name=name, meta=meta)
        return
    folder = paths.work("embed", meta["fingerprint"])
    counts = Counts("vectors")
    # The ids of self-blended faces name all that makes them, so their pieces may lie under the same fingerprint.
    extra = FaceBatches(paths.table("blended"), batch_size=current.params.embed.batch_size, blended=True)
    blended = Shards(folder / "blended", name="embeddings_blended", meta=meta)
    blended.copy_to(_embed(embedders, extra, blended, counts), paths.table("embeddings_blended"))
    shards = Shards(folder, name="embeddings", meta=meta)
    shards.finish(_embed(embedders, batches, shards, counts), paths.table("embeddings"))
    counts.log("embed")


def _embed(embedders: dict[str, Embed], batches: FaceBatches, shards: Shards, counts: Counts) -> list[str]:
    """Finish the pieces of all batches; their keys."""
    keys: list[str] = []

    def open_pieces(batch: FaceBatch) -> tuple[FaceBatch, dict[str, str], NDArray[np.uint8] | None]:
        pieces = {embedder_id: f"{embedder_id}.{batch.key}" for embedder_id in embedders}
        keys.extend(pieces.values())
        missing = {embedder_id: key for embedder_id, key in pieces.items() if not shards.done(key)}
        counts.resumed += len(batch.face_ids) * (len(pieces) - len(missing))
        counts.done += len(batch.face_ids) * len(pieces)
        return batch, missing, batch.images() if missing else None

    opened = one_ahead(map(open_pieces, batches))
    for batch, missing, images in bar(opened, total=len(batches), what="embed", unit="batch"):
        for embedder_id, key in missing.items():
            assert images is not None
            rows = zip(batch.face_ids, embedders[embedder_id](images), strict=True)
            shards.write(key, [{"face_id": i, "embedder_id": embedder_id, "embedding": v} for i, v in rows])
    return keys


def _embedders(current: Run, paths: Paths, n_faces: int) -> tuple[dict[str, Embed], dict[str, str]]:
    """What each wanted space is made by, under its id, and the hashes of the weights that takes."""
    found: dict[str, Embed] = {}
    used: dict[str, str] = {}
    if "efficientnet" in current.params.spaces:
        embedder = wanted_embedder(current, paths, n_faces)
        found[embedder.embedder_id] = embedder.embed
        used[current.params.embed.network] = embedder.weights_sha256
    if "frequency" in current.params.spaces:
        found[FREQUENCY_ID] = lambda images: np.stack([frequency_features(image) for image in images])
    return found, used


def wanted_embedder(current: Run, paths: Paths, n_faces: int = 0) -> Embedder:
    """The network the settings name, from its registered package or from the user's file, for about so many faces."""
    embed = current.params.embed
    if embed.weights_file is not None:
        file = paths.root / Path(embed.weights_file)
    elif embed.network in weights.REGISTRY:
        file = weights.require(embed.network, allow_noncommercial=current.params.weights.allow_noncommercial)
    else:
        raise UserError(
            f"embed.network: no package carries the weights of '{embed.network}'; save its timm state dict "
            f"(safetensors or .pth) and name the file in embed.weights_file"
        )
    precision = current.precision(embed.precision)
    engine = embed.engine
    if engine == "auto":
        pays = n_faces >= ONNX_FROM_N_FACES and precision == "fp32" and current.device == "cpu"
        engine = "onnx" if pays else "torch"
    try:
        return load_embedder(
            embed.network,
            file,
            features=embed.features,
            device=current.device,
            input_px=embed.input_px,
            precision=precision,
            engine=engine,
        )
    except (ValueError, FileNotFoundError) as error:
        raise UserError(f"embed: {error}") from error
