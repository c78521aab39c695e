"""A trained model on W+ codes with everything that stands before and after it, ready for walks.

Nothing is drawn here: `pipeline.walk_pictures` does that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from classifiers import counterfactual
from classifiers.calibrate import Calibrator
from classifiers.persist import load_model
from classifiers.protocol import Classifier
from pipeline import tables
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.predict.choice import Choice, choose
from pipeline.predict.decision import Decision
from pipeline.report.load import read_light

SPACE = "wplus"
N_SAMPLE = 256  # faces that the unit of length and the comparison are taken from
Codes = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Walker:
    """A model with everything that stands before and after it.

    Attributes
    ----------
    calibrator : None where the model's own answer counts: nothing was kept, or calibration makes all answers alike.
    is_flat : whether calibration makes all answers alike.
    n_channels : of a code.
    sample, groups : codes float32 [n, d] of some faces, and their source groups.
    spread : float64 [d], their standard deviation: the unit of length.
    apart : median length between two of them that are of different source groups (NaN where none are).
    """

    choice: Choice
    model: Classifier
    calibrator: Calibrator | None
    is_flat: bool
    decision: Decision
    n_channels: int
    sample: Codes
    groups: NDArray[np.object_]
    spread: NDArray[np.float64]
    apart: float

    @property
    def inverter_id(self) -> str:
        """Whose codes the model reads."""
        return self.choice.feature_id

    @property
    def rule(self) -> counterfactual.Rule:
        """Threshold and band as the settings have them."""
        low, high = self.decision.band
        return counterfactual.Rule(self.decision.threshold, low, high)

    def score(self, codes: Codes) -> NDArray[np.float64]:
        """P(fake) float64 [n] of codes [n, d], on the scale that is walked on."""
        own = self.model.predict_p_fake(codes)
        return own if self.calibrator is None else self.calibrator.apply(own)

    def knows(self, video_id: str) -> bool:
        """Whether the model was trained on this video."""
        return any(video_id.startswith(mark) for mark in self.choice.card["metadata"].get("videos") or ())


def open_walker(name: str, params: Params, paths: Paths) -> Walker:
    """Load a model and the codes it is compared on.

    Raises
    ------
    UserError
        No such model, one of another space or of codes that the table does not hold, an altered file, too few codes.
    """
    choice = choose(paths, name)
    if choice.space != SPACE:
        raise UserError(
            f"the model {name} reads '{choice.space}': a walk needs a model on whole W+ codes alone (space "
            f"'{SPACE}'), for only these can be drawn again, and the rest of a fused vector would not follow"
        )
    try:
        model = load_model(choice.folder, expect={"space": SPACE})
        stored = choice.card["metadata"].get("calibration")
        calibrator = None if stored is None else Calibrator.from_json(stored)
    except ValueError as error:
        raise UserError(str(error)) from error
    codes, n_channels, faces = _sample(paths, choice)
    if codes.shape[1] != model.n_features:
        raise UserError(
            f"the model {name} reads codes of {model.n_features} numbers, table 'wplus' holds {codes.shape[1]}: run "
            "`dvc repro train`"
        )
    groups = _groups(paths, faces)
    spread = codes.std(axis=0, dtype=np.float64)
    # A number that never varies has no unit, and what is left of rounding is none.
    spread[spread <= 1e-6 * np.abs(codes).max(axis=0)] = 0.0
    if not spread.any():
        raise UserError("all W+ codes are the same, so there is no unit to measure a walk in")
    is_flat = calibrator is not None and np.ptp(calibrator.apply([0.0, 0.5, 1.0])) == 0
    return Walker(
        choice=choice,
        model=model,
        calibrator=None if is_flat else calibrator,
        is_flat=is_flat,
        decision=Decision.of(params),
        n_channels=n_channels,
        sample=codes,
        groups=groups,
        spread=spread,
        apart=_apart(codes, groups, spread),
    )


def read_code(paths: Paths, face_id: str, inverter_id: str) -> Codes:
    """A face's stored code, float32 [n_channels, w_dim]; UserError where there is none."""
    for row in _rows(paths, (pc.field("face_id") == face_id) & (pc.field("inverter_id") == inverter_id), limit=1):
        return np.asarray(row["wplus"], dtype=np.float32).reshape(row["n_channels"], -1)
    raise UserError(f"there is no W+ code of face {face_id} by {inverter_id}")


def _rows(paths: Paths, where: pc.Expression, *, limit: int) -> list[dict[str, Any]]:
    """``face_id, wplus, n_channels`` of the first rows that have a code."""
    columns, rows = ["face_id", "wplus", "n_channels"], []
    path, where = paths.table("wplus"), where & pc.field("wplus").is_valid()
    try:
        for batch in tables.read_batches(path, "wplus", columns=columns, where=where):
            rows += batch.to_pylist()
            if len(rows) >= limit:
                break
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"codes of table 'wplus' cannot be read from {path}; run `dvc repro` again") from error
    return rows[:limit]


def _sample(paths: Paths, choice: Choice) -> tuple[Codes, int, list[str]]:
    """Codes [n, d] of the first faces (ids are hashes, so they are no choice), channels of a code, and their ids."""
    rows = _rows(paths, pc.field("inverter_id") == choice.feature_id, limit=N_SAMPLE)
    if len(rows) < 2:
        held = sorted(set(read_light(paths.table("wplus"), "wplus", ["inverter_id"])["inverter_id"]))
        raise UserError(
            f"the model {choice.name} reads codes of '{choice.feature_id}', of which table 'wplus' holds {len(rows)}, "
            f"and a walk needs two or more (it holds: {', '.join(held) or 'none'}); run `dvc repro`"
        )
    if len({len(row["wplus"]) for row in rows}) > 1:
        raise UserError("table 'wplus' holds codes of different lengths by one inverter; run `dvc repro` again")
    codes = np.array([row["wplus"] for row in rows], dtype=np.float32)
    if not np.isfinite(codes).all():
        raise UserError("table 'wplus' holds codes with NaN or infinity; run `dvc repro` again")
    return codes, int(rows[0]["n_channels"]), [str(row["face_id"]) for row in rows]


def _groups(paths: Paths, faces: list[str]) -> NDArray[np.object_]:
    """Source groups; a face that is not known is a group of its own."""
    where = pc.field("face_id").isin(faces)
    try:
        known = read_light(paths.table("faces"), "faces", ["face_id", "source_group"], where=where)
    except UserError:
        return np.array(faces, dtype=object)
    of_face = dict(zip(known["face_id"], known["source_group"], strict=True))
    return np.array([of_face.get(face, face) for face in faces], dtype=object)


def _apart(codes: Codes, groups: NDArray[np.object_], spread: NDArray[np.float64]) -> float:
    pairs = np.random.default_rng(0).integers(0, len(codes), (400, 2))
    pairs = pairs[groups[pairs[:, 0]] != groups[pairs[:, 1]]]
    gaps = [counterfactual.length(codes[a].astype(np.float64) - codes[b], spread) for a, b in pairs]
    return float(np.median(gaps)) if gaps else float("nan")
