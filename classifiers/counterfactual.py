"""How far a vector has to move along a direction until a verdict flips, and what other moves of that length do.

Lengths are root mean squares over a vector's numbers, each in standard deviations of the material (``spread``), so that
two faces of the material are about sqrt(2) apart. The least step across a plane under that length, as a linear model
has one, runs along gradient x spread^2 (Cauchy-Schwarz); elsewhere the same direction is the steepest at the start.
Counterfactuals by the nearest point of the other verdict: Wachter, Mittelstadt and Russell (2018), arXiv:1711.00399.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import logit

from classifiers.checks import Float32Array, Float64Array

Score = Callable[[Float32Array], Float64Array]  # vectors [n, d] -> P(fake) [n]

MAX_DISTANCE = 2.0  # standard deviations: farther than two faces are apart, so another face
_FIRST = 1e-3  # nearest place looked at, as a share of the farthest
_N_BRACKETS = 96
_N_SECTIONS = 32  # a bracket is cut into so many parts at once: models answer many rows as fast as one
_N_ROUNDS = 3
_EPS = 1e-6  # P(fake) is kept this far from 0 and 1 where its logit is taken


@dataclass(frozen=True)
class Rule:
    """From P(fake) to a verdict: fake from ``threshold`` on, and no verdict from ``low`` to ``high``, ends included."""

    threshold: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not 0 <= self.low <= self.threshold <= self.high <= 1:
            raise ValueError(
                f"Expected 0 <= low <= threshold <= high <= 1, got {self.low:g}, {self.threshold:g}, {self.high:g}."
            )


@dataclass(frozen=True, eq=False)
class Walk:
    """A straight walk from a vector towards the other verdict, and past it.

    Attributes
    ----------
    towards_fake : whether the start is below the threshold, so that the walk leads up.
    crossing : length at which P(fake) first reaches the other side of the threshold; None: not within the farthest.
    flip : length at which the other verdict is first given, beyond the uncertain band; None likewise.
    farthest : length up to which both were looked for.
    distances : float64 [n_steps], of evenly spaced stops from 0; the last but one stands at ``flip`` (or, without one,
        at ``crossing``), the last one stop past it. Without either they reach to the farthest distance.
    vectors : float32 [n_steps, d], the stops.
    p_fake : float64 [n_steps].
    """

    towards_fake: bool
    crossing: float | None
    flip: float | None
    farthest: float
    distances: Float64Array
    vectors: Float32Array
    p_fake: Float64Array


def steepest(gradient: Float64Array, spread: Float64Array) -> Float64Array:
    """The move of length 1 along which log-odds with this gradient [d] rise fastest, float64 [d].

    Raises
    ------
    ValueError
        The gradient is nothing, or lies where the material does not vary.
    """
    return _of_length_one(np.asarray(gradient, dtype=np.float64) * spread**2, spread)


def answers_slope(vectors: Float32Array, p_fake: Float64Array, spread: Float64Array) -> Float64Array:
    """The move of length 1 along which a model's answers rise among some vectors, for models without a gradient.

    Each number moves as its covariance with the log-odds over the vectors says, both in standard deviations.

    Parameters
    ----------
    vectors : float32 [n, d]
    p_fake : [n], the model's answers to them.

    Raises
    ------
    ValueError
        The model answers all of them alike.
    """
    answers = logit(np.clip(p_fake, _EPS, 1 - _EPS))
    answers -= answers.mean()
    return _of_length_one((answers.astype(np.float32) @ vectors).astype(np.float64), spread)


def moves_towards(vectors: Float32Array, x: Float32Array, spread: Float64Array) -> Float64Array:
    """Moves of length 1 from x [d] towards other vectors [k, d], float64 [m, d]; those equal to x are left out."""
    gaps = vectors.astype(np.float64) - x
    found = [_of_length_one(gap, spread) for gap in gaps if (gap[spread > 0] != 0).any()]
    return np.array(found).reshape(-1, len(spread))


def random_moves(n: int, spread: Float64Array, rng: np.random.Generator) -> Float64Array:
    """Moves of length 1 that know no direction, float64 [n, d]: normal in each number, by its spread."""
    return np.array([_of_length_one(rng.standard_normal(len(spread)) * spread, spread) for _ in range(n)])


def length(move: Float64Array, spread: Float64Array) -> float:
    """Root mean square of a move [d] in standard deviations, over the numbers that vary."""
    return float(np.sqrt(np.mean((move[spread > 0] / spread[spread > 0]) ** 2)))


def walk(
    score: Score,
    x: Float32Array,
    move: Float64Array,
    *,
    rule: Rule,
    n_steps: int,
    max_distance: float = MAX_DISTANCE,
) -> Walk:
    """Walk from x until the verdict flips.

    Brackets grow from a thousandth of ``max_distance``; the first whose end lies beyond is cut into ever smaller parts.
    Between two ends nothing is seen: an answer that crosses and comes back within one bracket is taken for none.

    Parameters
    ----------
    x : float32 [d]
    move : float64 [d], of length 1, along which P(fake) is held to rise; the walk turns it where P(fake) must fall.
    n_steps : stops, 3 or more.

    Raises
    ------
    ValueError
        Too few stops.
    """
    if n_steps < 3:
        raise ValueError(f"Expected at least 3 stops, got {n_steps}.")
    towards_fake = bool(score(x[None])[0] < rule.threshold)
    signed = move if towards_fake else -move

    def at(distances: Float64Array) -> Float64Array:
        return score(stops(x, signed, distances))

    def across(p: Float64Array) -> np.ndarray:
        return p >= rule.threshold if towards_fake else p < rule.threshold

    def beyond(p: Float64Array) -> np.ndarray:
        return p > rule.high if towards_fake else p < rule.low

    ends = np.concatenate([[0.0], max_distance * np.geomspace(_FIRST, 1, _N_BRACKETS)])
    p = at(ends)
    crossing = _first(at, across, ends, across(p))
    flip = _first(at, beyond, ends, beyond(p))
    aim = flip if flip is not None else crossing
    if aim is None:
        distances = np.linspace(0.0, max_distance, n_steps)
    else:
        distances = np.append(np.linspace(0.0, aim, n_steps - 1), aim * (n_steps - 1) / (n_steps - 2))
    vectors = stops(x, signed, distances)
    return Walk(towards_fake, crossing, flip, max_distance, distances, vectors, score(vectors))


def stops(x: Float32Array, move: Float64Array, distances: Float64Array) -> Float32Array:
    """Vectors at some distances along a move of length 1, float32 [len(distances), d]."""
    return (x + distances[:, None] * move).astype(np.float32)


def elsewhere(score: Score, x: Float32Array, moves: Float64Array, distances: Float64Array) -> Float64Array:
    """P(fake) at the same distances along other moves [k, d], float64 [k, len(distances)]."""
    if not len(moves):
        return np.empty((0, len(distances)))
    return score(np.concatenate([stops(x, move, distances) for move in moves])).reshape(len(moves), -1)


def channel_moves(walked: Walk, spread: Float64Array, n_channels: int) -> tuple[Float64Array, Float64Array]:
    """How far each channel moved from the first stop to the last: length within it, and share of the squared length.

    Returns
    -------
    (lengths [n_channels] in standard deviations, shares [n_channels] that add up to 1), float64

    Raises
    ------
    ValueError
        Vectors that are no whole number of channels.
    """
    d = len(spread)
    if n_channels < 1 or d % n_channels:
        raise ValueError(f"Expected vectors of {n_channels} equal channels, got {d} numbers.")
    gap = walked.vectors[-1].astype(np.float64) - walked.vectors[0]
    squares = (np.divide(gap, spread, out=np.zeros(d), where=spread > 0) ** 2).reshape(n_channels, -1)
    return np.sqrt(squares.mean(axis=1)), squares.sum(axis=1) / squares.sum()


def _first(
    at: Callable[[Float64Array], Float64Array],
    is_there: Callable[[Float64Array], np.ndarray],
    ends: Float64Array,
    seen: np.ndarray,
) -> float | None:
    """The least distance at which something holds, to a 30,000th of its bracket; None where it holds at no end."""
    if not seen[1:].any():
        return None
    seen[0] = False  # the start, by definition; alone it may be answered otherwise in the last digit
    place = int(np.argmax(seen))
    low, high = float(ends[place - 1]), float(ends[place])
    for _ in range(_N_ROUNDS):
        cuts = np.linspace(low, high, _N_SECTIONS + 1)
        # The upper end is known to hold; a model may answer the last digit otherwise in another batch.
        inner = np.append(is_there(at(cuts[1:-1])), True)
        place = int(np.argmax(inner))
        low, high = float(cuts[place]), float(cuts[place + 1])
    return high


def _of_length_one(move: Float64Array, spread: Float64Array) -> Float64Array:
    kept = np.where(spread > 0, move, 0.0)
    size = length(kept, spread) if (spread > 0).any() else 0.0
    if not np.isfinite(size) or size == 0:
        raise ValueError("The model's answer does not depend on what varies here: there is no direction to walk in.")
    return kept / size
