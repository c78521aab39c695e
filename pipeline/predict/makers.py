"""The makers of vectors, as the stages load them: one face in, one vector out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline import quality_gate
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Projected:
    """What one face became.

    Attributes
    ----------
    vector : float32 [n_dims]; None where there is none, and `reason` says why.
    reconstruction : uint8 [256, 256, 3], the image the vector stands for, where the space has one.
    distance : perceptual distance of face and reconstruction, where it was measured.
    poor : why the vector says little about the face, '' where nothing is wrong.
    """

    vector: NDArray[np.float32] | None
    reason: str = ""
    reconstruction: Image | None = None
    distance: float | None = None
    poor: str = ""


class Maker(Protocol):
    """Faces to vectors of one stored space."""

    feature_id: str
    """Names everything a vector depends on; equals that of a model that may read them."""
    weights: dict[str, str]
    """Registered set (or a name for the user's file) -> SHA-256."""
    perceptual: str | None
    """Metric behind `Projected.distance`."""

    def project(self, faces: Sequence[Image]) -> list[Projected]:
        """One result for each face, uint8 [S, S, 3] RGB."""
        ...


class Embedding:
    """EfficientNet embeddings."""

    perceptual: str | None = None

    def __init__(self, params: Params, paths: Paths) -> None:
        from pipeline.stages.embed import STAGE, wanted_embedder

        self._embedder = wanted_embedder(STAGE.run(params, paths), paths)
        self._batch_size = params.embed.batch_size
        self.feature_id = self._embedder.embedder_id
        self.weights = {params.embed.network: self._embedder.weights_sha256}

    def project(self, faces: Sequence[Image]) -> list[Projected]:
        """As in `Maker`."""
        return [Projected(v) for v in self._embedder.embed(np.stack(faces), batch_size=self._batch_size)]


class Frequency:
    """Statistics of the fine structure, which need no network."""

    perceptual: str | None = None

    def __init__(self) -> None:
        from embeddings.frequency import FREQUENCY_ID

        self.feature_id, self.weights = FREQUENCY_ID, dict[str, str]()

    def project(self, faces: Sequence[Image]) -> list[Projected]:
        """As in `Maker`."""
        from embeddings.frequency import frequency_features

        return [Projected(frequency_features(face)) for face in faces]


class Inversion:
    """W+ codes, with the generator's image of each."""

    def __init__(self, params: Params, paths: Paths) -> None:
        from inversion.memory import keep_freed_memory
        from pipeline.stages.invert_work import BATCH_SIZES, STAGE, Solver
        from pipeline.stages.inverter import load_inverter

        _check_size(params, "wplus")
        current = STAGE.run(params, paths)
        try:
            inverter = load_inverter(current)
        except ValueError as error:
            raise UserError(f"invert: {error}") from error
        keep_freed_memory()
        wanted = params.invert.batch_size
        self._batch_size = BATCH_SIZES[current.device] if wanted == "auto" else wanted
        self._solver = Solver(inverter, seed=params.seed, device=current.device)
        self.feature_id, self.weights = inverter.inverter_id, dict(inverter.weight_hashes)
        self._metric = inverter.perceptual.name
        self.perceptual: str | None = self._metric
        self._above = {str(k): v for k, v in params.invert.poor_above.items()}.get(self._metric)

    def project(self, faces: Sequence[Image]) -> list[Projected]:
        """As in `Maker`."""
        from inversion.batching import Failure
        from pipeline.ingest.encoding import decode_image

        out = []
        for start in range(0, len(faces), self._batch_size):
            batch = [(str(i), face) for i, face in enumerate(faces[start : start + self._batch_size])]
            for found in self._solver.batches.run(batch):
                if isinstance(found, Failure):
                    out.append(Projected(None, found.reason))
                    continue
                row = found.code
                poor = row["reason"] or quality_gate.too_far(row["lpips"], metric=self._metric, above=self._above)
                image = decode_image(found.image["image"])
                out.append(Projected(row["wplus"], "", image, row["lpips"], poor or ""))
        return out


class Codes:
    """PCA or VQ-VAE-2 codes, with what they are decoded to."""

    perceptual: str | None = None

    def __init__(self, params: Params, paths: Paths, *, space: str, feature_id: str) -> None:
        from embeddings.image_pca import load_pca
        from pipeline import weights
        from pipeline.stages import codecs
        from pipeline.stages.codes import STAGE

        _check_size(params, space)
        self.weights: dict[str, str] = {}
        try:
            if space == "pca":
                file = paths.projectors / f"{feature_id}.safetensors"
                if not file.is_file():
                    there = ", ".join(sorted(f.stem for f in paths.projectors.glob("*.safetensors"))) or "none"
                    raise UserError(f"the components '{feature_id}' of the model are not there; fitted ones: {there}")
                self._codec: codecs.ImagePca | codecs.VqVaeCodec = load_pca(file)
            else:
                self._codec = codecs.load_vqvae_codec(STAGE.run(params, paths), paths)
                if params.codes.vqvae.weights_file is None:
                    self.weights[codecs.WEIGHTS] = weights.sha256(codecs.WEIGHTS)
        except ValueError as error:
            raise UserError(f"codes: {error}") from error
        self._batch_size = params.codes.batch_size
        self.feature_id = self._codec.codec_id

    def project(self, faces: Sequence[Image]) -> list[Projected]:
        """As in `Maker`."""
        import torch

        from inversion.pixels import to_uint8

        out = []
        for start in range(0, len(faces), self._batch_size):
            coded = self._codec.code(np.stack(faces[start : start + self._batch_size]))
            images = to_uint8(torch.from_numpy(coded.image).movedim(3, 1).contiguous())
            out += [Projected(v, "", image) for v, image in zip(coded.code, images, strict=True)]
        return out


def _check_size(params: Params, space: str) -> None:
    if params.faces.size_px != 256:
        raise UserError(f"{space} needs faces of 256 px, faces.size_px is {params.faces.size_px}")
