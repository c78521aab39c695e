"""Sampled frames of one video in, one row per frame and kept face out. Nothing here knows of tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.align import DegenerateFaceError, align_ffhq, margin_crop, whole_image
from pipeline.ingest.bridges import bridge_frames
from pipeline.ingest.detect import Detection, Detector, box_area_px, check_rgb
from pipeline.ingest.encoding import decode_image, encode_png
from pipeline.ingest.face_types import FaceRow, FaceSettings, face_id, face_recipe
from pipeline.ingest.quality import blur, face_width_px, yaw_deg
from pipeline.ingest.tracks import largest_track
from pipeline.ingest.video import TruncatedVideo, UnreadableVideo, read_frames

__all__ = [
    "FaceRow",
    "FaceSettings",
    "decode_image",
    "encode_png",
    "extract_faces",
    "face_id",
    "face_recipe",
]

Frame = tuple[int, float, NDArray[np.uint8]]  # frame index, time in seconds, RGB

CHUNK_BYTES = 256 * 2**20  # decoded frames held at once, whatever their size
WHOLE_BATCH = 16
CUTTING_THREADS = 2


@dataclass(frozen=True, eq=False)
class _Cut:
    detection: Detection
    image: NDArray[np.uint8] | None
    reason: str


@dataclass
class _Reading:
    """Frames as they come, in chunks; afterwards `reason` says why some did not."""

    path: Path
    indices: list[int]
    chunk_frames: int
    reason: str = "the frame could not be decoded"
    chunk: list[Frame] = field(default_factory=list)

    def __iter__(self) -> Iterator[list[Frame]]:
        try:
            for frame in read_frames(self.path, self.indices):
                self.chunk.append(frame)
                if len(self.chunk) >= self.chunk_frames or sum(f[2].nbytes for f in self.chunk) >= CHUNK_BYTES:
                    yield self._take()
        except (UnreadableVideo, TruncatedVideo) as error:
            self.reason = str(error)
        if self.chunk:  # what came before the fault counts
            yield self._take()

    def _take(self) -> list[Frame]:
        chunk, self.chunk = self.chunk, []
        return chunk


def extract_faces(
    path: Path, indices: Sequence[int] | NDArray[np.integer], *, detector: Detector | None, settings: FaceSettings
) -> list[FaceRow]:
    """Find, track and cut the faces of the sampled frames of a video or still image.

    Frames are read in chunks; of each face only the finished crop stays in memory until the tracks say which are
    kept. Only where a track breaks is the file read again, for a few frames in between.

    Parameters
    ----------
    path : video or still image.
    indices : frame numbers from 0, any order.
    detector : may be None for the 'whole' crop only.

    Returns
    -------
    list[FaceRow] : ascending by frame and track; every index has at least one row, whatever happened to it.

    Raises
    ------
    ValueError : negative or repeated indices, or no detector where one is needed. A bad *file* raises nothing: its
    rows say so.
    """
    wanted = [int(index) for index in indices]
    if len(set(wanted)) != len(wanted) or min(wanted, default=0) < 0:
        raise ValueError(f"frame indices must be distinct and not negative, got {wanted[:20]}")
    wanted.sort()
    if not wanted:
        return []
    if settings.crop == "whole":
        return _whole_rows(_Reading(path, wanted, WHOLE_BATCH), settings)
    if detector is None:
        raise ValueError(f"the crop {settings.crop!r} needs a face detector, got None")
    reading = _Reading(path, wanted, detector.batch_size)
    times: dict[int, float] = {}
    cuts: dict[int, list[_Cut]] = {}
    with ThreadPoolExecutor(CUTTING_THREADS) as threads:  # resampling a face leaves the interpreter's lock
        for chunk in reading:
            found = detector.detect([rgb for _, _, rgb in chunk])
            waiting = [
                [threads.submit(_cut, rgb, detection, settings) for detection in _largest(detections, settings)]
                for (_, _, rgb), detections in zip(chunk, found, strict=True)
            ]
            for (index, time_s, _), of_frame in zip(chunk, waiting, strict=True):
                times[index] = time_s
                cuts[index] = [cut.result() for cut in of_frame]
    per_frame = {index: [cut.detection for cut in of_frame] for index, of_frame in cuts.items()}
    track_ids = _track(path, per_frame, detector, settings)
    return _rows(wanted, times, cuts, track_ids, reading.reason, settings)


def _largest(detections: Sequence[Detection], settings: FaceSettings) -> list[Detection]:
    return sorted(detections, key=lambda d: -box_area_px(d.box_xyxy_px))[: settings.max_faces_per_frame]


def _track(
    path: Path, per_frame: dict[int, list[Detection]], detector: Detector, settings: FaceSettings
) -> dict[int, list[int]]:
    """Track ids of the sampled frames' faces, counted from 0 in order of first appearance there."""
    sampled = sorted(per_frame)
    faces = [per_frame[index] for index in sampled]
    ids = settings.link(faces)
    between = bridge_frames(sampled, faces, ids, n_between=settings.n_between, gap_max=settings.gap_max)
    if not between:
        return dict(zip(sampled, ids, strict=True))
    everything = dict(per_frame)
    for chunk in _Reading(path, between, detector.batch_size):
        found = detector.detect([rgb for _, _, rgb in chunk])
        everything |= {frame[0]: _largest(faces, settings) for frame, faces in zip(chunk, found, strict=True)}
    timeline = sorted(everything)
    positions = np.interp(timeline, sampled, np.arange(len(sampled))).tolist()
    linked = dict(zip(timeline, settings.link([everything[index] for index in timeline], positions), strict=True))
    number: dict[int, int] = {}
    return {index: [number.setdefault(i, len(number)) for i in linked[index]] for index in sampled}


