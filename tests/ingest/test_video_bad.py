"""Files that are no video, or a broken one: one clause that says why, and nothing else is opened."""

from __future__ import annotations

import socket
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from pipeline.ingest.video import TruncatedVideo, UnreadableVideo, probe, read_frames
from tests.ingest.media import (
    coded_frame,
    cut,
    noise_frames,
    read_code,
    write_frameless,
    write_png_header,
    write_sound,
    write_video,
)


def _codes(path: Path, indices: list[int]) -> list[tuple[int, int]]:
    """Index handed out beside index seen in the picture."""
    return [(index, read_code(rgb)) for index, _, rgb in read_frames(path, indices)]


def _text(path: Path) -> Path:
    path.write_text("just text\n" * 200)
    return path


def _empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def _cover_art(path: Path) -> Path:
    """Sound with a picture of its sleeve: not a video."""
    with av.open(str(path), "w", format="mp4") as container:
        sound = container.add_stream("aac", rate=16_000)
        sleeve = container.add_stream("mjpeg", rate=1)
        sleeve.width, sleeve.height, sleeve.pix_fmt = 64, 48, "yuvj420p"
        sleeve.disposition = av.stream.Disposition.attached_pic
        block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        block.sample_rate = 16_000
        container.mux(
            sleeve.encode(av.VideoFrame.from_ndarray(coded_frame(1), format="rgb24").reformat(format="yuvj420p"))
        )
        container.mux(sleeve.encode())
        container.mux(sound.encode(block))
        container.mux(sound.encode())
    return path


BROKEN = {
    "text.mp4": (_text, "not a video file"),
    "empty.mp4": (_empty, "the file is empty"),
    "sound.mp4": (write_sound, "no video stream, only audio"),
    "frameless.avi": (write_frameless, "holds no frame"),
    "no index.mp4": (lambda p: cut(write_video(p, 20), 0.5), "damaged or cut short: the index"),
    "wide.mkv": (
        lambda p: write_video(p, [np.zeros((2, 16_400, 3), np.uint8)], codec="ffv1", pix_fmt="bgr0"),
        "16400 x 2 px is larger than 16384 px",
    ),
    "sleeve.m4v": (_cover_art, "no video stream"),
    "absent.mp4": (lambda p: p, "cannot be read: no such file"),
    "text.png": (_text, "not an image file"),
    "empty.png": (_empty, "the file is empty"),
    "huge.png": (lambda p: write_png_header(p, 20_000, 1), "larger than 16384 px"),
    "bomb.png": (lambda p: write_png_header(p, 16_000, 12_000), "pixels"),
    "torn.png": (lambda p: write_png_header(p, 500, 500), "damaged or cut short"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_unreadable_files_say_why_in_one_clause(tmp_path: Path, name: str) -> None:
    make, reason = BROKEN[name]
    path = make(tmp_path / name)
    for read in (lambda: probe(path), lambda: list(read_frames(path, [0]))):
        with pytest.raises(UnreadableVideo) as caught:
            read()
        text = str(caught.value)
        assert reason in text or (name == "frameless.avi" and "no frame" in text)
        assert "\n" not in text
        assert str(tmp_path) not in text


def test_a_playlist_in_disguise_opens_no_other_file(tmp_path: Path) -> None:
    write_video(tmp_path / "secret.mp4", 5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/x.mp4"
        for text in (
            "ffconcat version 1.0\nfile secret.mp4\n",
            f"#EXTM3U\n#EXTINF:10,\n{address}\n",
            f"file {address}\n",
        ):
            path = tmp_path / "innocent.mp4"
            path.write_text(text)
            with pytest.raises(UnreadableVideo, match="not a video file"):
                probe(path)
        with pytest.raises(BlockingIOError):  # nobody called
            server.accept()


@pytest.mark.parametrize(
    "name", ["Zürich – 影片 (1).mp4", "concat:a.mp4", "100%d.mp4", " leading space.mp4", "a\nb.mp4"]
)
def test_any_file_name_works(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "made.mp4").write_bytes(write_video(tmp_path / "x.mp4", 3).read_bytes())
    (tmp_path / "made.mp4").rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, Path(name)):
        assert probe(path).n_frames == 3
        assert _codes(path, [2]) == [(2, 2)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "webm", "jpg", "png", "webp", "bmp"])
def test_damaged_bytes_never_raise_anything_else(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix in ("mp4", "mkv", "avi", "webm"):
        write_video(path, 8, codec={"avi": "mpeg4", "webm": "libvpx-vp9"}.get(suffix, "libx264"), options={"g": "4"})
    else:
        Image.fromarray(noise_frames(1, seed=4)[0]).save(path)
    sound, rng, outcomes = path.read_bytes(), np.random.default_rng(5), set()
    for _ in range(60):
        damaged = bytearray(sound)
        for at in rng.integers(0, len(damaged), rng.integers(1, 12)):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged)
        try:
            info = probe(path)
            assert info.n_frames <= len(damaged) // 8 + 8  # no header talks the caller into millions of rows
            list(read_frames(path, range(0, min(info.n_frames, 20), 3)))
            outcomes.add("read")
        except (UnreadableVideo, TruncatedVideo) as error:
            outcomes.add(type(error).__name__)
    assert "UnreadableVideo" in outcomes
