"""Video reading on real files written here: what comes out must carry the index that was written in."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.ingest.video import TruncatedVideo, VideoInfo, content_id, probe, read_frames
from tests.ingest.media import (
    Picture,
    coded_frame,
    cut,
    noise_frames,
    read_code,
    set_display_matrix,
    write_video,
)


def _codes(path: Path, indices: list[int]) -> list[tuple[int, int]]:
    """Index handed out beside index seen in the picture."""
    return [(index, read_code(rgb)) for index, _, rgb in read_frames(path, indices)]


def test_probe_tells_what_was_written(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 30, fps=25)
    info = probe(path)
    assert info == VideoInfo(25.0, 30, 64, 48, info.duration_s, 0)
    assert info.duration_s == pytest.approx(1.2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(indices=st.lists(st.integers(0, 39), max_size=12), n_threads=st.sampled_from([0, 1, 3]))
def test_any_choice_of_frames_is_exact(tmp_path: Path, indices: list[int], n_threads: int) -> None:
    path = tmp_path / "b-frames.mp4"
    if not path.exists():
        write_video(path, 40, options={"bf": "3", "g": "12"})  # reordered frames, several key frames
    got = list(read_frames(path, indices, n_threads=n_threads))
    assert [index for index, _, _ in got] == sorted(set(indices))
    assert [read_code(rgb) for _, _, rgb in got] == sorted(set(indices))
    assert [time for _, time, _ in got] == pytest.approx([index / 25 for index in sorted(set(indices))])


def test_a_choice_equals_the_full_reading_bit_for_bit(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise_frames(20, seed=1))
    full = [rgb for _, _, rgb in read_frames(path, range(20))]
    for index, _, rgb in read_frames(path, [3, 11, 19], n_threads=1):
        assert rgb.dtype == np.uint8
        assert np.array_equal(rgb, full[index])


def test_reading_stops_after_the_last_wanted_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise_frames(40, seed=2), faststart=True, options={"bf": "0", "g": "1"})
    cut(path, 0.6)
    assert len(list(read_frames(path, [0, 5]))) == 2  # no TruncatedVideo: the damage lies behind


def test_no_indices_open_nothing(tmp_path: Path) -> None:
    assert list(read_frames(tmp_path / "absent.mp4", [])) == []


def test_negative_index_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="0 or more, not -1"):
        next(read_frames(write_video(tmp_path / "a.mp4"), [3, -1]))


def test_variable_frame_rate_gives_times_from_the_stream(tmp_path: Path) -> None:
    pts_ms = [0, 40, 80, 500, 540, 2000, 2040]
    path = write_video(tmp_path / "vfr.mkv", 7, pts_ms=pts_ms)
    got = list(read_frames(path, range(7)))
    assert [time for _, time, _ in got] == pytest.approx([ms / 1000 for ms in pts_ms], abs=1e-3)  # mkv ticks: 1 ms
    assert [read_code(rgb) for _, _, rgb in got] == list(range(7))
    assert probe(path).n_frames == 7


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "late.mkv", 3, pts_ms=[5000, 5100, 5200])
    assert [time for _, time, _ in read_frames(path, range(3))] == pytest.approx([0.0, 0.1, 0.2], abs=1e-3)


@pytest.mark.parametrize("suffix", ["mkv", "webm", "avi", "mpg", "mov", "m4v"])
def test_containers_with_and_without_a_frame_count(tmp_path: Path, suffix: str) -> None:
    codec = {"webm": "libvpx-vp9", "avi": "mpeg4", "mpg": "mpeg2video"}.get(suffix, "libx264")
    path = write_video(tmp_path / f"a.{suffix}", 23, codec=codec)
    info = probe(path)
    assert info.n_frames == 23
    assert info.duration_s == pytest.approx(23 / 25, abs=0.045)  # one frame: some containers omit the last one's length
    assert info.fps == pytest.approx(25)
    assert _codes(path, [0, 11, 22]) == [(0, 0), (11, 11), (22, 22)]


def test_hidden_vp8_frames_are_not_counted(tmp_path: Path) -> None:
    """Each fifth packet is repeated with its show_frame bit cleared, as an encoder's reference picture would stand."""
    plain = write_video(tmp_path / "plain.webm", 30, codec="libvpx")
    with av.open(str(plain)) as source, av.open(str(tmp_path / "hidden.webm"), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(video=0) if packet.size]
        for i, packet in enumerate(packets):
            if i % 5 == 4:
                data = bytearray(bytes(packet))
                data[0] &= ~0x10
                hidden = av.Packet(bytes(data))
                hidden.pts = hidden.dts = packet.pts - 1
                hidden.time_base, hidden.stream = packet.time_base, stream
                target.mux(hidden)
            packet.stream = stream
            target.mux(packet)
    assert len(packets) == 30
    assert probe(tmp_path / "hidden.webm").n_frames == 30
    assert [index for index, _, _ in read_frames(tmp_path / "hidden.webm", range(30))] == list(range(30))


