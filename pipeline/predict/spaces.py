"""Faces into the vectors a model reads, by the very code that made those it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline import model_card
from pipeline import spaces as space_names
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.predict.makers import Codes, Embedding, Frequency, Image, Inversion, Maker, Projected

RESIDUAL = "residual"


class Projector:
    """Faces to vectors of one space, whose parts may come from several makers.

    Attributes
    ----------
    makers : what makes each part, as `metadata.parts` or `metadata.feature_id` of a model's card has it.
    weights : registered set (or the network's name) -> SHA-256.
    perceptual : metric behind `Projected.distance`, None where nothing is inverted.
    """

    def __init__(self, space: str, stored: Mapping[str, Maker]) -> None:
        self.space, self._stored = space, dict(stored)
        self.makers = [self._maker_of(base) for base in space_names.bases(space)]
        self.weights = {name: sha256 for maker in stored.values() for name, sha256 in maker.weights.items()}
        self.perceptual = next((m.perceptual for m in stored.values() if m.perceptual), None)

    def _maker_of(self, base: str) -> str:
        if base != RESIDUAL:
            return self._stored[base].feature_id
        from embeddings.residual import RESIDUAL_ID

        return f"{RESIDUAL_ID}-{self._stored['wplus'].feature_id}"

    def project(self, faces: Sequence[Image]) -> list[Projected]:
        """One result for each face, uint8 [S, S, 3] RGB, in their order."""
        made = {base: maker.project(faces) for base, maker in self._stored.items()}
        return [self._joined(face, {base: found[i] for base, found in made.items()}) for i, face in enumerate(faces)]

    def _joined(self, face: Image, made: dict[str, Projected]) -> Projected:
        failed = next((one for one in made.values() if one.vector is None), None)
        if failed is not None:
            return failed
        vectors = {base: one.vector[None] for base, one in made.items() if one.vector is not None}
        if RESIDUAL in space_names.bases(self.space):
            vectors[RESIDUAL] = _residual(face, made["wplus"])
        shown = next((one for one in made.values() if one.reconstruction is not None), Projected(None))
        poor = next((one.poor for one in made.values() if one.poor), "")
        try:
            vector = space_names.assemble(vectors, self.space)[0]
        except ValueError as error:
            raise UserError(f"space '{self.space}': {error}") from error
        return Projected(vector, "", shown.reconstruction, shown.distance, poor)


def _residual(face: Image, inverted: Projected) -> NDArray[np.float32]:
    """What the reconstruction of one face leaves over: float32 [1, d]."""
    from embeddings.residual import residual_features

    assert inverted.reconstruction is not None  # whatever has a code has been drawn
    return residual_features(face[None], inverted.reconstruction[None], np.array([inverted.distance]))


def open_projector(space: str, params: Params, paths: Paths, *, makers: Sequence[str] = ()) -> Projector:
    """Load what the settings lead to in a space.

    Parameters
    ----------
    makers
        What made the parts at training; names the fitted components of `pca`.

    Raises
    ------
    UserError
        A space that new clips cannot be brought to, weights that are missing, altered or refused.
    """
    try:
        bases = space_names.bases(space)
    except ValueError as error:
        raise UserError(f"new clips cannot be brought to the model's space: {error}") from error
    stored: dict[str, Maker] = {}
    for base in dict.fromkeys("wplus" if base == RESIDUAL else base for base in bases):
        if base == "efficientnet":
            stored[base] = Embedding(params, paths)
        elif base == "frequency":
            stored[base] = Frequency()
        elif base == "wplus":
            stored[base] = Inversion(params, paths)
        else:
            fitted = dict(zip(bases, makers, strict=False)).get(base, "")
            stored[base] = Codes(params, paths, space=base, feature_id=fitted)
    return Projector(space, stored)


def check_same(model: str, *, trained: Sequence[str], here: Sequence[str]) -> None:
    """Refuse vectors that another maker made; UserError names both and the pieces that differ."""
    for before, now in zip(trained, here, strict=True):
        if before == now:
            continue
        pieces = [name.split("-") for name in (before, now)]
        longest = max(len(p) for p in pieces)
        first, second = (p + ["nothing"] * (longest - len(p)) for p in pieces)
        differ = "; ".join(f"'{a}' at training, '{b}' here" for a, b in zip(first, second, strict=True) if a != b)
        raise UserError(
            f"the model {model} reads vectors of '{before}', but params.yaml and the weights here make '{now}' "
            f"({differ}): set params.yaml as it was at training, or train again"
        )


def check_cut(model: str, *, trained: Mapping[str, object], params: Params) -> None:
    """Refuse faces that are cut otherwise than at training; nothing is known where `trained` is empty."""
    here = model_card.cut_of(params.faces.model_dump(mode="json"))
    differ = [
        f"faces.{name} was {trained.get(name)!r} at training and is {here.get(name)!r} here"
        for name in model_card.CUT
        if trained and trained.get(name) != here.get(name)
    ]
    if differ:
        raise UserError(f"the model {model} was trained on faces that were cut otherwise: {'; '.join(differ)}")
