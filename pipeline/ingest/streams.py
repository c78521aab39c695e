"""Video containers with PyAV: opened with care, decoded in order, counted without decoding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
from av.container import Flags, InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from pipeline.cores import n_cores
from pipeline.ingest.limits import UnreadableVideo, check_size

# Only containers of footage, only from this file: a play list or a concat script renamed to .mp4 could otherwise make
# FFmpeg open other files or addresses.
_OPEN_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,avi,matroska,mpeg,mpegts,mpegvideo,asf,flv,ogg,m4v,h264,hevc,ivf",
}

# More threads than cores: one that waits for the picture it refers to, or the one that turns pictures to RGB, leaves a
# core idle (DFDC clips on 2 cores: reading takes 0.80 s with six threads, 0.82 s with four, 0.91 s with two). 16 is the
# limit of FFmpeg's own count.
_THREADS_PER_CORE, _MAX_THREADS = 3, 16
_LEAST_FRAME_BYTES = 8  # even a repeated H.264 picture takes more


@contextmanager
def open_video(path: Path, n_threads: int = 0) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Container and its first video stream that is not cover art, ready to decode."""
    try:
        # 'file:' and an absolute path: a name such as 'concat:a.mp4' is a name, not a protocol.
        container = av.open("file:" + str(path.absolute()), options=_OPEN_OPTIONS, metadata_errors="replace")
    except av.FFmpegError as error:
        raise UnreadableVideo(_why_not_opened(path)) from error
    with container:
        streams = [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams:
            kinds = sorted({s.type for s in container.streams})
            raise UnreadableVideo(f"the file holds no video stream, only {' and '.join(kinds) or 'an empty container'}")
        stream = streams[0]
        if stream.codec_context is None:
            raise UnreadableVideo("there is no decoder for the video's codec")
        check_size(stream.codec_context.width, stream.codec_context.height)
        container.flags |= Flags.discard_corrupt.value  # half-read packets decode to half-grey pictures
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = n_threads or min(_THREADS_PER_CORE * n_cores(), _MAX_THREADS)
        yield container, stream


def _why_not_opened(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if head[4:8] in (b"ftyp", b"moov", b"mdat") or head[:4] in (b"RIFF", b"\x1aE\xdf\xa3"):
        return "the video is damaged or cut short: the index its container needs is missing"
    return "not a video file: no known container"


def packets(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    """Packets of the stream up to its end or to the damage that ends it."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:  # what was read so far is good
            packet = None
        if packet is None:
            return
        if packet.size:  # an empty packet would tell the decoder that the stream is over
            yield packet


def decode(container: InputContainer, stream: VideoStream) -> Iterator[VideoFrame]:
    """Frames in the order they are shown. A packet that cannot be decoded is a lost frame, not the end."""
    for packet in packets(container, stream):
        try:
            frames = stream.decode(packet)
        except av.FFmpegError:
            continue
        yield from frames
    try:
        yield from stream.decode(None)  # what the decoder still holds
    except av.FFmpegError:
        return


def count_frames(container: InputContainer, stream: VideoStream) -> tuple[int, float]:
    """Number of frames and length in seconds (0 where unknown), without decoding.

    Of an MP4 that was cut short, what is gone counts too: it was there, and its loss must show.
    """
    n_packets = n_hidden = 0
    start_s, end_s = math.inf, -math.inf
    for packet in packets(container, stream):
        n_packets += 1
        if packet.is_discard or _is_hidden_vp8(packet):
            n_hidden += 1
        elif packet.pts is not None:
            start_s = min(start_s, float(packet.pts * packet.time_base))
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    span_s = max(end_s - start_s, 0.0)
    if not _has_sample_table(container, stream):
        return n_packets - n_hidden, span_s
    announced_s = float(stream.duration * stream.time_base) if stream.duration and stream.time_base else 0.0
    return max(stream.frames, n_packets) - n_hidden, max(announced_s, span_s)


def _has_sample_table(container: InputContainer, stream: VideoStream) -> bool:
    """Whether the announced number of frames can be believed where fewer packets are there.

    MP4 and QuickTime list every sample; other headers hold a number that nobody checks, or none. A table with more
    samples than the file has room for is damaged.
    """
    return "mov" in container.format.name and stream.frames * _LEAST_FRAME_BYTES <= container.size


def _is_hidden_vp8(packet: av.Packet[VideoStream]) -> bool:
    """VP8 puts reference pictures that are never shown into packets of their own (RFC 6386, 9.1: show_frame)."""
    context = packet.stream.codec_context
    return context is not None and context.codec.canonical_name == "vp8" and not bytes(packet)[0] >> 4 & 1
