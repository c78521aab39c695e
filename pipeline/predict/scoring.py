"""From P(fake) of faces to verdicts of tracks and clips, and the seconds that are suspicious. Arrays in and out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from classifiers.aggregate import Aggregation, aggregate_p_fake
from pipeline.predict.result import Verdict

#: Fewer judged frames than that make no steady track: false detections last a frame or two.
STEADY_FRAMES = 3
Band = tuple[float, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Judgement:
    """P(fake) of several frames as one, with the spread of the frames.

    Attributes
    ----------
    low, high : 10th and 90th percentile of the frames' P(fake).
    """

    p_fake: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Stretch:
    """Seconds in a row in which frames are called fake."""

    start_s: float
    end_s: float
    peak: float


def verdict(p_fake: float, band: Band) -> Verdict:
    """What P(fake) says; no verdict inside the band, its ends included."""
    low, high = band
    if low <= p_fake <= high:
        return "uncertain"
    return "fake" if p_fake > high else "real"


def judge(p_fake: Floats, *, method: Aggregation) -> Judgement | None:
    """Frames [n] in [0, 1] to one P(fake), as videos are judged when a model is evaluated; None for no frame."""
    if not len(p_fake):
        return None
    _, p = aggregate_p_fake(p_fake, ["all"] * len(p_fake), method=method)
    low, high = np.quantile(p_fake, [0.1, 0.9])
    return Judgement(float(p[0]), float(low), float(high), len(p_fake))


def suspicious(times_s: Floats, p_fake: Floats, *, high: float, step_s: float, duration_s: float) -> list[Stretch]:
    """Stretches of one track in which P(fake) lies above `high`.

    Parameters
    ----------
    times_s, p_fake : [n] judged frames of the track, ascending in time.
    step_s : seconds that a sampled frame stands for, half of them on each side; a frame that was not judged in
        between ends a stretch.
    duration_s : length of the clip; no stretch reaches beyond.
    """
    out: list[Stretch] = []
    last = -np.inf
    for time, p in zip(times_s.tolist(), p_fake.tolist(), strict=True):
        if p <= high:
            continue
        start, end = max(time - step_s / 2, 0.0), time + step_s / 2
        end = min(end, max(duration_s, time))
        # A tenth of a step more than one: frames are placed in whole numbers, so gaps vary a little.
        if out and time - last <= 1.6 * step_s:
            out[-1] = Stretch(out[-1].start_s, end, max(out[-1].peak, p))
        else:
            out.append(Stretch(start, end, p))
        last = time
    return out


def telling(p_fake: Floats, *, n_high: int = 4, n_low: int = 2) -> list[int]:
    """Positions of the frames that tell most: the highest P(fake), then the lowest; none twice.

    Parameters
    ----------
    p_fake : [n], NaN where a face was not judged.
    """
    order = [int(i) for i in np.argsort(-p_fake, kind="stable") if np.isfinite(p_fake[i])]
    high = order[:n_high]
    return high + [i for i in order[::-1][:n_low][::-1] if i not in high]


def merged(stretches: Sequence[Stretch]) -> list[Stretch]:
    """Stretches of several tracks as one list without overlaps, ascending."""
    out: list[Stretch] = []
    for stretch in sorted(stretches, key=lambda s: (s.start_s, s.end_s)):
        if out and stretch.start_s <= out[-1].end_s:
            before = out[-1]
            out[-1] = Stretch(before.start_s, max(before.end_s, stretch.end_s), max(before.peak, stretch.peak))
        else:
            out.append(stretch)
    return out
