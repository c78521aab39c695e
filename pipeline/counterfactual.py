"""A face's W+ code, walked until a model's verdict flips: `classifiers.counterfactual` on stored models and codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers import counterfactual
from classifiers.gradients import logit_gradient
from pipeline import channel_parts
from pipeline.errors import UserError
from pipeline.predict.result import Verdict
from pipeline.predict.scoring import verdict
from pipeline.walker import Codes, Walker

N_OTHERS = 32  # moves to compare with, of either kind
N_CURVE = 61


@dataclass(frozen=True)
class Null:
    """What other moves do at the length at which the walk reached what it was after, or ended.

    Attributes
    ----------
    n : moves.
    median_change, largest_change : of P(fake), either way; NaN for no move.
    n_reached : moves that reached the same.
    """

    n: int
    median_change: float
    largest_change: float
    n_reached: int


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
    nulls : what other moves do, ``faces`` towards other faces and ``random`` in random directions.
    """

    walk: counterfactual.Walk
    way: str
    stops: pd.DataFrame
    curve: pd.DataFrame
    channels: pd.DataFrame
    nulls: dict[str, Null]

    @property
    def goal(self) -> Verdict:
        """The verdict that is walked to."""
        return "fake" if self.walk.towards_fake else "real"

    @property
    def codes(self) -> Codes:
        """The stops as W+ codes, float32 [n_steps, n_channels, w_dim]."""
        return self.walk.vectors.reshape(len(self.walk.vectors), len(self.channels), -1)


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
        nulls={kind: _null(walker.rule, walked, p) for kind, p in others.items()},
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


def _null(rule: counterfactual.Rule, walked: counterfactual.Walk, p: NDArray[np.float64]) -> Null:
    """Of P(fake) [k, n_steps] along k other moves: at the last stop but one, or the last where nothing was reached."""
    if not len(p):
        return Null(0, float("nan"), float("nan"), 0)
    there = p[:, -1 if walked.crossing is None else -2]
    change = np.abs(there - walked.p_fake[0])
    if walked.flip is None and walked.crossing is not None:
        reached = there >= rule.threshold if walked.towards_fake else there < rule.threshold
    else:
        reached = there > rule.high if walked.towards_fake else there < rule.low
    return Null(len(p), float(np.median(change)), float(change.max()), int(reached.sum()))
