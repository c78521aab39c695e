"""The committed sample set, and a small build of it with the real generator and detector."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from inversion.mobile import MobileGenerator, load_mobile
from pipeline.ingest.detect import Detector, make_detector
from pipeline.ingest.sample.build import README, Plan, build_sample, describe
from pipeline.ingest.sample.camera import FRAME_HEIGHT_PX, FRAME_WIDTH_PX
from pipeline.ingest.sample.cast import CAST
from pipeline.ingest.sample.clips import ClipSettings
from pipeline.ingest.sample.motion import ATTRIBUTES
from pipeline.ingest.sample.render import FaceNotFoundError, draw_code, find_landmarks

SAMPLE_DATA = README.parent
MAX_BYTES = 4 * 2**20


@pytest.fixture(scope="module")
def metadata() -> dict[str, dict[str, str | None]]:
    return json.loads((SAMPLE_DATA / "metadata.json").read_text(encoding="utf-8"))


def test_metadata_and_clips_agree_with_the_cast(metadata: dict[str, dict[str, str | None]]) -> None:
    expected = {}
    for person in CAST:
        for method in ("real", f"swap_{person.blend}", "self_blend"):
            expected[f"{person.name}_{method}.mp4"] = describe(person, method)
    assert metadata == expected
    assert sorted(path.name for path in SAMPLE_DATA.glob("*.mp4")) == sorted(metadata)


def test_labels_methods_and_quality_are_balanced(metadata: dict[str, dict[str, str | None]]) -> None:
    count = Counter((entry["method"], entry["compression"]) for entry in metadata.values())
    assert count == {
        ("real", "c23"): 12, ("real", "c40"): 12,
        ("self_blend", "c23"): 12, ("self_blend", "c40"): 12,
        ("swap_poisson", "c23"): 6, ("swap_poisson", "c40"): 6,
        ("swap_feather", "c23"): 6, ("swap_feather", "c40"): 6,
    }  # fmt: skip
    for entry in metadata.values():
        assert entry["label"] == ("REAL" if entry["method"] == "real" else "FAKE")
        if entry["original"] is not None:
            original = metadata[entry["original"]]
            assert original["label"] == "REAL"
            assert original["identity"] == entry["identity"]
            assert original["compression"] == entry["compression"]


def test_no_face_serves_two_people() -> None:
    seeds = [seed for person in CAST for seed in (person.z_seed, person.donor_z_seed)]
    assert len(set(seeds)) == len(seeds) == 48


def test_every_clip_decodes_whole(metadata: dict[str, dict[str, str | None]]) -> None:
    settings, total = ClipSettings(), 0
    for name in metadata:
        total += (SAMPLE_DATA / name).stat().st_size
        with av.open(str(SAMPLE_DATA / name)) as container:
            stream = container.streams.video[0]
            frames = [(frame.height, frame.width) for frame in container.decode(stream)]
            assert stream.codec_context.name == "h264"
            assert stream.average_rate == settings.fps
        assert frames == [(FRAME_HEIGHT_PX, FRAME_WIDTH_PX)] * settings.n_frames, name
    assert total <= MAX_BYTES


def first_and_last(name: str) -> tuple[np.ndarray, np.ndarray]:
    with av.open(str(SAMPLE_DATA / name)) as container:
        frames = [frame.to_ndarray(format="rgb24").astype(float) for frame in container.decode(video=0)]
    return frames[0], frames[-1]


def test_real_clips_move_and_forgeries_differ_in_the_face(metadata: dict[str, dict[str, str | None]]) -> None:
    for person in CAST[::6]:
        real, last = first_and_last(f"{person.name}_real.mp4")
        assert np.abs(last - real).mean() > 1
        for method in (f"swap_{person.blend}", "self_blend"):
            forged, _ = first_and_last(f"{person.name}_{method}.mp4")
            difference = np.abs(forged - real).mean(-1)
            centre = difference[100:260, 100:284]
            border = np.concatenate([difference[:, :40].ravel(), difference[:, -40:].ravel()])
            # Outside the face only the encoder differs.
            assert centre.mean() > 2 * border.mean(), (person.name, method)


@pytest.fixture(scope="module")
def generator() -> MobileGenerator:
    spec = importlib.util.find_spec("random_face")
    assert spec is not None
    assert spec.submodule_search_locations
    return load_mobile(Path(next(iter(spec.submodule_search_locations))) / "data", device="cpu")


@pytest.fixture(scope="module")
def detector() -> Detector:
    return make_detector("mtcnn")


def tiny_plan(n_people: int = 1) -> Plan:
    directions = 0.02 * np.random.default_rng(0).standard_normal((len(ATTRIBUTES), 512))
    return Plan(cast=CAST[:n_people], clip=ClipSettings(n_frames=2, n_donor_views=1), directions=directions)


@pytest.fixture(scope="module")
def tiny_builds(
    generator: MobileGenerator, detector: Detector, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path]:
    folders = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")
    for folder in folders:
        events = list(build_sample(folder, generator=generator, detector=detector, plan=tiny_plan()))
        assert [event.n_done for event in events] == [1, 2, 3, 4]
        assert events[-1].n_total == 4
    return folders


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_build_is_bit_identical(tiny_builds: tuple[Path, Path]) -> None:
    first, second = tiny_builds
    assert digests(first) == digests(second)
    assert set(digests(first)) == {
        "person00_real.mp4", "person00_swap_poisson.mp4", "person00_self_blend.mp4", "metadata.json", "README.md",
    }  # fmt: skip


def test_build_writes_metadata_last(generator: MobileGenerator, detector: Detector, tmp_path: Path) -> None:
    build = build_sample(tmp_path, generator=generator, detector=detector, plan=tiny_plan())
    next(build)
    build.close()
    assert [path.name for path in tmp_path.iterdir()] == ["person00_real.mp4"]


def test_build_refuses_an_empty_cast(generator: MobileGenerator, detector: Detector, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one person"):
        next(build_sample(tmp_path, generator=generator, detector=detector, plan=Plan(cast=())))


def test_missing_face_is_an_error(detector: Detector) -> None:
    with pytest.raises(FaceNotFoundError, match="person99"):
        find_landmarks(detector, [np.full((200, 200, 3), 127, np.float32)], what="person99")


def test_codes_depend_on_their_seed_alone(generator: MobileGenerator) -> None:
    device = torch.device("cpu")
    first, again, other = (draw_code(generator, seed, truncation=0.75, device=device) for seed in (5, 5, 6))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize(
    "bad", [{"n_frames": 0}, {"fps": 0}, {"n_donor_views": 0}, {"truncation": 0.0}, {"truncation": 1.5}]
)
def test_bad_clip_settings_are_refused(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ClipSettings(**bad)  # type: ignore[arg-type]
