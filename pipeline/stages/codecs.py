"""The codecs behind the stage ``codes``: the PCA it fits and the VQ-VAE-2 it loads."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import numpy as np

from embeddings.image_pca import ImagePca, ImagePcaFit, load_pca, save_pca
from embeddings.vqvae_codec import VqVaeCodec, load_codec
from pipeline import tables, weights
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.shards import Shards
from pipeline.stages.common import Run
from pipeline.stages.face_batches import FaceBatches

WEIGHTS = "vqvae-faces"
log = logging.getLogger("latentforensics")


def fitted_on(current: Run, paths: Paths) -> set[str] | None:
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


def fit_pca(current: Run, batches: FaceBatches, chosen: set[str] | None, shards: Shards, paths: Paths) -> ImagePca:
    """Fit the components, or take those that an interrupted run has fitted."""
    stored = shards.folder / "pca.safetensors"
    if not stored.is_file():
        fit = ImagePcaFit(current.params.codes.pca.n_components)
        for batch in bar(batches, total=len(batches), what="fit pca", unit="batch"):
            mask = [chosen is None or face in chosen for face in batch.face_ids]
            if any(mask):
                fit.add(batch.images()[np.array(mask)])
        save_pca(fit.finish(), stored)
    pca = load_pca(stored)
    log.info("codes: %d components fitted on %d faces", len(pca.components), pca.n_fitted)
    shutil.copy(stored, paths.projectors / f"{pca.codec_id}.safetensors")
    return pca


def vqvae_file(current: Run, paths: Paths) -> Path:
    """The user's file, or the one of this repository."""
    named = current.params.codes.vqvae.weights_file
    if named is None:
        return weights.require(WEIGHTS, allow_noncommercial=current.params.weights.allow_noncommercial)
    file = paths.root / Path(named)
    if not file.is_file():
        raise UserError(f"codes.vqvae.weights_file: {file} is not there")
    return file


def load_vqvae_codec(current: Run, paths: Paths) -> VqVaeCodec:
    """The network, frozen."""
    return load_codec(vqvae_file(current, paths), features=current.params.codes.vqvae.features, device=current.device)
