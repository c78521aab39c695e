"""Stage ``codes``: PCA and VQ-VAE-2 codes of every usable face, the spaces LatentForensics holds W+ against."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import runinfo, tables
from pipeline.errors import UserError
from pipeline.ingest.encoding import encode_png
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.common import Run, Stage
from pipeline.stages.face_batches import FaceBatch, FaceBatches

if TYPE_CHECKING:
    from embeddings.codec import Codec
    from inversion.perceptual import PerceptualDistance

STAGE = Stage(
    "codes",
    sections=("device", "spaces", "codes", "invert.perceptual", "train.protocol", "weights"),
    inputs=("faces", "splits"),
)
Rows = list[dict[str, Any]]


def run(params: Params, paths: Paths) -> None:
    """Write the ``codes`` and ``decoded`` tables, one piece per codec and batch of faces, and the fitted PCA."""
    current = STAGE.run(params, paths)
    shutil.rmtree(paths.projectors, ignore_errors=True)
    paths.projectors.mkdir(parents=True)
    wanted = [space for space in ("pca", "vqvae") if space in current.params.spaces]
    if not wanted:
        _write_none(paths, current.meta(on_device=False, reason="neither 'pca' nor 'vqvae' is among spaces"))
    else:
        _code_all(current, paths, wanted)


def _code_all(current: Run, paths: Paths, wanted: list[str]) -> None:
    from pipeline import perceptual  # torch takes seconds to start: not where there is nothing to do
    from pipeline.stages import codecs

    file = codecs.vqvae_file(current, paths) if "vqvae" in wanted else None
    own = current.params.codes.vqvae.weights_file is not None  # a user's file has no entry in the registry
    hashes = {"codes.vqvae.weights_file" if own else codecs.WEIGHTS: runinfo.file_sha256(file)} if file else {}
    batches = FaceBatches(paths.table("faces"), batch_size=current.params.codes.batch_size)
    if batches.none:
        _write_none(paths, current.meta(reason=batches.none))
        return
    allow = current.params.weights.allow_noncommercial
    chosen = perceptual.choose(current.params.one("invert.perceptual"), allow_noncommercial=allow)
    meta = current.meta(hashes | {chosen.name: chosen.sha256}, perceptual=chosen.name)
    distance = chosen.load(device=current.device)
    shards = Shards(paths.work("codes", meta["fingerprint"]), name="codes", meta=meta)
    images = Shards(shards.folder / "images", name="decoded", meta=meta)
    # The ids of self-blended faces name all that makes them, so their pieces may lie under the same fingerprint.
    extra = FaceBatches(paths.table("blended"), batch_size=current.params.codes.batch_size, blended=True)
    blended = Shards(shards.folder / "blended", name="codes_blended", meta=meta)
    counts = Counts("codes")
    keys: list[str] = []
    blended_keys: list[str] = []
    try:
        for space in wanted:
            fitted_on = codecs.fitted_on(current, paths) if space == "pca" else set[str]()
            codec: Codec = (
                codecs.fit_pca(current, batches, fitted_on, shards, paths)
                if space == "pca"
                else codecs.load_vqvae_codec(current, paths)
            )
            for batch in bar(batches, total=len(batches), what=f"codes {space}", unit="batch"):
                keys.append(f"{space}-{batch.key}")
                counts.done += len(batch.face_ids)
                if shards.done(keys[-1]) and images.done(keys[-1]):
                    counts.resumed += len(batch.face_ids)
                else:
                    code_rows, image_rows = _work(batch, codec, distance, fitted_on, device=current.device)
                    images.write(keys[-1], image_rows)
                    shards.write(keys[-1], code_rows)
            for batch in bar(extra, total=len(extra), what=f"codes {space}, self-blended", unit="batch"):
                blended_keys.append(f"{space}-{batch.key}")
                if not blended.done(blended_keys[-1]):
                    blended.write(blended_keys[-1], _work(batch, codec, distance, set(), device=current.device)[0])
    except ValueError as error:
        raise UserError(f"codes: {error}") from error
    images.copy_to(keys, paths.table("decoded"))
    blended.copy_to(blended_keys, paths.table("codes_blended"))
    shards.finish(keys, paths.table("codes"))
    counts.log("codes")


def _write_none(paths: Paths, meta: dict[str, Any]) -> None:
    for name in ("codes", "decoded", "codes_blended"):
        tables.write_rows([], paths.table(name), name=name, meta=meta)


def _work(
    batch: FaceBatch, codec: Codec, distance: PerceptualDistance, fitted_on: set[str] | None, *, device: str
) -> tuple[Rows, Rows]:
    """Code one batch; judge what the codes are decoded to, before it is rounded to 8 bits."""
    import torch

    from inversion.pixels import to_uint8, to_unit

    faces = batch.images()
    coded = codec.code(faces)
    made = torch.from_numpy(coded.image).movedim(3, 1).contiguous()
    with torch.inference_mode():
        apart = distance(made.to(device), to_unit(faces).to(device)).cpu()  # [N]
    pictures = to_uint8(made)
    code_rows, image_rows = Rows(), Rows()
    for i, face in enumerate(batch.face_ids):
        shared = {"face_id": face, "codec_id": codec.codec_id}
        code_rows.append(
            shared
            | {
                "code": coded.code[i],
                "indices": None if coded.indices is None else coded.indices[i],
                "lpips": float(apart[i]),
                "mse_unit": float(coded.mse_unit[i]),
                "psnr_db": float(coded.psnr_db[i]) if np.isfinite(coded.psnr_db[i]) else None,
                "in_fit": fitted_on is None or face in fitted_on,
            }
        )
        image_rows.append(shared | {"image": encode_png(pictures[i])})
    return code_rows, image_rows
