"""Video reading with PyAV: what a file is, and the frames that are wanted, upright and as RGB.

A still image is a video of one frame (`pipeline.ingest.stills`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from pipeline.ingest import skipping
from pipeline.ingest.files import is_image
from pipeline.ingest.limits import TruncatedVideo, UnreadableVideo, check_size
from pipeline.ingest.stills import read_still
from pipeline.ingest.streams import count_frames, decode, open_video
from pipeline.ingest.turn import Turn

__all__ = ["TruncatedVideo", "UnreadableVideo", "VideoInfo", "content_id", "probe", "read_frames"]

Frame = tuple[int, float, NDArray[np.uint8]]


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before its frames are looked at.

    Attributes
    ----------
    fps : mean frame rate in 1/s; 0 for a still image, and where the file does not tell.
    n_frames : frames of the stream, counted without decoding; of an MP4 that was cut short, as many as it once had.
        Damage may leave fewer that can be decoded.
    width_px, height_px : size of the upright frame.
    duration_s : length of the stream in seconds; 0 for a still image.
    rotation_deg : clockwise turn (0, 90, 180, 270) that brought the stored picture upright.
    """

    fps: float
    n_frames: int
    width_px: int
    height_px: int
    duration_s: float
    rotation_deg: int


def content_id(path: Path) -> str:
    """16 hex digits (64 bits) of BLAKE2b over the file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=8)).hexdigest()


def probe(path: Path) -> VideoInfo:
    """Open a video or still image, decode its first frame and count the rest without decoding it.

    Raises
    ------
    UnreadableVideo : not a video, no video stream, no frame that decodes, larger than the limits, not readable.
    """
    _check_readable(path)
    if is_image(path):
        height, width = read_still(path).shape[:2]
        return VideoInfo(0.0, 1, width, height, 0.0, 0)
    with open_video(path) as (container, stream):
        n_frames, duration_s = count_frames(container, stream)
        fps = float(stream.average_rate or stream.guessed_rate or 0) or (n_frames / duration_s if duration_s else 0.0)
    with open_video(path) as (container, stream):  # afresh, for seeking back is not possible in every container
        first = next((frame for frame in decode(container, stream) if not frame.is_corrupt), None)
        if first is None:
            raise UnreadableVideo("no frame of the video can be decoded" if n_frames else "the video holds no frame")
        turn = Turn.of(first)
        width, height = (first.height, first.width) if turn.transpose else (first.width, first.height)
    if not duration_s and fps:
        duration_s = n_frames / fps
    return VideoInfo(fps, max(n_frames, 1), width, height, duration_s, turn.clockwise_deg)


def read_frames(path: Path, indices: Iterable[int], *, n_threads: int = 0) -> Iterator[Frame]:
    """Decode a video in order and hand out the wanted frames.

    Only wanted frames are converted to RGB, reading stops after the last of them, and where it is safe only frames that
    they need are decoded (`pipeline.ingest.skipping`), which changes no pixel.

    Parameters
    ----------
    indices : positions in decoding order from 0; order and repetition do not matter.
    n_threads : decoder threads, 0 for three for each core. Never changes a result.

    Yields
    ------
    (index, time_s, rgb) by ascending index: presentation time in seconds since the first frame; uint8 [H, W, 3],
    0 to 255, turned upright.

    Raises
    ------
    UnreadableVideo : nothing can be decoded (see `probe`).
    TruncatedVideo : after the last frame that could be had, if wanted ones are missing. A frame that the decoder had
        to patch up counts as missing.
    """
    wanted = sorted({int(index) for index in indices})
    if not wanted:
        return
    if wanted[0] < 0:
        raise ValueError(f"frame indices must be 0 or more, not {wanted[0]}")
    missing = set(wanted)
    n_decoded = 0
    for index, time_s, rgb in _wanted_frames(path, frozenset(wanted), n_threads):
        n_decoded = index + 1
        if rgb is not None and index in missing:
            missing.remove(index)
            yield index, time_s, rgb
    if n_decoded == 0:
        raise UnreadableVideo("no frame of the video can be decoded")
    if missing:
        raise TruncatedVideo(n_decoded, tuple(sorted(missing)))


def _wanted_frames(
    path: Path, wanted: frozenset[int], n_threads: int
) -> Iterator[tuple[int, float, NDArray[np.uint8] | None]]:
    """Wanted frames as RGB; once one cannot be had cheaply, every frame up to the last, RGB where wanted and sound."""
    _check_readable(path)
    if is_image(path):
        yield 0, 0.0, read_still(path)
        return
    last = max(wanted)
    for index, since_start_s, frame in skipping.wanted_frames(path, wanted, n_threads):
        yield index, since_start_s, _rgb(frame)
        if index == last:
            return
    with open_video(path, n_threads) as (container, stream):
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        start_s: float | None = None
        for index, frame in enumerate(decode(container, stream)):
            time_s = index / fps if fps else 0.0
            if frame.pts is not None and stream.time_base is not None:
                # Not frame.time: it is NaN for what the decoder held back until the end.
                time_s = float(frame.pts * stream.time_base)
            start_s = time_s if start_s is None else start_s
            usable = index in wanted and not frame.is_corrupt
            yield index, time_s - start_s, _rgb(frame) if usable else None
            if index >= last:
                return


def _check_readable(path: Path) -> None:
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise UnreadableVideo(f"the file cannot be read: {(error.strerror or str(error)).lower()}") from error
    if empty:
        raise UnreadableVideo("the file is empty")


def _rgb(frame: VideoFrame) -> NDArray[np.uint8]:
    check_size(frame.width, frame.height)  # a stream may change its size on the way
    rgb = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)  # [H, W, 3]
    return np.ascontiguousarray(Turn.of(frame).apply(rgb))
