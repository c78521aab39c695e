"""Where sampled frames lie too far apart to follow a face: which frames in between would tell.

With seconds between two samples, one person who moved and two people who came and went look the same. Rather than
guess, a few frames in between are searched for faces too, only where a track breaks off as another begins. They
serve the linking; they give no rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pipeline.ingest.detect import Detection, box_area_px

MAIN_FACE_SHARE = 0.25  # of the largest face's area in the frame; smaller faces are not worth a search
BUDGET_BASE, BUDGET_PER_SAMPLE = 16, 2  # frames searched in between, at most: 16 + 2 per sampled frame


def bridge_frames(
    frame_indices: Sequence[int],
    per_frame: Sequence[Sequence[Detection]],
    track_ids: Sequence[Sequence[int]],
    *,
    n_between: int,
    gap_max: int,
) -> list[int]:
    """Frames to search in between the sampled ones.

    Parameters
    ----------
    frame_indices : the sampled frames, ascending.
    per_frame, track_ids : their detections and the tracks linked over them alone.
    n_between : frames to add, evenly, between two sampled frames around a break; fewer if all breaks together would
        ask for more than 16 frames and two per sampled frame.
    gap_max : as in `tracks.link`: a track that ended longer ago cannot be the one that begins.

    Returns
    -------
    list[int] : ascending, none of them sampled; empty if no track breaks.
    """
    intervals = _broken_intervals(per_frame, track_ids, gap_max)
    if not intervals or n_between < 1:
        return []
    budget = BUDGET_BASE + BUDGET_PER_SAMPLE * len(frame_indices)
    n_each = max(1, min(n_between, budget // len(intervals)))
    chosen: set[int] = set()
    for left in intervals:
        low, high = frame_indices[left], frame_indices[left + 1]
        chosen.update(np.linspace(low, high, n_each + 2).round().astype(int)[1:-1].tolist())
    return sorted(chosen - set(frame_indices))


def _broken_intervals(
    per_frame: Sequence[Sequence[Detection]], track_ids: Sequence[Sequence[int]], gap_max: int
) -> list[int]:
    """Positions left of the intervals between the end of one main face's track and the start of another's."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    for position, (detections, ids) in enumerate(zip(per_frame, track_ids, strict=True)):
        areas = [box_area_px(d.box_xyxy_px) for d in detections]
        for area, track_id in zip(areas, ids, strict=True):
            if area >= MAIN_FACE_SHARE * max(areas):
                first.setdefault(track_id, position)
                last[track_id] = position
    intervals: set[int] = set()
    for start in first.values():
        ends = [end for end in last.values() if start - gap_max - 1 <= end < start]
        if ends:
            intervals.update(range(max(ends), start))
    return sorted(intervals)
