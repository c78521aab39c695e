"""Wanted frames of a video at less than the price of all: what they do not need is not decoded.

Of H.264 and HEVC two things can be left out without touching a pixel of a wanted frame: pictures that no other picture
refers to (about half of what x264 writes), and everything before the last key frame at or before a wanted one. This
takes streams whose packets say when each frame is shown; anything unusual, and any fault on the way, ends the
iteration, and the caller decodes in full.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.ingest.streams import open_video, packets

_CODECS = frozenset({"h264", "hevc"})
# Containers in which a packet is a whole frame and carries the time at which it is shown.
_CONTAINERS = ("mov", "matroska")


@dataclass(frozen=True)
class _Plan:
    """Which packets, by position in the file, are decoded, and which frames, by time stamp, are wanted."""

    feed: frozenset[int]
    index_of: dict[int, int]
    start_pts: int


def wanted_frames(path: Path, wanted: Collection[int], n_threads: int = 0) -> Iterator[tuple[int, float, VideoFrame]]:
    """Yield (index, time in s since the first frame, frame) for a leading part of the wanted frames, often all.

    The frames are those that decoding in full gives, pixel by pixel.
    """
    with open_video(path, n_threads) as (container, stream):
        plan = _plan(container, stream, wanted)
        time_base = stream.time_base
    if plan is None or time_base is None:
        return
    due = sorted(plan.index_of)
    with open_video(path, n_threads) as (container, stream):
        for frame in _decoded(container, stream, plan):
            if frame.pts not in plan.index_of:
                continue
            if frame.pts != due[0] or frame.is_corrupt:  # one before it is lost, or it is not sound itself
                return
            due.pop(0)
            yield plan.index_of[frame.pts], float((frame.pts - plan.start_pts) * time_base), frame
            if not due:
                return


def _plan(container: InputContainer, stream: VideoStream, wanted: Collection[int]) -> _Plan | None:
    """What to decode; None where the order of frames cannot be known beforehand."""
    if stream.codec_context.codec.canonical_name not in _CODECS:
        return None
    if not any(name in container.format.name for name in _CONTAINERS):
        return None
    times: list[int] = []
    keys: list[int] = []  # positions of packets
    for packet in packets(container, stream):
        if packet.pts is None or packet.is_discard or packet.is_corrupt:
            return None
        if packet.is_keyframe:
            keys.append(len(times))
        times.append(packet.pts)
    shown = sorted(times)
    whole = len(set(times)) == len(times) >= stream.frames  # an MP4 cut short lists more samples than it has
    if not whole or not keys or keys[0] != 0 or times[0] != shown[0] or max(wanted) >= len(times):
        return None
    index_of = {shown[index]: index for index in wanted}
    last_of: dict[int, int] = {}  # key frame -> last wanted packet that is decoded from it
    for position, pts in enumerate(times):
        if pts in index_of:
            nearest = bisect_right(keys, position) - 1
            # Frames shown before a key frame may refer past it even if they are stored after it.
            while times[keys[nearest]] > pts:
                nearest -= 1
            last_of[keys[nearest]] = position
    feed = {position for key, last in last_of.items() for position in range(key, last + 1)}
    return _Plan(frozenset(feed), index_of, shown[0])


def _decoded(container: InputContainer, stream: VideoStream, plan: _Plan) -> Iterator[VideoFrame]:
    """Frames in the order they are shown, up to the first fault."""
    context = stream.codec_context
    last = max(plan.feed)
    try:
        for position, packet in enumerate(packets(container, stream)):
            if position in plan.feed:
                context.skip_frame = "DEFAULT" if packet.pts in plan.index_of else "NONREF"
                yield from stream.decode(packet)
            elif position - 1 in plan.feed:
                yield from stream.decode(None)  # what the decoder still holds
                context.flush_buffers()
            if position >= last:
                break
        yield from stream.decode(None)
    except av.FFmpegError:
        return
