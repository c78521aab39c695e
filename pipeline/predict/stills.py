"""Single pictures out of a clip, found by their time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.streams import open_video
from pipeline.ingest.video import UnreadableVideo


def stills(clip: Path, times_s: Sequence[float]) -> list[NDArray[np.uint8] | None]:
    """The frame shown at each time.

    Parameters
    ----------
    times_s : seconds from the first frame, in any order.

    Returns
    -------
    list
        uint8 [H, W, 3] RGB for each time; None beyond the clip's end, or where the clip cannot be read.
    """
    try:
        with open_video(clip) as (container, stream):
            rate = stream.average_rate or stream.guessed_rate
            half_s = 0.5 / float(rate) if rate else 0.0
            start_s = (container.start_time or 0) / av.time_base
            return [_still(container, stream, start_s + time_s - half_s) for time_s in times_s]
    except (UnreadableVideo, av.FFmpegError, OSError):
        return [None] * len(times_s)


def _still(container: av.container.InputContainer, stream: av.VideoStream, from_s: float) -> NDArray[np.uint8] | None:
    base = stream.time_base
    if base is None:
        return None
    container.seek(max(0, int(from_s / base)), stream=stream)  # to the key frame before it
    for frame in container.decode(stream):
        if frame.pts is not None and frame.pts * base >= from_s:
            return np.asarray(frame.to_ndarray(format="rgb24"))
    return None
