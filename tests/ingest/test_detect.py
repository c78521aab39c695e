"""The MTCNN detector against facenet-pytorch's own cascade, and what must hold whatever the networks say."""

from __future__ import annotations

import warnings
from pathlib import Path

import cv2
import numpy as np
import pytest
from facenet_pytorch import MTCNN
from skimage.data import astronaut

from pipeline.ingest import detect, mtcnn
from pipeline.ingest.detect import Detection, Detector, make_detector, reduce_short_side
from tests.ingest.face_media import face_crop, noise, scene


@pytest.fixture(scope="module")
def detector() -> Detector:
    return make_detector("mtcnn", short_side_px=360)


@pytest.fixture(scope="module")
def full_size() -> Detector:
    return make_detector("mtcnn", short_side_px=None)


def assert_same(found: list[Detection], expected: list[Detection], atol_px: float) -> None:
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.box_xyxy_px, b.box_xyxy_px, atol=atol_px)
        np.testing.assert_allclose(a.landmarks_px, b.landmarks_px, atol=atol_px)
        assert a.score == pytest.approx(b.score, abs=1e-4)


def test_boxes_and_scores_agree_with_the_package(full_size: Detector) -> None:
    # Both run the same networks, so away from the frame's edge only float rounding differs. The package counts a
    # box's first pixel from 1 and puts landmarks up to a pixel too far right and down (module docstring), hence 1 px
    # for them.
    frame = scene((20, 60), (350, 40))
    boxes, scores, points = MTCNN(keep_all=True).detect(frame, landmarks=True)
    found = full_size.detect([frame])[0]
    order = np.argsort([-s for s in scores])
    found = sorted(found, key=lambda d: -d.score)
    assert len(found) == len(boxes) == 2
    for detection, i in zip(found, order, strict=True):
        np.testing.assert_allclose(detection.box_xyxy_px, np.float64(boxes[i]) - [1, 1, 0, 0], atol=0.01)
        np.testing.assert_allclose(detection.landmarks_px, np.float64(points[i]), atol=1.0)
        assert detection.score == pytest.approx(scores[i], abs=1e-5)


def test_landmarks_are_named_from_the_viewers_left(full_size: Detector) -> None:
    (face,) = full_size.detect([astronaut()])[0]
    eye_left, eye_right, nose, mouth_left, mouth_right = face.landmarks_px
    assert eye_left[0] < nose[0] < eye_right[0]
    assert mouth_left[0] < mouth_right[0]
    assert max(eye_left[1], eye_right[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    # read off the picture by hand, to a few pixels
    by_hand = [[205, 101], [246, 104], [224, 128], [202, 139], [245, 142]]
    np.testing.assert_allclose(face.landmarks_px, by_hand, atol=4.0)
    assert (face.landmarks_px > face.box_xyxy_px[:2]).all()
    assert (face.landmarks_px < face.box_xyxy_px[2:]).all()


def test_a_mirrored_frame_gives_mirrored_landmarks(full_size: Detector) -> None:
    # x + x' = width holds for continuous coordinates only (width - 1 for pixel indices). The networks are not
    # symmetric: single points differ by about 1 px, the mean over points and eight positions is steady to 0.4.
    sums = []
    for shift in range(8):
        frame = scene((150 + shift, 60 + shift), height=360, width=520)
        (face,), (mirrored,) = full_size.detect([frame, np.ascontiguousarray(frame[:, ::-1])])
        swapped = mirrored.landmarks_px[[1, 0, 2, 4, 3]]
        np.testing.assert_allclose(face.landmarks_px[:, 1], swapped[:, 1], atol=3.0)
        sums.append(face.landmarks_px[:, 0] + swapped[:, 0] - frame.shape[1])
    assert abs(np.mean(sums)) / 2 < 0.4


def test_a_frame_does_not_depend_on_its_batch(detector: Detector) -> None:
    frames = [
        scene((-70, -40)),
        scene((20, 60), (350, 40)),
        noise(0),
        np.zeros((360, 640, 3), np.uint8),
        scene((440, 170)),
    ]
    together = detector.detect(frames)
    assert [len(found) for found in together][2:4] == [0, 0]
    assert sum(map(len, together)) >= 3
    for frame, found in zip(frames, together, strict=True):
        # convolutions of another batch size may round in another order: 1e-6 relative, far below 0.01 px
        assert_same(found, detector.detect([frame])[0], atol_px=0.01)
    one_by_one = make_detector("mtcnn", short_side_px=360, batch_size=1)
    for found, alone in zip(together, one_by_one.detect(frames), strict=True):
        assert_same(found, alone, atol_px=0.01)


def test_sizes_may_differ_and_order_is_kept(detector: Detector) -> None:
    frames = [face_crop(), noise(1, 100, 100), scene((200, 60)), np.ascontiguousarray(face_crop()[:, 10:])]
    found = detector.detect(frames)
    assert [len(f) for f in found] == [1, 0, 1, 1]
    shift = found[2][0].landmarks_px - found[0][0].landmarks_px
    np.testing.assert_allclose(shift, np.tile([200, 60], (5, 1)), atol=2.0)  # the same face, other candidates around it


def test_results_are_in_pixels_of_the_frame_given(detector: Detector) -> None:
    small = scene((200, 60))
    large = cv2.resize(small, (1921, 1083), interpolation=cv2.INTER_LINEAR)  # sizes that do not divide
    (a,), (b,) = detector.detect([small, large])
    scale = np.array([1921 / 640, 1083 / 360])
    width = a.box_xyxy_px[2] - a.box_xyxy_px[0]
    assert np.abs(b.landmarks_px / scale - a.landmarks_px).max() < 0.02 * width  # interpolation blurs a little
    assert np.abs(b.box_xyxy_px / np.tile(scale, 2) - a.box_xyxy_px).max() < 0.05 * width


def test_frames_are_reduced_never_enlarged() -> None:
    frame = noise(0, 90, 50)
    assert reduce_short_side(frame, 360) is frame
    assert reduce_short_side(frame, None) is frame
    assert reduce_short_side(frame, 25).shape == (45, 25, 3)
    block = np.repeat(np.repeat(noise(1, 10, 10), 4, axis=0), 4, axis=1)
    np.testing.assert_array_equal(reduce_short_side(block, 10), noise(1, 10, 10))  # mean of equal pixels
    assert reduce_short_side(noise(0, 1000, 2), 1).shape == (500, 1, 3)


@pytest.mark.parametrize("cut_share", [0.0, 0.15])
def test_landmarks_hold_at_the_edge_of_the_frame(full_size: Detector, cut_share: float) -> None:
    # facenet-pytorch's own cascade is out by 8 to 16 % of the face's width here (measured on 58 FFHQ faces)
    frame = scene((200, 60))
    (whole,) = full_size.detect([frame])[0]
    width = whole.box_xyxy_px[2] - whole.box_xyxy_px[0]
    start = int(whole.box_xyxy_px[0] + cut_share * width)
    (cut,) = full_size.detect([np.ascontiguousarray(frame[:, start:])])[0]
    error = np.linalg.norm(cut.landmarks_px - whole.landmarks_px + np.array([start, 0]), axis=1).mean()
    assert error < 0.06 * width


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (300, 5), (19, 19), (20, 20), (12, 2000)])
def test_frames_too_small_for_a_face_have_none(detector: Detector, size: tuple[int, int]) -> None:
    assert detector.detect([noise(3, *size)]) == [[]]


