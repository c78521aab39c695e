"""Annotated clips with their times and sound, folders that are whole or not there, nearest training faces."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.errors import UserError
from pipeline.ingest.video import probe, read_frames
from pipeline.predict import store
from pipeline.predict.annotate import annotate
from pipeline.predict.neighbours import training
from tests.ingest.media import set_display_matrix, write_video


def with_sound(path: Path, *, codec: str = "aac", n_frames: int = 24) -> Path:
    """A second of pictures with a tone of a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        picture = container.add_stream("mpeg4", rate=24)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream(codec, rate=16_000, layout="mono")
        for i in range(n_frames):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 + i, np.uint8), format="rgb24")
            container.mux(picture.encode(frame))
        kind = sound.codec_context.format.name
        for i in range(16):
            tone = np.sin(2 * np.pi * 440 * (np.arange(1000) + 1000 * i) / 16_000)[None]
            data = (tone * 20_000).astype(np.int16) if kind == "s16" else tone.astype(np.float32)
            block = av.AudioFrame.from_ndarray(data, format=kind, layout="mono")
            block.sample_rate, block.pts = 16_000, 1000 * i
            container.mux(sound.encode(block))
        for stream in (picture, sound):
            container.mux(stream.encode(None))
    return path


def sound_of(path: Path) -> tuple[str, float, float]:
    """Codec, seconds, and loudness of the sound."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        parts = [frame.to_ndarray().astype(np.float64).ravel() for frame in container.decode(stream)]
        samples = np.concatenate(parts)
        return stream.codec_context.name, len(samples) / stream.rate, float(np.sqrt(np.mean(samples**2)))


@pytest.mark.parametrize(
    ("name", "codec", "state"), [("a.mp4", "aac", "copied"), ("a.avi", "pcm_s16le", "encoded as AAC")]
)
def test_sound_is_kept(tmp_path: Path, name: str, codec: str, state: str) -> None:
    source = with_sound(tmp_path / name, codec=codec)
    written = annotate(source, tmp_path / "out.mp4", draw=lambda index, rgb: None)
    assert (written.n_frames, written.sound) == (24, state)
    found, seconds, loudness = sound_of(tmp_path / "out.mp4")
    assert found == "aac"
    assert seconds == pytest.approx(1.0, abs=0.15)  # AAC comes in blocks of 64 ms with one more at the start
    assert loudness == pytest.approx(np.sqrt(0.5), rel=0.2) or codec == "pcm_s16le"
    assert loudness > 0.3


def test_frames_keep_number_times_and_order_and_are_drawn_on(tmp_path: Path) -> None:
    times = [0, 40, 90, 200, 210, 400]
    source = write_video(tmp_path / "a.mp4", 6, pts_ms=times)

    def draw(index: int, rgb: np.ndarray) -> None:
        rgb[:] = 30 * index

    written = annotate(source, tmp_path / "out.mp4", draw=draw, keep=frozenset({2}))
    assert written.n_frames == 6
    assert (written.kept[2] == 60).all()
    found = list(read_frames(tmp_path / "out.mp4", range(6)))
    assert [round(1000 * time) for _, time, _ in found] == times
    assert [round(float(rgb.mean()) / 30) for _, _, rgb in found] == list(range(6))


def test_a_turned_clip_with_an_odd_side_is_written_upright(tmp_path: Path) -> None:
    odd = [np.full((46, 61, 3), 90, np.uint8)] * 4
    source = set_display_matrix(write_video(tmp_path / "a.mp4", odd, pix_fmt="yuv444p"), (0, 1, -1, 0))
    annotate(source, tmp_path / "out.mp4", draw=lambda index, rgb: None)
    info = probe(tmp_path / "out.mp4")
    assert (info.width_px, info.height_px, info.rotation_deg) == (46, 60, 0)


def finished(folder: Path, clip: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "result.json").write_text(json.dumps({"clip": {"path": str(clip.absolute())}}))


def test_clips_of_one_name_get_folders_of_their_own(tmp_path: Path) -> None:
    taken: set[str] = set()
    first, second = (store.place(tmp_path / "out", tmp_path / side / "x.mp4", taken) for side in "ab")
    assert first.name == "x"
    assert second.name.startswith("x-")
    finished(tmp_path / "out" / "x", tmp_path / "a" / "x.mp4")
    assert store.place(tmp_path / "out", tmp_path / "a" / "x.mp4", set()).name == "x"
    assert store.place(tmp_path / "out", tmp_path / "b" / "x.mp4", set()) == second


def test_folders_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "notes.txt").write_text("mine")
    found = store.place(tmp_path, tmp_path / "x.mp4", set())
    assert found.name.startswith("x-")
    found.mkdir()
    (found / "notes.txt").write_text("mine too")
    with pytest.raises(UserError, match="not written by lf predict"):
        store.place(tmp_path, tmp_path / "x.mp4", set())


@pytest.mark.parametrize(
    ("clip", "name"), [("..mp4", "clip"), ("a b.mp4", "a b"), ("x:y*.mp4", "x_y_"), ("影片.mp4", "影片")]
)
def test_names_are_safe(clip: str, name: str) -> None:
    assert store.folder_name(Path(clip)) == name


def test_a_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    with store.fresh_folder(tmp_path / "x") as fresh:
        (fresh / "a").write_text("1")

    def fail() -> None:
        with store.fresh_folder(tmp_path / "x") as fresh:
            (fresh / "a").write_text("2")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert (tmp_path / "x" / "a").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_nearest_faces_are_those_of_the_plain_formula(metric: str) -> None:
    rng = np.random.default_rng(0)
    vectors, queries = (rng.normal(3.0, 1.0, (n, 20)).astype(np.float32) for n in (50, 4))
    known = training(vectors, np.arange(50).astype(object), metric=metric, seed=0)  # type: ignore[arg-type]
    rows, distances = known.nearest(queries, k=3)
    mean = vectors.mean(axis=0)
    for q, (row, distance) in enumerate(zip(rows, distances, strict=True)):
        if metric == "euclidean":
            plain = np.linalg.norm(vectors - queries[q], axis=1)
        else:
            a, b = vectors - mean, queries[q] - mean
            plain = 1 - a @ b / (np.linalg.norm(a, axis=1) * np.linalg.norm(b))
        assert row.tolist() == np.argsort(plain)[:3].tolist()
        np.testing.assert_allclose(distance, np.sort(plain)[:3], rtol=1e-3)


def test_no_part_of_a_fused_space_outweighs_the_others() -> None:
    rng = np.random.default_rng(2)
    vectors = np.concatenate([rng.normal(size=(60, 4)), 1000 * rng.normal(size=(60, 4))], axis=1).astype(np.float32)
    vectors[0], vectors[1] = 0, 0
    vectors[0, 4] = 300  # a third of a deviation off in the part of large numbers
    vectors[1, 0] = 3  # three deviations off in the other one
    query, groups = np.zeros((1, 8), np.float32), np.arange(60).astype(object)
    fused = training(vectors, groups, metric="euclidean", seed=0, blocks=(4, 4))
    plain = training(vectors, groups, metric="euclidean", seed=0)
    assert [known.nearest(query, k=1)[0][0, 0] for known in (fused, plain)] == [0, 1]


def test_how_far_is_far_leaves_out_footage_of_the_same_group() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(size=(40, 10)).astype(np.float32)
    twins = np.concatenate([base, base + 1e-3]).astype(np.float32)  # each face has a near twin
    groups = np.array(list(itertools.chain(range(40), range(40))), dtype=object)
    apart = training(twins, groups, metric="euclidean", seed=0)
    together = training(twins, np.arange(80).astype(object), metric="euclidean", seed=0)
    assert together.far < 0.01 < 1 < apart.far
    assert training(twins, np.zeros(80, dtype=object), metric="euclidean", seed=0).far == np.inf
