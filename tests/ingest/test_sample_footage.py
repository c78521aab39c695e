"""Motion, camera and encoding of the sample set."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.ingest.sample.camera import (
    FRAME_HEIGHT_PX,
    FRAME_WIDTH_PX,
    add_sensor_noise,
    add_surroundings,
    camera_path,
    film,
)
from pipeline.ingest.sample.encode import encode_h264
from pipeline.ingest.sample.motion import (
    ATTRIBUTES,
    GENTLE,
    code_offsets,
    find_directions,
    measure_attributes,
    smooth_curve,
)

LANDMARKS = np.array([[70.0, 60.0], [130.0, 60.0], [100.0, 90.0], [78.0, 120.0], [122.0, 120.0]])


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_directions_are_recovered_from_a_linear_model() -> None:
    """Codes made as attributes times known directions plus noise give the directions back."""
    random = rng()
    truth = random.standard_normal((len(ATTRIBUTES), 32))
    attributes = random.standard_normal((400, len(ATTRIBUTES))) * [1, 2, 3, 4, 5, 6] + 7
    standardised = (attributes - attributes.mean(0)) / attributes.std(0)
    codes = 0.5 + standardised @ truth + 0.1 * random.standard_normal((400, 32))
    # The standard error of a coefficient is 0.1 / sqrt(400) = 0.005; five of them.
    np.testing.assert_allclose(find_directions(codes, attributes), truth, atol=0.025)


def test_directions_need_enough_and_varying_faces() -> None:
    random = rng()
    with pytest.raises(ValueError, match="at least 60"):
        find_directions(random.standard_normal((59, 8)), random.standard_normal((59, 6)))
    with pytest.raises(ValueError, match="as many codes"):
        find_directions(random.standard_normal((80, 8)), random.standard_normal((79, 6)))
    constant = random.standard_normal((80, 6))
    constant[:, 3] = 1
    with pytest.raises(ValueError, match="attribute 3"):
        find_directions(random.standard_normal((80, 8)), constant)


def test_attributes_follow_what_they_measure() -> None:
    face = np.full((200, 200, 3), 120, np.uint8)
    still = dict(zip(ATTRIBUTES, measure_attributes(face, LANDMARKS), strict=True))
    assert still["yaw"] == pytest.approx(0)
    assert still["pitch"] == pytest.approx(0.5)
    assert still["mouth_contrast"] == 0
    assert still["light_side"] == pytest.approx(0)
    assert still["brightness"] == pytest.approx(120)
    turned = LANDMARKS.copy()
    turned[2, 0] += 10
    face[:, :100] = 160
    face[115:125, 85:115] = 250
    moved = dict(zip(ATTRIBUTES, measure_attributes(face, turned), strict=True))
    assert moved["yaw"] > 0.1
    assert moved["mouth_contrast"] > 10
    assert moved["light_side"] == pytest.approx(40 / 280)


def test_attributes_at_the_edge_of_the_image_are_finite() -> None:
    assert np.isfinite(measure_attributes(np.zeros((140, 140, 3), np.uint8), LANDMARKS)).all()


def test_smooth_curve_is_bounded_and_smooth() -> None:
    for seed in range(20):
        curve = smooth_curve(200, fps=12, rng=rng(seed), fastest_hz=1.6)
        assert np.abs(curve).max() <= 1
        # A sine of frequency f and amplitude 1 moves at most 2 pi f per second.
        assert np.abs(np.diff(curve)).max() <= 2 * np.pi * 1.6 / 12
    np.testing.assert_array_equal(
        smooth_curve(9, fps=12, rng=rng(3), fastest_hz=1), smooth_curve(9, fps=12, rng=rng(3), fastest_hz=1)
    )


def test_offsets_move_only_the_channels_of_their_attribute() -> None:
    directions = np.zeros((len(ATTRIBUTES), 512))
    directions[ATTRIBUTES.index("yaw")] = 1
    offsets = code_offsets(directions, 12, fps=12, n_channels=16, settings=GENTLE, rng=rng())
    assert offsets.shape == (12, 16, 512)
    assert offsets.dtype == np.float32
    assert np.abs(offsets[:, :4]).max() > 0
    assert np.abs(offsets[:, 4:]).max() == 0
    assert np.abs(offsets).max() <= GENTLE.amplitude["yaw"]


def test_surroundings_keep_the_square_and_fill_the_rest() -> None:
    square = rng().uniform(0, 255, (100, 100, 3)).astype(np.float32)
    canvas = add_surroundings(square)
    assert canvas.shape == (170, 170, 3)
    np.testing.assert_allclose(canvas[35 + 6 : 135 - 6, 35 + 6 : 135 - 6], square[6:-6, 6:-6], atol=1e-4)
    assert canvas[:30].std() < 0.3 * square.std()  # blurred
    with pytest.raises(ValueError, match="square"):
        add_surroundings(np.zeros((10, 12, 3), np.float32))


def test_camera_never_shows_beyond_the_surroundings() -> None:
    corners = np.array(
        [[0, 0], [FRAME_WIDTH_PX - 1, 0], [0, FRAME_HEIGHT_PX - 1], [FRAME_WIDTH_PX - 1, FRAME_HEIGHT_PX - 1]]
    )
    for seed in range(50):
        camera = camera_path(24, fps=12, canvas_square_px=320, rng=rng(seed))
        for matrix in camera.matrices:
            canvas_points = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T
            assert canvas_points.min() >= 0
            assert canvas_points.max() <= 320 + 2 * 112 - 1
        assert np.abs(np.diff(camera.matrices, axis=0)).max() < 3  # pixels per frame: no jumps


def test_noise_has_the_stated_strength_and_belongs_to_the_footage() -> None:
    camera = camera_path(2, fps=12, canvas_square_px=320, rng=rng())
    grey = np.full((FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 3), 127.5, np.float32)
    noisy = add_sensor_noise(grey, camera, 0)
    # Rounding adds 1/12 to the variance; 368,640 samples leave a relative error below 0.5 %.
    assert noisy.std() == pytest.approx(np.sqrt(camera.noise_std**2 + 1 / 12), rel=0.01)
    np.testing.assert_array_equal(noisy, add_sensor_noise(grey, camera, 0))
    assert (noisy != add_sensor_noise(grey, camera, 1)).any()
    forged = grey.copy()
    forged[100:200, 100:200] += 20
    outside = np.ones(grey.shape[:2], bool)
    outside[100:200, 100:200] = False
    np.testing.assert_array_equal(add_sensor_noise(forged, camera, 0)[outside], noisy[outside])


def test_film_has_the_frame_size_and_range() -> None:
    camera = camera_path(3, fps=12, canvas_square_px=320, rng=rng())
    frame = film(rng().uniform(0, 255, (320, 320, 3)).astype(np.float32), camera, 2)
    assert frame.shape == (FRAME_HEIGHT_PX, FRAME_WIDTH_PX, 3)
    assert frame.min() >= 0
    assert frame.max() <= 255


def clip_frames(n_frames: int = 6) -> list[np.ndarray]:
    grid_y, grid_x = np.mgrid[:96, :128]
    return [
        np.stack([(grid_x + 3 * i) % 256, (grid_y * 2) % 256, np.full_like(grid_x, 90)], axis=-1).astype(np.uint8)
        for i in range(n_frames)
    ]


def test_encoded_clip_reads_back(tmp_path: Path) -> None:
    frames = clip_frames()
    encode_h264(tmp_path / "clip.mp4", frames, fps=12, crf=10)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.average_rate == 12
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == len(frames)
    for got, want in zip(decoded, frames, strict=True):
        # Chroma is halved in yuv420p and crf 10 is not lossless: a few levels on average.
        assert np.abs(got.astype(int) - want).mean() < 4
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_encoding_is_bit_identical_and_smaller_at_c40(tmp_path: Path) -> None:
    frames = [add_noise(frame, i) for i, frame in enumerate(clip_frames())]
    for name, crf in (("a", 23), ("b", 23), ("c", 40)):
        encode_h264(tmp_path / name, frames, fps=12, crf=crf)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "c").stat().st_size < 0.6 * (tmp_path / "a").stat().st_size


def add_noise(frame: np.ndarray, seed: int) -> np.ndarray:
    return np.clip(frame + rng(seed).normal(0, 6, frame.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], "at least one frame"),
        ([np.zeros((95, 128, 3), np.uint8)], "even frame size"),
        ([np.zeros((96, 128, 3), np.uint8), np.zeros((96, 126, 3), np.uint8)], "uint8 frames of shape"),
        ([np.zeros((96, 128, 3), np.float32)], "uint8 frames of shape"),
    ],
)
def test_encoding_refuses_bad_frames_and_leaves_nothing(tmp_path: Path, frames: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        encode_h264(tmp_path / "clip.mp4", frames, fps=12, crf=23)
    assert list(tmp_path.iterdir()) == []