def test_no_frames_no_results(detector: Detector) -> None:
    assert detector.detect([]) == []


def test_no_warning_is_raised() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fresh = make_detector("mtcnn")
        fresh.detect([scene((20, 60), (350, 40)), scene((20, 60)), noise(0)])  # two, one, none: ragged


def test_min_score_leaves_faces_out() -> None:
    assert make_detector("mtcnn", min_score=1.0).detect([face_crop()]) == [[]]


def test_min_face_px_is_of_the_reduced_frame() -> None:
    frame = scene((200, 60))  # face 85 px wide, 42 px at a short side of 180
    assert len(make_detector("mtcnn", short_side_px=180, min_face_px=20).detect([frame])[0]) == 1
    assert make_detector("mtcnn", short_side_px=180, min_face_px=110).detect([frame]) == [[]]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_score": 1.5}, "min_score"),
        ({"min_face_px": 5}, "at least 12"),
        ({"batch_size": 0}, "batch_size"),
        ({"short_side_px": 16}, "below min_face_px"),
    ],
)
def test_settings_out_of_range(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_detector("mtcnn", **options)


@pytest.mark.parametrize(
    "frame",
    [
        np.zeros((40, 40), np.uint8),
        np.zeros((40, 40, 4), np.uint8),
        np.zeros((40, 40, 3), np.float32),
        np.zeros((0, 40, 3), np.uint8),
        [[1]],
    ],
)
def test_not_a_frame(detector: Detector, frame: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected"):
        detector.detect([frame])


def test_an_unknown_detector_names_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"unknown face detector 'yolo'.*mtcnn"):
        make_detector("yolo")


def test_another_detector_can_be_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    class Centre:
        detector_id = "centre"
        batch_size = 4

        def __init__(self, **_: object) -> None: ...

        def detect(self, frames: list[np.ndarray]) -> list[list[Detection]]:
            return [[] for _ in frames]

    monkeypatch.setitem(detect.DETECTORS, "centre", Centre)
    assert make_detector("centre").detect([face_crop()]) == [[]]


def test_an_altered_or_missing_weight_file_is_fatal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in mtcnn.WEIGHT_SHA256}
    monkeypatch.setattr(mtcnn, "weight_files", lambda: files)
    with pytest.raises(mtcnn.MissingDetectorWeightsError, match="missing"):
        make_detector("mtcnn")
    for file in files.values():
        file.write_bytes(b"not weights")
    with pytest.raises(mtcnn.MissingDetectorWeightsError, match="SHA-256"):
        make_detector("mtcnn")


def test_settings_that_change_results_change_the_id() -> None:
    ids = {
        make_detector("mtcnn", **options).detector_id
        for options in ({}, {"short_side_px": None}, {"min_score": 0.8}, {"min_face_px": 24}, {"batch_size": 3})
    }
    assert len(ids) == 4  # the batch size changes nothing