# a, b, c, d of the display matrix, and what a viewer does with the stored picture.
TURNS: dict[str, tuple[tuple[int, int, int, int], int, Callable[[Picture], Picture]]] = {
    "upright": ((1, 0, 0, 1), 0, lambda p: p),
    "quarter clockwise": ((0, 1, -1, 0), 90, lambda p: np.rot90(p, -1)),
    "half": ((-1, 0, 0, -1), 180, lambda p: np.rot90(p, 2)),
    "quarter counter-clockwise": ((0, -1, 1, 0), 270, lambda p: np.rot90(p, 1)),
    "mirrored": ((-1, 0, 0, 1), 0, np.fliplr),
    "upside down": ((1, 0, 0, -1), 180, np.flipud),
    "transposed": ((0, 1, 1, 0), 90, lambda p: p.swapaxes(0, 1)),
}


@pytest.mark.parametrize("name", TURNS)
def test_frames_come_upright(tmp_path: Path, name: str) -> None:
    matrix, clockwise_deg, lay = TURNS[name]
    path = write_video(tmp_path / "a.mp4", 4)
    stored = [rgb for _, _, rgb in read_frames(path, range(4))]
    set_display_matrix(path, matrix)
    info = probe(path)
    assert info.rotation_deg == clockwise_deg
    for index, _, rgb in read_frames(path, range(4)):
        assert np.array_equal(rgb, lay(stored[index]))
        assert (info.height_px, info.width_px) == rgb.shape[:2]
        assert rgb.flags["C_CONTIGUOUS"]


def test_rotation_agrees_with_pyav_own_writer(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a display matrix")
        stream.set_display_rotation(-90)  # counter-clockwise
        container.mux(stream.encode(av.VideoFrame.from_ndarray(coded_frame(1), format="rgb24")))
        container.mux(stream.encode())
    assert probe(path).rotation_deg == 90


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "suffix"),
    [
        ("libx264", "yuv444p", "mp4"),
        ("libx264", "yuv420p10le", "mp4"),
        ("libx264", "yuv422p", "mp4"),
        ("mjpeg", "yuvj420p", "avi"),
        ("ffv1", "bgr0", "mkv"),
    ],
)
def test_pixel_formats_give_the_same_colours(tmp_path: Path, codec: str, pix_fmt: str, suffix: str) -> None:
    options = {"crf": "4"} if codec == "libx264" else {"qmax": "2"} if codec == "mjpeg" else {}
    path = write_video(tmp_path / f"a.{suffix}", 3, codec=codec, pix_fmt=pix_fmt, options=options)
    [(_, _, rgb)] = list(read_frames(path, [2]))
    # The flat field below the bars; 8-bit limited-range YUV and back loses up to 2 levels, quantisation up to 3 more.
    assert np.abs(rgb[40, 10].astype(int) - (200, 30, 30)).max() <= 5
    assert np.abs(rgb[40, 54].astype(int) - (30, 30, 200)).max() <= 5


def test_grey_video_and_odd_sizes(tmp_path: Path) -> None:
    grey = write_video(tmp_path / "grey.mkv", 3, codec="ffv1", pix_fmt="gray")
    [(_, _, rgb)] = list(read_frames(grey, [1]))
    assert rgb.shape == (48, 64, 3)
    assert np.ptp(rgb.astype(int), axis=2).max() == 0
    odd = write_video(
        tmp_path / "odd.mp4", [coded_frame(i, width_px=61, height_px=47) for i in range(5)], pix_fmt="yuv444p"
    )
    assert (probe(odd).width_px, probe(odd).height_px) == (61, 47)
    assert _codes(odd, [4]) == [(4, 4)]


def test_one_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "one.mp4", 1)
    info = probe(path)
    assert info.n_frames == 1
    assert info.duration_s == pytest.approx(0.04)
    assert _codes(path, [0]) == [(0, 0)]


def test_an_mp4_cut_short_gives_what_is_left_then_says_so(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", noise_frames(40, seed=3), faststart=True)
    whole = [rgb for _, _, rgb in read_frames(path, range(40))]
    cut(path, 0.5)
    assert probe(path).n_frames == 40  # what was lost still counts
    got: list[int] = []

    def read_all() -> None:
        for index, _, rgb in read_frames(path, range(40)):
            got.append(index)
            assert np.array_equal(rgb, whole[index])

    with pytest.raises(TruncatedVideo) as caught:
        read_all()
    assert 5 < len(got) < 35
    assert caught.value.missing == tuple(sorted(set(range(40)) - set(got)))
    assert caught.value.n_decoded < 40
    assert "damaged or cut short" in str(caught.value)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.n_decoded, again.missing) == (caught.value.n_decoded, caught.value.missing)


def test_an_index_past_the_end_is_missing_not_silent(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 5)
    with pytest.raises(TruncatedVideo) as caught:
        list(read_frames(path, [1, 7]))
    assert (caught.value.n_decoded, caught.value.missing) == (5, (7,))


def test_content_id_is_blake2b_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    # RFC 7693's BLAKE2b with an 8-byte digest, from the b2sum tool: b2sum -l 64 /dev/null
    assert content_id(tmp_path / "a") == "e4a6a0577479b2b4"


def test_shared_dfdc_clips(shared_data: Path) -> None:
    for path in sorted((shared_data / "dfdc_clips").glob("*.mp4"))[:2]:
        info = probe(path)
        assert info.n_frames in (300, 301)
        assert 29 < info.fps < 31
        assert [index for index, _, _ in read_frames(path, [0, 10])] == [0, 10]