def _cut(rgb: NDArray[np.uint8], detection: Detection, settings: FaceSettings) -> _Cut:
    width = face_width_px(detection.box_xyxy_px)
    if width < settings.min_face_px:
        return _Cut(detection, None, f"the face is {width:.1f} px wide, below min_face_px {settings.min_face_px:g}")
    try:
        if settings.crop == "ffhq":
            image = align_ffhq(rgb, detection.landmarks_px, size_px=settings.size_px)
        else:
            image = margin_crop(rgb, detection.box_xyxy_px, margin=settings.margin, size_px=settings.size_px)
    except DegenerateFaceError as error:
        return _Cut(detection, None, f"the face cannot be cut: {error}")
    return _Cut(detection, image, "")


def _rows(
    wanted: list[int],
    times: dict[int, float],
    cuts: dict[int, list[_Cut]],
    track_ids: dict[int, list[int]],
    missing: str,
    settings: FaceSettings,
) -> list[FaceRow]:
    decoded = sorted(cuts)
    per_frame = [[cut.detection for cut in cuts[index]] for index in decoded]
    largest = largest_track(per_frame, [track_ids[index] for index in decoded])
    rows: list[FaceRow] = []
    for index in wanted:
        if index not in cuts:
            rows.append(FaceRow(frame_index=index, status="unreadable", reason=missing))
            continue
        tracked = sorted(zip(track_ids[index], cuts[index], strict=True), key=lambda pair: pair[0])
        kept = [pair for pair in tracked if settings.keep == "all" or pair[0] == largest]
        rows.extend(_face_row(index, times[index], track_id, cut) for track_id, cut in kept)
        if not kept:
            why = f"only faces of other tracks than the largest ({len(tracked)})" if tracked else "no face found"
            rows.append(FaceRow(frame_index=index, time_s=times[index], status="no_face", reason=why))
    return rows


def _face_row(index: int, time_s: float, track_id: int, cut: _Cut) -> FaceRow:
    detection = cut.detection
    return FaceRow(
        frame_index=index,
        time_s=time_s,
        status="rejected" if cut.image is None else "ok",
        reason=cut.reason,
        track_id=track_id,
        box_xyxy_px=detection.box_xyxy_px,
        landmarks_px=detection.landmarks_px,
        score=detection.score,
        face_width_px=face_width_px(detection.box_xyxy_px),
        yaw_deg=yaw_deg(detection.landmarks_px),
        blur=float("nan") if cut.image is None else blur(cut.image),
        image=cut.image,
    )


def _whole_rows(reading: _Reading, settings: FaceSettings) -> list[FaceRow]:
    rows: dict[int, FaceRow] = {}
    for chunk in reading:
        for index, time_s, rgb in chunk:
            height, width = check_rgb(rgb)
            image = whole_image(rgb, size_px=settings.size_px)
            box = np.array([0.0, 0.0, width, height])
            rows[index] = FaceRow(
                frame_index=index,
                time_s=time_s,
                status="ok",
                track_id=0,
                box_xyxy_px=box,
                face_width_px=face_width_px(box),
                blur=blur(image),
                image=image,
            )
    missing = {i: FaceRow(frame_index=i, status="unreadable", reason=reading.reason) for i in reading.indices}
    return [rows.get(index, missing[index]) for index in reading.indices]
