"""Every frame of a clip drawn on and written as H.264 in MP4, with its times and its sound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from numpy.typing import NDArray

from pipeline.ingest.files import is_image
from pipeline.ingest.stills import read_still
from pipeline.ingest.streams import decode, open_video
from pipeline.ingest.turn import Turn

Draw = Callable[[int, NDArray[np.uint8]], None]
#: Sound that an MP4 may hold as it is; anything else is encoded anew as AAC.
_COPIED = frozenset({"aac", "mp3", "ac3", "eac3", "alac"})
#: Containers whose packets need no rewriting for MP4; MPEG-TS and AVI frame AAC otherwise or lack times.
_PLAIN = ("mov", "mp4", "matroska", "webm")
_AAC_RATES = frozenset({8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000})
_OPTIONS = {"crf": "20", "preset": "veryfast"}


@dataclass
class Written:
    """What was written.

    Attributes
    ----------
    kept : drawn frames that were asked for, uint8 [H, W, 3], by position.
    sound : 'copied', 'encoded as AAC', 'none', or what became of it.
    """

    n_frames: int = 0
    kept: dict[int, NDArray[np.uint8]] = field(default_factory=dict)
    sound: str = "none"


def annotate(source: Path, target: Path, *, draw: Draw, keep: frozenset[int] = frozenset()) -> Written:
    """Draw on every frame and write the clip anew.

    Frames keep their times, upright orientation and size (an odd side loses its last row or column, which 4:2:0
    needs); sound is copied where MP4 can hold it.

    Parameters
    ----------
    draw : told position and frame uint8 [H, W, 3] RGB, which it changes.
    keep : positions of frames to hand back.

    Raises
    ------
    UnreadableVideo
        Nothing can be decoded.
    OSError
        The target cannot be written.
    """
    with av.open(str(target), "w", format="mp4", options={"movflags": "faststart"}) as out:
        if is_image(source):
            return _still(source, out, draw, keep)
        return _video(source, out, draw, keep)


def _still(source: Path, out: OutputContainer, draw: Draw, keep: frozenset[int]) -> Written:
    picture = _Picture(out, Fraction(1), None)
    written = Written()
    _one(written, 0, read_still(source), draw, keep, lambda rgb: picture.put(rgb, 0))
    picture.end()
    return written


def _video(source: Path, out: OutputContainer, draw: Draw, keep: frozenset[int]) -> Written:
    written = Written()
    with ExitStack() as stack:
        container, stream = stack.enter_context(open_video(source))
        origin_s = (container.start_time or 0) / av.time_base
        picture = _Picture(out, stream.average_rate or stream.guessed_rate or Fraction(25), stream.time_base)
        # A second handle on the file: pictures and sound are then read each at its own pace and written in step.
        sound = _Sound(stack.enter_context(open_video(source))[0], out, origin_s)
        for index, frame in enumerate(decode(container, stream)):
            time_s = None
            if frame.pts is not None and stream.time_base is not None:
                time_s = float(frame.pts * stream.time_base) - origin_s
            rgb = np.ascontiguousarray(Turn.of(frame).apply(np.asarray(frame.to_ndarray(format="rgb24"))))

            def put(drawn: NDArray[np.uint8], at: float | None = time_s) -> None:
                sound.until(picture.put(drawn, at))

            _one(written, index, rgb, draw, keep, put)
        sound.until(None)
        picture.end()
        written.sound = sound.state
    return written


def _one(
    written: Written,
    index: int,
    rgb: NDArray[np.uint8],
    draw: Draw,
    keep: frozenset[int],
    put: Callable[[NDArray[np.uint8]], Any],
) -> None:
    draw(index, rgb)
    if index in keep:
        written.kept[index] = rgb.copy()
    put(rgb)
    written.n_frames += 1


class _Picture:
    """The video stream of the output."""

    def __init__(self, out: OutputContainer, rate: Fraction, time_base: Fraction | None) -> None:
        self._out = out
        self._rate = rate
        # A clock that is too coarse for the frames (some AVI and FLV) would make two of them fall together.
        self._clock = time_base if time_base is not None and time_base * rate <= 1 else 1 / rate
        self._last = -1
        self._size: tuple[int, int] | None = None
        self._stream = out.add_stream("libx264", rate=rate, options=_OPTIONS)
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = self._clock

    def put(self, rgb: NDArray[np.uint8], time_s: float | None) -> float:
        """Encode a frame and return its time in seconds; without a time it follows the one before."""
        if self._size is None:
            self._size = (rgb.shape[0] // 2 * 2, rgb.shape[1] // 2 * 2)
            self._stream.height, self._stream.width = self._size
        height, width = self._size
        even = np.zeros((height, width, 3), dtype=np.uint8)  # a stream may change its size on the way
        part = rgb[:height, :width]
        even[: part.shape[0], : part.shape[1]] = part
        next_pts = self._last + max(1, round(1 / (self._rate * self._clock))) if self._last >= 0 else 0
        pts = next_pts if time_s is None else round(time_s / float(self._clock))
        self._last = max(pts, self._last + 1)
        frame = av.VideoFrame.from_ndarray(even, format="rgb24")
        frame.pts, frame.time_base = self._last, self._clock
        self._out.mux(self._stream.encode(frame))
        return float(self._last * self._clock)

    def end(self) -> None:
        """Write what the encoder still holds."""
        if self._size is not None:
            self._out.mux(self._stream.encode(None))


class _Sound:
    """The first sound stream of the clip, carried over in step with the pictures."""

    def __init__(self, source: InputContainer, out: OutputContainer, origin_s: float) -> None:
        self.state = "none"
        self._source, self._out, self._origin_s = source, out, origin_s
        self._packets: Iterator[tuple[float, list[Any]]] = iter(())
        self._waiting: tuple[float, list[Any]] | None = None
        if not source.streams.audio:
            return
        stream = source.streams.audio[0]
        context = stream.codec_context
        if context is None:
            self.state = "lost: there is no decoder for it"
            return
        name = context.codec.canonical_name
        plain = any(part in _PLAIN for part in source.format.name.split(","))
        try:
            if name in _COPIED and plain:
                self._target: Any = out.add_stream_from_template(stream)
                self.state, self._packets = "copied", self._copied(stream)
            else:
                rate = context.sample_rate if context.sample_rate in _AAC_RATES else 48_000
                layout = "mono" if context.channels == 1 else "stereo"
                self._target = out.add_stream("aac", rate=rate, layout=layout)
                self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
                self.state, self._packets = "encoded as AAC", self._encoded(stream)
        except (av.FFmpegError, ValueError) as error:
            self.state = f"lost: {error}"

    def until(self, time_s: float | None) -> None:
        """Write what sounds up to a time, or all that is left."""
        while True:
            if self._waiting is None:
                self._waiting = next(self._packets, None)
            if self._waiting is None or (time_s is not None and self._waiting[0] > time_s):
                return
            self._out.mux(self._waiting[1])
            self._waiting = None

    def _demuxed(self, stream: Any) -> Iterator[Any]:
        """Packets up to the end or to the damage that ends them."""
        packets = self._source.demux(stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                packet = None
            if packet is None:
                return
            if packet.size:
                yield packet

    def _copied(self, stream: Any) -> Iterator[tuple[float, list[Any]]]:
        shift = round(self._origin_s / float(stream.time_base))
        last = None
        for packet in self._demuxed(stream):
            if packet.dts is None or packet.pts is None:
                continue
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            if last is not None and packet.dts <= last:  # MP4 refuses times that stand still
                continue
            last = packet.dts
            time_s = float(packet.dts * packet.time_base)
            packet.stream = self._target
            yield time_s, [packet]

    def _encoded(self, stream: Any) -> Iterator[tuple[float, list[Any]]]:
        clock = Fraction(1, self._target.codec_context.sample_rate)
        at: int | None = None
        for packet in self._demuxed(stream):
            try:
                frames = stream.decode(packet)
            except av.FFmpegError:
                continue  # a damaged packet is a gap, not the end
            for frame in frames:
                if at is None:
                    at = max(0, round((float(frame.time or 0.0) - self._origin_s) / float(clock)))
                frame.pts = None  # counted here: times of foreign containers stand still or jump
                for part in self._resampler.resample(frame):
                    part.pts, part.time_base = at, clock
                    at += part.samples
                    yield float(part.pts * clock), self._target.encode(part)
        if at is not None:
            yield float(at * clock), self._target.encode(None)
