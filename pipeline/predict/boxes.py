"""Where a face is between the sampled frames: boxes and P(fake), interpolated along its track. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: A face that was not found in more than this many steps is not drawn in between: nobody saw it there.
MAX_GAP_STEPS = 2.5


@dataclass(frozen=True, eq=False)
class TrackPath:
    """Sampled places of one face.

    Attributes
    ----------
    frames : int64 [n], ascending.
    boxes : float64 [n, 4], left, top, right, bottom in pixels.
    p_fake : float64 [n], NaN where the face was not judged.
    """

    track_id: int
    frames: NDArray[np.int64]
    boxes: NDArray[np.float64]
    p_fake: NDArray[np.float64]

    def __post_init__(self) -> None:
        n = len(self.frames)
        if n == 0 or self.boxes.shape != (n, 4) or self.p_fake.shape != (n,) or (np.diff(self.frames) <= 0).any():
            raise ValueError(
                f"track {self.track_id}: expected ascending frames [n] with boxes [n, 4] and p_fake [n], got "
                f"{list(self.frames.shape)}, {list(self.boxes.shape)} and {list(self.p_fake.shape)}"
            )


@dataclass(frozen=True, eq=False)
class Place:
    """A face in one frame; `p_fake` is NaN where it was not judged."""

    track_id: int
    box: NDArray[np.float64]
    p_fake: float


def places(paths: Sequence[TrackPath], frame: int, *, step: float) -> list[Place]:
    """Faces to draw in a frame.

    Between two sampled places boxes and P(fake) go over in proportion to the frames passed. Before the first and
    after the last one, and on both sides of a gap, the box stands still for the half step a sampled frame stands for.

    Parameters
    ----------
    frame : position of the frame.
    step : frames from one sampled frame to the next.
    """
    found = (_place(path, frame, step=step) for path in paths)
    return [place for place in found if place is not None]


def _place(path: TrackPath, frame: int, *, step: float) -> Place | None:
    after = int(np.searchsorted(path.frames, frame))
    before = after if after < len(path.frames) and path.frames[after] == frame else after - 1
    outside = before < 0 or after >= len(path.frames)
    if outside or path.frames[after] - path.frames[before] > MAX_GAP_STEPS * step:
        ends = [i for i in (before, after) if 0 <= i < len(path.frames)]
        nearest = min(ends, key=lambda i: abs(int(path.frames[i]) - frame))
        if abs(int(path.frames[nearest]) - frame) > (step + 1) / 2:
            return None
        return Place(path.track_id, path.boxes[nearest], float(path.p_fake[nearest]))
    length = path.frames[after] - path.frames[before]
    share = float((frame - path.frames[before]) / length) if length else 0.0
    box = (1 - share) * path.boxes[before] + share * path.boxes[after]
    first, second = float(path.p_fake[before]), float(path.p_fake[after])
    if np.isnan(first) or np.isnan(second):  # what was judged speaks for the half that is nearer to it
        p_fake = first if share < 0.5 else second
    else:
        p_fake = (1 - share) * first + share * second
    return Place(path.track_id, box, p_fake)
