"""What a cut face is: the settings that shape it, its row, and its name."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.detect import Detection, Detector
from pipeline.ingest.tracks import NO_TRACK, link

Status = Literal["ok", "no_face", "unreadable", "rejected", "failed"]


@dataclass(frozen=True, kw_only=True)
class FaceSettings:
    """How faces are cut from frames.

    Attributes
    ----------
    crop : 'ffhq' (aligned by landmarks), 'margin' (upright square around the box) or 'whole' (the full image; no
        detector).
    margin : for 'margin': share of the box's size added in all; 0 to 0.7 in York's pipeline.
    size_px : side of the cut faces.
    keep : 'largest' keeps the track with the greatest summed box area, 'all' keeps every track.
    min_face_px : a face whose box is narrower, in pixels of the original frame, is 'rejected'.
    max_faces_per_frame : only this many of a frame's largest faces are looked at (bounds memory on crowds).
    iou_min, shift_max, size_ratio_max, gap_max : see `tracks.link`.
    n_between : where a track breaks, frames searched between two sampled ones to follow the face (see `bridges`); 0 for
        none.
    """

    crop: Literal["ffhq", "margin", "whole"] = "ffhq"
    margin: float = 0.3
    size_px: int = 256
    keep: Literal["largest", "all"] = "largest"
    min_face_px: float = 0.0
    max_faces_per_frame: int = 8
    iou_min: float = 0.2
    shift_max: float = 1.0
    size_ratio_max: float = 2.0
    gap_max: int = 5
    n_between: int = 7

    def __post_init__(self) -> None:
        if self.crop not in ("ffhq", "margin", "whole"):
            raise ValueError(f"crop must be 'ffhq', 'margin' or 'whole', got {self.crop!r}")
        if self.keep not in ("largest", "all"):
            raise ValueError(f"keep must be 'largest' or 'all', got {self.keep!r}")
        if not 0.0 <= self.margin <= 10.0:
            raise ValueError(f"margin must be in [0, 10], got {self.margin}")
        if not 16 <= self.size_px <= 4096:
            raise ValueError(f"size_px must be in [16, 4096], got {self.size_px}")
        if not self.min_face_px >= 0.0:
            raise ValueError(f"min_face_px must be at least 0, got {self.min_face_px}")
        if self.max_faces_per_frame < 1:
            raise ValueError(f"max_faces_per_frame must be at least 1, got {self.max_faces_per_frame}")
        if not 0 <= self.n_between <= 100:
            raise ValueError(f"n_between must be in [0, 100], got {self.n_between}")
        self.link([])  # checks the tracking thresholds

    def link(
        self, per_frame: Sequence[Sequence[Detection]], positions: Sequence[float] | None = None
    ) -> list[list[int]]:
        """`tracks.link` with these thresholds."""
        return link(
            per_frame,
            iou_min=self.iou_min,
            shift_max=self.shift_max,
            size_ratio_max=self.size_ratio_max,
            gap_max=self.gap_max,
            positions=positions,
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class FaceRow:
    """What became of one sampled frame, or of one face of it.

    Attributes
    ----------
    frame_index, time_s : the frame; the time is NaN where the frame was not decoded.
    status, reason : 'ok' with an empty reason; 'no_face', 'unreadable', 'rejected' or 'failed' with one that says why.
    track_id : NO_TRACK (-1) where there is no face.
    box_xyxy_px, landmarks_px : float64 [4], [5, 2] in the original frame; None where unknown. Of a 'whole' image
        the box is the image.
    score : detector's confidence; NaN where there is none.
    face_width_px, yaw_deg, blur : see `quality`; NaN where unknown.
    image : uint8 [size_px, size_px, 3] RGB of an 'ok' row, else None.
    """

    frame_index: int
    time_s: float = float("nan")
    status: Status
    reason: str = ""
    track_id: int = NO_TRACK
    box_xyxy_px: NDArray[np.float64] | None = None
    landmarks_px: NDArray[np.float64] | None = None
    score: float = float("nan")
    face_width_px: float = float("nan")
    yaw_deg: float = float("nan")
    blur: float = float("nan")
    image: NDArray[np.uint8] | None = None

    def as_dict(self) -> dict[str, object]:
        """The row in plain values: NaN becomes None, arrays become flat lists of float; the image stays an array."""
        return {f.name: _plain(f.name, getattr(self, f.name)) for f in fields(self)}


def _plain(name: str, value: object) -> object:
    if isinstance(value, np.ndarray) and name != "image":
        return [float(number) for number in value.ravel()]
    return None if isinstance(value, float) and math.isnan(value) else value


def face_recipe(detector: Detector | None, settings: FaceSettings) -> str:
    """Names everything but the sampling that decides which pixels a (video, frame, track) stands for.

    `keep` is left out: it chooses among faces and changes none.
    """
    shape = f"{settings.crop}{settings.margin:g}" if settings.crop == "margin" else settings.crop
    if settings.crop == "whole" or detector is None:
        return f"{shape}-{settings.size_px}"
    thresholds = (settings.iou_min, settings.shift_max, settings.size_ratio_max, settings.gap_max, settings.n_between)
    link_by = ",".join(f"{number:g}" for number in (*thresholds, settings.max_faces_per_frame))
    return f"{detector.detector_id}/{shape}-{settings.size_px}/link{link_by}"


def face_id(video_id: str, frame_index: int, track_id: int, recipe: str) -> str:
    """16 hex digits (64 bits of BLAKE2b) that name one cut face, the same on every run.

    `recipe` (see `face_recipe`) keeps faces cut differently apart. A frame without a face has `track_id` NO_TRACK.
    Track ids are counted over the sampled frames: where ids of several samplings meet and more than one face is in
    a frame, put the sampling into `recipe`.
    """
    parts = (video_id, str(int(frame_index)), str(int(track_id)), recipe)
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        encoded = part.encode()
        digest.update(len(encoded).to_bytes(8, "little"))  # so that no two lists of parts run together
        digest.update(encoded)
    return digest.hexdigest()
