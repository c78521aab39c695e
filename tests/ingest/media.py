"""Small real media written at test time: coded videos, and a folder of hostile inputs."""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]

N_BITS = 8


def coded_frame(index: int, *, width_px: int = 64, height_px: int = 48) -> Picture:
    """A picture that carries its index: N_BITS black or white bars above, red left and blue right below."""
    frame = np.zeros((height_px, width_px, 3), np.uint8)
    edges = np.linspace(0, width_px, N_BITS + 1).astype(int)
    for bit in range(N_BITS):
        frame[: height_px // 2, edges[bit] : edges[bit + 1]] = 255 * (index >> bit & 1)
    frame[height_px // 2 :, : width_px // 2] = (200, 30, 30)
    frame[height_px // 2 :, width_px // 2 :] = (30, 30, 200)
    return frame


def read_code(rgb: Picture) -> int:
    """Index that `coded_frame` wrote, from the middle of each bar."""
    height, width = rgb.shape[:2]
    edges = np.linspace(0, width, N_BITS + 1)
    middles = ((edges[:-1] + edges[1:]) / 2).astype(int)
    return sum(int(rgb[height // 4, x].mean() > 127) << bit for bit, x in enumerate(middles))


def write_video(
    path: Path,
    frames: int | Iterable[Picture] = 12,
    *,
    fps: int = 25,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    pts_ms: Sequence[int] | None = None,
    faststart: bool = False,
    options: dict[str, str] | None = None,
) -> Path:
    """Write frames (or so many coded ones) as a video; `pts_ms` makes the frame rate variable."""
    pictures = [coded_frame(i) for i in range(frames)] if isinstance(frames, int) else list(frames)
    path.parent.mkdir(parents=True, exist_ok=True)
    muxing = {"movflags": "faststart"} if faststart else {}
    with av.open(str(path), "w", options=muxing) as container:
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.height, stream.width = pictures[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if pts_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for i, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            if pts_ms is not None:
                frame.pts, frame.time_base = pts_ms[i], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path, *, n_blocks: int = 20) -> Path:
    """Write a file with sound and no picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16_000)
        for i in range(n_blocks):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, 1024 * i
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_frameless(path: Path) -> Path:
    """Write a container whose video stream never got a frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()
    return path


def set_display_matrix(path: Path, matrix: tuple[int, int, int, int]) -> Path:
    """Write a, b, c, d (each -1, 0 or 1) into the track header of an MP4, the way a telephone does."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 20 + 16  # type; version and flags; times, ids, duration; layer, volume
    a, b, c, d = (value << 16 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def cut(path: Path, share: float) -> Path:
    """Keep the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def noise_frames(n: int, *, seed: int, side_px: int = 64) -> list[Picture]:
    """Pictures of noise: no face, and different bytes for every seed."""
    return list(np.random.default_rng(seed).integers(0, 256, (n, side_px, side_px, 3), dtype=np.uint8))


def write_png_header(path: Path, width_px: int, height_px: int) -> Path:
    """Write a PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width_px, height_px, 8, 2, 0, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(64))) + chunk(b"IEND", b"")
    )
    return path


def write_hostile_folder(root: Path) -> dict[str, tuple[str, str]]:
    """Fill `root` (layout 'folder') with inputs that go wrong, among sound ones.

    Returns
    -------
    Status and a part of the reason to expect for each `rel_path`, after `scan` and, where that says 'ok', `probe`.
    Videos that are 'ok' show no face.
    """
    expected: dict[str, tuple[str, str]] = {}
    _write_sound_videos(root, expected)
    _write_broken_videos(root, expected)
    _write_broken_images(root, expected)
    _write_duplicates(root, expected)
    _write_oddities(root, expected)
    _write_labels(root, expected)
    return expected


def _write_sound_videos(root: Path, expected: dict[str, tuple[str, str]]) -> None:
    write_video(root / "real/good.mp4", 30)
    write_video(root / "fake/good.mp4", noise_frames(12, seed=1))  # same name, other folder
    write_video(root / "real/one frame.mp4", noise_frames(1, seed=2))
    write_video(root / "real/Ünïcode – 影片 (1).mp4", noise_frames(6, seed=3))
    odd = [np.ascontiguousarray(frame[:47, :61]) for frame in noise_frames(6, seed=4)]
    write_video(root / "fake/swap/odd size.mp4", odd, pix_fmt="yuv444p")
    set_display_matrix(write_video(root / "real/turned.mp4", 10), (0, 1, -1, 0))
    cut(write_video(root / "fake/cut short.mp4", noise_frames(40, seed=5), faststart=True), 0.6)
    for name in ("real/good.mp4", "fake/good.mp4", "real/one frame.mp4", "real/Ünïcode – 影片 (1).mp4"):
        expected[name] = ("ok", "")
    for name in ("fake/swap/odd size.mp4", "real/turned.mp4", "fake/cut short.mp4"):
        expected[name] = ("ok", "")


def _write_broken_videos(root: Path, expected: dict[str, tuple[str, str]]) -> None:
    cut(write_video(root / "real/no index.mp4", noise_frames(20, seed=6)), 0.6)
    (root / "real/text.mp4").write_text("not a video\n" * 100)
    (root / "real/playlist.mp4").write_text("ffconcat version 1.0\nfile good.mp4\n")
    (root / "real/empty.mp4").write_bytes(b"")
    write_sound(root / "fake/sound only.mp4")
    write_frameless(root / "fake/no frames.avi")
    expected |= {
        "real/no index.mp4": ("unreadable", "damaged or cut short"),
        "real/text.mp4": ("unreadable", "not a video file"),
        "real/playlist.mp4": ("unreadable", "not a video file"),
        "real/empty.mp4": ("unreadable", "the file is empty"),
        "fake/sound only.mp4": ("unreadable", "no video stream, only audio"),
        "fake/no frames.avi": ("unreadable", "holds no frame"),
    }


def _write_broken_images(root: Path, expected: dict[str, tuple[str, str]]) -> None:
    Image.fromarray(noise_frames(1, seed=7)[0]).save(root / "fake/torn.png")
    cut(root / "fake/torn.png", 0.5)
    (root / "fake/text.jpg").write_text("not an image")
    write_png_header(root / "fake/huge.png", 30_000, 2)
    write_png_header(root / "fake/bomb.png", 16_000, 16_000)
    expected |= {
        "fake/torn.png": ("unreadable", "damaged or cut short"),
        "fake/text.jpg": ("unreadable", "not an image file"),
        "fake/huge.png": ("unreadable", "larger than 16384 px"),
        "fake/bomb.png": ("unreadable", "pixels"),
    }


def _write_duplicates(root: Path, expected: dict[str, tuple[str, str]]) -> None:
    (root / "real/good again.mp4").write_bytes((root / "real/good.mp4").read_bytes())
    write_video(root / "real/twin.mp4", noise_frames(6, seed=8))
    (root / "fake/twin.mp4").write_bytes((root / "real/twin.mp4").read_bytes())
    # 'good again' sorts before 'good.mp4' (a space before a point), so it is the one that stays.
    expected |= {
        "real/good again.mp4": ("ok", ""),
        "real/good.mp4": ("rejected", "same bytes as real/good again.mp4"),
        "real/twin.mp4": ("rejected", "same bytes as fake/twin.mp4, but the labels conflict"),
        "fake/twin.mp4": ("rejected", "same bytes as real/twin.mp4, but the labels conflict"),
    }


def _write_oddities(root: Path, expected: dict[str, tuple[str, str]]) -> None:
    (root / "real/notes.txt").write_text("remember the milk")
    write_video(root / "unsorted/stray.mp4", noise_frames(3, seed=9))
    (root / "real/dangling.mp4").symlink_to(root / "nowhere.mp4")
    (root / "fake/loop").symlink_to(root, target_is_directory=True)
    os.mkfifo(root / "fake/pipe.mp4")
    write_video(root / "real/locked.mp4", noise_frames(3, seed=10)).chmod(0)
    may_read = os.access(root / "real/locked.mp4", os.R_OK)  # the superuser may
    expected |= {
        "real/notes.txt": ("rejected", "not a video or image file (.txt)"),
        "unsorted/stray.mp4": ("rejected", "unsorted/ is neither real/ nor fake/"),
        "real/dangling.mp4": ("unreadable", "a link to a file that is not there"),
        "fake/loop": ("rejected", "a link to a folder that is read elsewhere"),
        "fake/pipe.mp4": ("rejected", "not a regular file"),
        "real/locked.mp4": ("ok", "") if may_read else ("unreadable", "permission denied"),
    }


def _write_labels(root: Path, expected: dict[str, tuple[str, str]]) -> None:
    for i, name in enumerate(("maybe.mp4", "claimed real.mp4")):
        write_video(root / "fake" / name, noise_frames(3, seed=20 + i))
    lines = [
        "file,label",
        "fake/maybe.mp4,maybe",
        "fake/claimed real.mp4,REAL",
        "real/gone.mp4,real",
        "../out.mp4,fake",
    ]
    (root / "labels.csv").write_text("\n".join(lines), encoding="utf-8-sig")
    expected |= {
        "fake/maybe.mp4": ("rejected", "'maybe', neither real nor fake"),
        "fake/claimed real.mp4": ("rejected", "labels.csv line 3 says real; the folder fake/ says fake"),
        "real/gone.mp4": ("unreadable", "listed in labels.csv but not there"),
        "../out.mp4": ("rejected", "points outside the data folder"),
    }


def write_metadata(folder: Path, entries: Mapping[str, object]) -> None:
    """Write Kaggle's ``metadata.json``."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metadata.json").write_text(json.dumps(entries), encoding="utf-8")
