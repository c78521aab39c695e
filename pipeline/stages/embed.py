"""Stage ``embed``: EfficientNet embeddings of every usable face."""

from __future__ import annotations

from pathlib import Path

from embeddings.efficientnet import Embedder, load_embedder
from pipeline import tables, weights
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.common import Run, Stage
from pipeline.stages.face_batches import FaceBatches

STAGE = Stage(
    "embed",
    sections=("device", "spaces", "embed", "weights"),
    inputs=("faces",),
)


def run(params: Params, paths: Paths) -> None:
    """Write the ``embeddings`` table, one piece per batch of faces."""
    current = STAGE.run(params, paths)
    batches = FaceBatches(paths.table("faces"), batch_size=current.params.embed.batch_size)
    if "efficientnet" not in current.params.spaces or batches.none:
        for name in ("embeddings", "embeddings_blended"):
            tables.write_rows([], paths.table(name), name=name, meta=current.meta(reason=batches.none))
        return
    embedder = _embedder(current, paths)
    meta = current.meta(
        {current.params.embed.network: embedder.weights_sha256},
        embedder_id=embedder.embedder_id,
        n_dims=embedder.n_dims,
    )
    folder = paths.work("embed", meta["fingerprint"])
    counts = Counts("faces")
    # The ids of self-blended faces name all that makes them, so their pieces may lie under the same fingerprint.
    extra = FaceBatches(paths.table("blended"), batch_size=current.params.embed.batch_size, blended=True)
    blended = Shards(folder / "blended", name="embeddings_blended", meta=meta)
    blended.copy_to(_embed(embedder, extra, blended, counts), paths.table("embeddings_blended"))
    shards = Shards(folder, name="embeddings", meta=meta)
    shards.finish(_embed(embedder, batches, shards, counts), paths.table("embeddings"))
    counts.log("embed")


def _embed(embedder: Embedder, batches: FaceBatches, shards: Shards, counts: Counts) -> list[str]:
    """Finish the pieces of all batches; their keys."""
    keys = []
    for batch in bar(batches, total=len(batches), what="embed", unit="batch"):
        if shards.done(batch.key):
            counts.resumed += len(batch.face_ids)
        else:
            vectors = embedder.embed(batch.images())
            shards.write(
                batch.key,
                [
                    {"face_id": i, "embedder_id": embedder.embedder_id, "embedding": v}
                    for i, v in zip(batch.face_ids, vectors, strict=True)
                ],
            )
        keys.append(batch.key)
        counts.done += len(batch.face_ids)
    return keys


def _embedder(current: Run, paths: Paths) -> Embedder:
    """The network the settings name, from its registered package or from the user's file."""
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
    try:
        return load_embedder(
            embed.network,
            file,
            features=embed.features,
            device=current.device,
            input_px=embed.input_px,
            precision=current.precision(embed.precision),
        )
    except (ValueError, FileNotFoundError) as error:
        raise UserError(f"embed: {error}") from error
