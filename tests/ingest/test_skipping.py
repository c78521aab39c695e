"""Leaving out what wanted frames do not need: the same pixels, fewer frames decoded, faults left to full decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.ingest import skipping
from pipeline.ingest.streams import decode, open_video, packets
from pipeline.ingest.video import TruncatedVideo, read_frames
from tests.ingest.media import Picture, write_video

N = 48


def _moving(n: int = N) -> list[Picture]:
    """Noise that drifts: each picture is predicted from its neighbours, with something left over."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 256, (48, 64 + 2 * n, 3), dtype=np.uint8)
    return [
        np.clip(wide[:, 2 * i : 2 * i + 64] + rng.integers(0, 9, (48, 64, 3)), 0, 255).astype("u1") for i in range(n)
    ]


def _in_full(path: Path) -> list[Picture]:
    with open_video(path) as (container, stream):
        return [frame.to_ndarray(format="rgb24") for frame in decode(container, stream)]


KINDS = {
    "closed": ("a.mp4", "libx264", {"g": "12", "bf": "3", "b-pyramid": "normal"}),
    "open": ("a.mp4", "libx264", {"x264-params": "keyint=12:min-keyint=4:open-gop=1:bframes=3:scenecut=0"}),
    "refresh": ("a.mp4", "libx264", {"x264-params": "keyint=12:intra-refresh=1:bframes=2"}),
    "no B": ("a.mkv", "libx264", {"g": "12", "bf": "0"}),
    "one group": ("a.mov", "libx264", {"g": "250", "bf": "3"}),
    "hevc": ("a.mp4", "libx265", {"x265-params": "keyint=12:bframes=3:open-gop=1:log-level=none"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_pixels_are_those_of_full_decoding(tmp_path: Path, kind: str) -> None:
    name, codec, options = KINDS[kind]
    path = write_video(tmp_path / name, _moving(), codec=codec, options=options)
    whole = _in_full(path)
    assert len(whole) == N
    rng = np.random.default_rng(1)
    for wanted in (
        [0],
        [N - 1],
        list(range(N)),
        *(sorted(rng.choice(N, 4, replace=False).tolist()) for _ in range(12)),
    ):
        got = list(read_frames(path, wanted))
        assert [index for index, _, _ in got] == wanted
        assert [time_s for _, time_s, _ in got] == pytest.approx([i / 25 for i in wanted], abs=2e-3)
        for index, _, rgb in got:
            assert np.array_equal(rgb, whole[index]), (wanted, index)


def test_what_is_not_needed_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", _moving(), options={"g": "12", "bf": "3", "sc_threshold": "0"})
    shown: list[int | None] = []
    inner = skipping._decoded

    def spy(*args: object) -> object:
        for frame in inner(*args):  # type: ignore[arg-type]
            shown.append(frame.pts)
            yield frame

    monkeypatch.setattr(skipping, "_decoded", spy)
    assert [i for i, _, _ in skipping.wanted_frames(path, {2, 45})] == [2, 45]
    assert len(shown) < 20  # of 48: two of four groups, and of these only what others refer to


@pytest.mark.parametrize(("name", "codec"), [("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9"), ("a.avi", "libx264")])
def test_other_streams_are_left_to_full_decoding(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, 12, codec=codec)
    assert list(skipping.wanted_frames(path, {3})) == []
    assert [index for index, _, _ in read_frames(path, [3])] == [3]


@pytest.mark.parametrize("position", [24, 25])  # a key frame and one that refers to it
def test_a_fault_hands_over_to_full_decoding(tmp_path: Path, position: int) -> None:
    path = write_video(tmp_path / "a.mp4", _moving(), options={"g": "12", "bf": "0", "sc_threshold": "0"})
    sound = _in_full(path)
    with open_video(path) as (container, stream):
        at = [packet.pos for packet in packets(container, stream)][position]
    data = bytearray(path.read_bytes())
    data[at : at + 4] = b"\xff\xff\xff\xff"  # a length that no packet has room for
    path.write_bytes(bytes(data))
    wanted = [1, 20, 26, 47]
    assert [index for index, _, _ in skipping.wanted_frames(path, wanted)] == [1, 20]
    got: dict[int, Picture] = {}
    frames = ((index, rgb) for index, _, rgb in read_frames(path, wanted))
    with pytest.raises(TruncatedVideo):  # what is lost moves all that follow, so there is no 47th
        got.update(frames)
    assert list(got) == [1, 20, 26]
    assert np.array_equal(got[1], sound[1])
    assert np.array_equal(got[20], sound[20])


def test_an_index_behind_the_end_is_for_full_decoding(tmp_path: Path) -> None:
    assert list(skipping.wanted_frames(write_video(tmp_path / "a.mp4", 8), {3, 8})) == []
