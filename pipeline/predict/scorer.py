"""A loaded model with everything that stands before and after it: vectors in the right space, calibrated P(fake)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.calibrate import Calibrator
from classifiers.persist import load_model
from classifiers.protocol import Classifier
from pipeline import model_card
from pipeline.errors import UserError
from pipeline.ingest.faces import FaceRow
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.predict import flags, memory, spaces
from pipeline.predict.assemble import NAN, Judged
from pipeline.predict.choice import Choice
from pipeline.predict.memory import Memory
from pipeline.predict.spaces import Projected, Projector


@dataclass(frozen=True, eq=False)
class Scorer:
    """Faces to P(fake)."""

    projector: Projector
    model: Classifier
    calibrator: Calibrator | None
    memory: Memory

    def judge(self, rows: Sequence[FaceRow]) -> list[Judged]:
        """Judge the usable faces among the rows of a clip; the others pass as they are."""
        usable = [i for i, row in enumerate(rows) if row.image is not None]
        projected = self.projector.project([rows[i].image for i in usable]) if usable else []  # type: ignore[misc]
        out = [Judged(row) for row in rows]
        for i, found in zip(usable, projected, strict=True):
            if found.vector is None:
                out[i] = Judged(rows[i], reason=found.reason)
        able = [(i, p, p.vector) for i, p in zip(usable, projected, strict=True) if p.vector is not None]
        if not able:
            return out
        vectors = np.stack([vector for _, _, vector in able]).astype(np.float32)  # [n, d]
        raw, p_fake = self._p_fake(vectors)
        near = self.memory.distances(vectors)
        for k, (i, found, vector) in enumerate(able):
            out[i] = self._judged(rows[i], found, vector, raw[k], p_fake[k], near[k])
        return out

    def _p_fake(self, vectors: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """As the model gives it, and calibrated: both float64 [n]."""
        raw = self.model.predict_p_fake(vectors)
        return raw, raw if self.calibrator is None else self.calibrator.apply(raw)

    def _judged(
        self, row: FaceRow, found: Projected, vector: NDArray[np.float32], raw: float, p_fake: float, near: float
    ) -> Judged:
        return Judged(
            row=row,
            p_fake=float(p_fake),
            p_raw=float(raw),
            vector=vector,
            reconstruction=found.reconstruction,
            distance=found.distance,
            training_distance=float(near) if np.isfinite(near) else NAN,
            flags=tuple(flags.of_face(row, poor=bool(found.poor), unlike=self.memory.is_far(float(near)))),
        )


def open_scorer(choice: Choice, params: Params, paths: Paths, *, device: str) -> Scorer:
    """Load the chosen model and what makes its vectors.

    Raises
    ------
    UserError
        Faces would be cut, or vectors made, otherwise than at training; a file is missing or altered.
    """
    facts = choice.card["metadata"]
    trained = facts["cut"] if "cut" in facts else model_card.material(paths)["cut"]
    spaces.check_cut(choice.name, trained=trained, params=params)
    projector = spaces.open_projector(choice.space, params, paths, makers=choice.makers)
    spaces.check_same(choice.name, trained=choice.makers, here=projector.makers)
    try:
        model = load_model(choice.folder, device=device)
        stored = facts.get("calibration")
        calibrator = None if stored is None else Calibrator.from_json(stored)
    except ValueError as error:
        raise UserError(str(error)) from error
    known = memory.remember(paths, space=choice.space, feature_id=choice.feature_id, seed=params.seed)
    return Scorer(projector, model, calibrator, known)
