"""Stage ``codes``: PCA and VQ-VAE-2 codes of every usable face, the spaces LatentForensics holds W+ against."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np

from embeddings.codec import Codec, Coded
from embeddings.image_pca import ImagePca, ImagePcaFit, load_pca, save_pca
from embeddings.vqvae_codec import VqVaeCodec, load_codec
from pipeline import runinfo, tables, weights
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.common import Run, Stage
from pipeline.stages.face_batches import FaceBatches

STAGE = Stage(
    "codes",
    sections=("device", "spaces", "codes", "train.protocol", "weights"),
    inputs=("faces", "splits"),
)
WEIGHTS = "vqvae-faces"
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``codes`` table, one piece per codec and batch of faces, and the fitted PCA."""
    current = STAGE.run(params, paths)
    shutil.rmtree(paths.projectors, ignore_errors=True)
    paths.projectors.mkdir(parents=True)
    wanted = [space for space in ("pca", "vqvae") if space in current.params.spaces]
    if not wanted:
        tables.write_rows([], paths.table("codes"), name="codes", meta=current.meta())
        return
    file = _vqvae_file(current, paths) if "vqvae" in wanted else None
    own = current.params.codes.vqvae.weights_file is not None  # a user's file has no entry in the registry
    hashes = {"codes.vqvae.weights_file" if own else WEIGHTS: runinfo.file_sha256(file)} if file else {}
    meta = current.meta(hashes)
    batches = FaceBatches(paths.table("faces"), batch_size=current.params.codes.batch_size)
    if batches.none:
        tables.write_rows([], paths.table("codes"), name="codes", meta=current.meta(reason=batches.none))
        return
    shards = Shards(paths.work("codes", meta["fingerprint"]), name="codes", meta=meta)
    counts = Counts("codes")
    keys: list[str] = []
    try:
        for space in wanted:
            fitted_on = _fitted_on(current, paths) if space == "pca" else set[str]()
            codec = _pca(current, batches, fitted_on, shards, paths) if space == "pca" else _vqvae(current, paths)
            for batch in bar(batches, total=len(batches), what=f"codes {space}", unit="batch"):
                keys.append(f"{space}-{batch.key}")
                counts.done += len(batch.face_ids)
                if shards.done(keys[-1]):
                    counts.resumed += len(batch.face_ids)
                else:
                    shards.write(keys[-1], _rows(batch.face_ids, codec, codec.code(batch.images()), fitted_on))
    except ValueError as error:
        raise UserError(f"codes: {error}") from error
    shards.finish(keys, paths.table("codes"))
    counts.log("codes")


def _rows(face_ids: list[str], codec: Codec, coded: Coded, fitted_on: set[str] | None) -> list[dict[str, object]]:
    return [
        {
            "face_id": face,
            "codec_id": codec.codec_id,
            "code": coded.code[i],
            "indices": None if coded.indices is None else coded.indices[i],
            "mse_unit": float(coded.mse_unit[i]),
            "psnr_db": float(coded.psnr_db[i]) if np.isfinite(coded.psnr_db[i]) else None,
            "in_fit": fitted_on is None or face in fitted_on,
        }
        for i, face in enumerate(face_ids)
    ]


def _fitted_on(current: Run, paths: Paths) -> set[str] | None:
    """Faces the PCA may be fitted on: of the train side where a hold-out is judged, else all (None)."""
    if current.params.one("train.protocol") == "cv":
        return None
    splits = tables.read_pandas(paths.table("splits"), "splits", columns=["video_id", "split"])
    train = set(splits.loc[splits["split"] == "train", "video_id"])
    if not train:
        log.warning("codes: there is no train side, so the PCA is fitted on all faces and nothing will be judged")
        return None
    faces = tables.read_pandas(paths.table("faces"), "faces", columns=["face_id", "video_id", "status"])
    return set(faces.loc[faces["video_id"].isin(train) & (faces["status"] == "ok"), "face_id"])


def _pca(current: Run, batches: FaceBatches, fitted_on: set[str] | None, shards: Shards, paths: Paths) -> ImagePca:
    """Fit the components, or take those that an interrupted run has fitted."""
    stored = shards.folder / "pca.safetensors"
    if not stored.is_file():
        fit = ImagePcaFit(current.params.codes.pca.n_components)
        for batch in bar(batches, total=len(batches), what="fit pca", unit="batch"):
            chosen = [fitted_on is None or face in fitted_on for face in batch.face_ids]
            if any(chosen):
                fit.add(batch.images()[np.array(chosen)])
        save_pca(fit.finish(), stored)
    pca = load_pca(stored)
    log.info("codes: %d components fitted on %d faces", len(pca.components), pca.n_fitted)
    shutil.copy(stored, paths.projectors / f"{pca.codec_id}.safetensors")
    return pca


def _vqvae_file(current: Run, paths: Paths) -> Path:
    """The user's file, or the one of this repository."""
    named = current.params.codes.vqvae.weights_file
    if named is None and WEIGHTS not in weights.REGISTRY:
        raise UserError(
            "codes: no VQ-VAE-2 weights come with this version; make some (`python -m embeddings.vqvae_training -h`) "
            "or take a checkpoint of rosinality/vq-vae-2-pytorch, and name the file in codes.vqvae.weights_file"
        )
    if named is None:
        return weights.require(WEIGHTS, allow_noncommercial=current.params.weights.allow_noncommercial)
    file = paths.root / Path(named)
    if not file.is_file():
        raise UserError(f"codes.vqvae.weights_file: {file} is not there")
    return file


def _vqvae(current: Run, paths: Paths) -> VqVaeCodec:
    return load_codec(_vqvae_file(current, paths), features=current.params.codes.vqvae.features, device=current.device)
