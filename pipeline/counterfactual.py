"""A trained model on W+ codes and a face's code, walked until the verdict flips; `classifiers.counterfactual` on files.

Nothing is drawn here: `pipeline.walk_pictures` does that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from classifiers import counterfactual
from classifiers.calibrate import Calibrator
from classifiers.gradients import logit_gradient
from classifiers.persist import load_model
from classifiers.protocol import Classifier
from pipeline import channel_parts, tables
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.predict.choice import Choice, choose
from pipeline.predict.decision import Decision
from pipeline.predict.scoring import verdict
from pipeline.report.load import read_light

SPACE = "wplus"
N_SAMPLE = 256  # faces that the unit of length and the comparison are taken from
N_OTHERS = 32  # moves to compare with, of either kind
N_CURVE = 61
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


@dataclass(frozen=True, eq=False)
class Walked:
    """One walk, ready to be shown.

    Attributes
    ----------
    walk : stops, scores, and where the verdict flips.
    way : what the direction is, in words.
    stops : a row per stop: ``step, distance_std, p_fake, own_answer, verdict`` and the range of P(fake) at the same
        distance, ``faces_low, faces_high`` towards other faces, ``random_low, random_high`` in random directions.
    curve : ``distance_std, p_fake``, finer than the stops.
    channels : ``channel, part, moved_std, share`` of the whole walk.
    nulls : ``kind, n, median_change, largest_change, flipped`` at the length of the flip (of the last stop without
        one).
    """

    walk: counterfactual.Walk
    way: str
    stops: pd.DataFrame
    curve: pd.DataFrame
    channels: pd.DataFrame
    nulls: pd.DataFrame

    @property
    def codes(self) -> Codes:
        """The stops as W+ codes, float32 [n_steps, n_channels, w_dim]."""
        return self.walk.vectors.reshape(len(self.walk.vectors), len(self.channels), -1)


def names(paths: Paths) -> list[str]:
    """Trained models on whole W+ codes, by the names of their folders; nothing is opened."""
    return sorted(f.parent.name for f in paths.models.glob(f"{SPACE}-*/model.json"))


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
    where = (pc.field("face_id") == face_id) & (pc.field("inverter_id") == inverter_id) & pc.field("wplus").is_valid()
    for batch in tables.read_batches(paths.table("wplus"), "wplus", columns=["wplus", "n_channels"], where=where):
        for row in batch.to_pylist():
            return np.asarray(row["wplus"], dtype=np.float32).reshape(row["n_channels"], -1)
    raise UserError(f"there is no W+ code of face {face_id} by {inverter_id}")


def walk_face(walker: Walker, code: Codes, *, group: str | None, n_steps: int, seed: int) -> Walked:
    """Walk one face's code until the verdict flips, and hold the walk against others of its length.

    Parameters
    ----------
    code : float32 [n_channels, w_dim]
    group : the face's source group: other faces of it are no comparison.

    Raises
    ------
    UserError
        A code that is not finite, or a model whose answer depends on nothing here.
    """
    x = np.ascontiguousarray(code.ravel())
    try:
        move, way = _direction(walker, x)
        walked = counterfactual.walk(walker.score, x, move, rule=walker.rule, n_steps=n_steps)
    except ValueError as error:
        raise UserError(f"this face's code cannot be walked: {error}") from error
    rng = np.random.default_rng(seed)
    strangers = walker.sample if group is None else walker.sample[walker.groups != group]
    chosen = rng.permutation(len(strangers))[:N_OTHERS]
    moves = {
        "faces": counterfactual.moves_towards(strangers[chosen], x, walker.spread),
        "random": counterfactual.random_moves(N_OTHERS, walker.spread, rng),
    }
    others = {kind: counterfactual.elsewhere(walker.score, x, m, walked.distances) for kind, m in moves.items()}
    lengths, shares = counterfactual.channel_moves(walked, walker.spread, len(code))
    part_of = {c: part for part, members in channel_parts.parts(len(code)).items() for c in members}
    channels = pd.DataFrame({"channel": range(len(code)), "part": [part_of[c] for c in range(len(code))]})
    finer = np.linspace(0.0, walked.distances[-1], N_CURVE)
    signed = move if walked.towards_fake else -move
    return Walked(
        walk=walked,
        way=way,
        stops=_stop_rows(walker, walked, others),
        curve=pd.DataFrame({"distance_std": finer, "p_fake": walker.score(counterfactual.stops(x, signed, finer))}),
        channels=channels.assign(moved_std=lengths, share=shares),
        nulls=_null_rows(walker.rule, walked, others),
    )


def _direction(walker: Walker, x: Codes) -> tuple[NDArray[np.float64], str]:
    """A move of length 1 and what it is; which one for which model is weighed up in docs/decisions.md."""
    gradient = logit_gradient(walker.model, x)
    if gradient is not None:
        return counterfactual.steepest(gradient, walker.spread), "the direction in which its answer changes fastest"
    p = walker.model.predict_p_fake(walker.sample)
    way = f"the direction along which its answers change over {len(p)} faces of the material (it has no gradient)"
    return counterfactual.answers_slope(walker.sample, p, walker.spread), way


def _stop_rows(walker: Walker, walked: counterfactual.Walk, others: Mapping[str, NDArray[np.float64]]) -> pd.DataFrame:
    rows = pd.DataFrame(
        {
            "step": range(len(walked.distances)),
            "distance_std": walked.distances,
            "p_fake": walked.p_fake,
            "own_answer": walker.model.predict_p_fake(walked.vectors),
            "verdict": [verdict(p, walker.decision.band) for p in walked.p_fake],
        }
    )
    for kind, p in others.items():
        rows[f"{kind}_low"] = p.min(axis=0) if len(p) else np.nan
        rows[f"{kind}_high"] = p.max(axis=0) if len(p) else np.nan
    return rows


def _null_rows(
    rule: counterfactual.Rule, walked: counterfactual.Walk, others: Mapping[str, NDArray[np.float64]]
) -> pd.DataFrame:
    reached = walked.flip is not None or walked.crossing is not None
    at = -2 if reached else -1
    rows = []
    for kind, p in others.items():
        change = np.abs(p[:, at] - walked.p_fake[0])
        if walked.flip is None and walked.crossing is not None:
            there = p[:, at] >= rule.threshold if walked.towards_fake else p[:, at] < rule.threshold
        else:
            there = p[:, at] > rule.high if walked.towards_fake else p[:, at] < rule.low
        rows.append(
            {
                "kind": kind,
                "n": len(p),
                "median_change": float(np.median(change)) if len(p) else np.nan,
                "largest_change": float(change.max()) if len(p) else np.nan,
                "flipped": int(there.sum()),
            }
        )
    return pd.DataFrame(rows)


def _sample(paths: Paths, choice: Choice) -> tuple[Codes, int, list[str]]:
    """Codes [n, d] of the first faces (ids are hashes, so they are no choice), channels of a code, and their ids."""
    where = (pc.field("inverter_id") == choice.feature_id) & pc.field("wplus").is_valid()
    columns = ["face_id", "wplus", "n_channels"]
    rows = []
    for batch in tables.read_batches(paths.table("wplus"), "wplus", columns=columns, where=where):
        rows += batch.to_pylist()
        if len(rows) >= N_SAMPLE:
            break
    if len(rows) < 2:
        held = sorted(set(read_light(paths.table("wplus"), "wplus", ["inverter_id"])["inverter_id"]))
        raise UserError(
            f"the model {choice.name} reads codes of '{choice.feature_id}', of which table 'wplus' holds {len(rows)}, "
            f"and a walk needs two or more (it holds: {', '.join(held) or 'none'}); run `dvc repro`"
        )
    rows = rows[:N_SAMPLE]
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
