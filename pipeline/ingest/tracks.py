"""Boxes of sampled frames linked into tracks, one per person and stretch of presence.

Sampled frames may lie seconds apart, so there is no motion model: a box continues the track whose last box it
overlaps or lies near, measured in face sizes. All boxes of a frame are assigned at once (Hungarian method), so a
near pair is not broken up by a greedy choice. Appearance is not compared: after a cut, another person at the same
place and of the same size continues the track.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from pipeline.ingest.detect import Detection, box_area_px

NO_TRACK = -1


@dataclass
class _Track:
    track_id: int
    box: NDArray[np.float64]
    position: float


def link(
    per_frame: Sequence[Sequence[Detection]],
    *,
    iou_min: float = 0.2,
    shift_max: float = 1.0,
    size_ratio_max: float = 2.0,
    gap_max: int = 5,
    positions: Sequence[float] | None = None,
) -> list[list[int]]:
    """Give every detection the id of its track.

    Parameters
    ----------
    per_frame : detections of each sampled frame, in time order.
    iou_min : boxes overlapping at least this much (intersection over union) may be linked.
    shift_max : so may boxes whose centres lie at most this many face sizes apart (size: square root of the two
        areas' mean).
    size_ratio_max : never linked when one box's side is more than this many times the other's.
    gap_max : sampled frames a track may stay without a box before it ends.
    positions : place of each entry of `per_frame` among the sampled frames, ascending, fractions for frames read in
        between; default 0, 1, 2 and so on.

    Returns
    -------
    list[list[int]] : ids in the layout of `per_frame`; within a frame each occurs at most once. Ids count from 0 in
        order of first
    appearance (within a frame: in the order given).

    Raises
    ------
    ValueError : a threshold out of range, or a box that is not finite.
    """
    _check_thresholds(iou_min, shift_max, size_ratio_max, gap_max)
    alive: list[_Track] = []
    n_tracks = 0
    ids: list[list[int]] = []
    places = range(len(per_frame)) if positions is None else positions
    for position, detections in zip(places, per_frame, strict=True):
        boxes = np.array([d.box_xyxy_px for d in detections], dtype=np.float64).reshape(-1, 4)
        if not np.isfinite(boxes).all():
            raise ValueError(f"sampled frame {position} has a face box that is not finite: {boxes.tolist()}")
        alive = [track for track in alive if position - track.position <= gap_max + 1]
        chosen = _assign(alive, boxes, iou_min=iou_min, shift_max=shift_max, size_ratio_max=size_ratio_max)
        frame_ids = []
        for index, box in enumerate(boxes):
            track = chosen.get(index)
            if track is None:
                track = _Track(n_tracks, box, position)
                alive.append(track)
                n_tracks += 1
            track.box, track.position = box, position
            frame_ids.append(track.track_id)
        ids.append(frame_ids)
    return ids


def _check_thresholds(iou_min: float, shift_max: float, size_ratio_max: float, gap_max: int) -> None:
    if not 0.0 < iou_min <= 1.0:
        raise ValueError(f"iou_min must be in (0, 1], got {iou_min}")
    if not shift_max >= 0.0:
        raise ValueError(f"shift_max must be at least 0 face sizes, got {shift_max}")
    if not size_ratio_max >= 1.0:
        raise ValueError(f"size_ratio_max must be at least 1, got {size_ratio_max}")
    if gap_max < 0:
        raise ValueError(f"gap_max must be at least 0 sampled frames, got {gap_max}")


def _assign(
    tracks: Sequence[_Track], boxes: NDArray[np.float64], *, iou_min: float, shift_max: float, size_ratio_max: float
) -> dict[int, _Track]:
    """Detection index -> the track it continues.

    Cost of a pair: (1 - IoU) + centre distance in face sizes. A forbidden pair costs just more than any allowed
    one, no more: a larger price would buy a second bad link by breaking a good one.
    """
    if not tracks or not len(boxes):
        return {}
    before = np.stack([track.box for track in tracks])
    iou = box_iou(before, boxes)  # [n_tracks, n_boxes]
    area_before, area = _areas(before)[:, None], _areas(boxes)[None, :]
    size = np.sqrt((area_before + area) / 2)
    centres = [(b[:, :2] + b[:, 2:]) / 2 for b in (before, boxes)]
    distance = np.linalg.norm(centres[0][:, None] - centres[1][None], axis=-1)
    shift = np.divide(distance, size, out=np.full_like(distance, np.inf), where=size > 0)
    similar = np.maximum(area_before, area) <= size_ratio_max**2 * np.minimum(area_before, area)
    allowed = ((iou >= iou_min) | (shift <= shift_max)) & similar
    cost = (1.0 - iou) + shift
    forbidden = 1.0 + cost[allowed].max(initial=0.0)
    rows, columns = linear_sum_assignment(np.where(allowed, cost, forbidden))
    return {int(c): tracks[r] for r, c in zip(rows, columns, strict=True) if allowed[r, c]}


def _areas(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).clip(min=0.0).prod(axis=1), dtype=np.float64)


def box_iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of every pair: [n, 4], [m, 4] -> [n, m] in [0, 1]; 0 where both are empty."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = (high - low).clip(min=0.0).prod(axis=-1)
    union = _areas(a)[:, None] + _areas(b)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def largest_track(per_frame: Sequence[Sequence[Detection]], track_ids: Sequence[Sequence[int]]) -> int:
    """Id of the track with the greatest box area summed over all frames; NO_TRACK without any detection.

    Of equals the earlier. Summed, not averaged: a face seen once in passing does not outweigh the person who is
    there throughout.
    """
    total: dict[int, float] = defaultdict(float)
    for detections, ids in zip(per_frame, track_ids, strict=True):
        for detection, track_id in zip(detections, ids, strict=True):
            total[track_id] += box_area_px(detection.box_xyxy_px)
    return max(total, key=lambda track_id: (total[track_id], -track_id), default=NO_TRACK)
