"""Quality figures against closed forms."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
import pytest

from pipeline.ingest.quality import NOSE_DEPTH, blur, face_width_px, yaw_deg
from tests.ingest.face_media import face_crop


def head(turn_deg: float, *, roll_deg: float = 0.0, nose_depth: float = NOSE_DEPTH, size: float = 40.0) -> np.ndarray:
    """Five landmarks of a rigid head (x right, y down, z towards the viewer), turned, tilted and seen from far away."""
    points = np.array([[-1, 0, 0], [1, 0, 0], [0, 1, nose_depth], [-0.7, 2, 0], [0.7, 2, 0]]) * size
    turn, roll = np.radians([turn_deg, roll_deg])
    x = points[:, 0] * np.cos(turn) + points[:, 2] * np.sin(turn)
    y = points[:, 1]
    return np.stack([x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)], axis=1) + np.array(
        [300, 200]
    )


@pytest.mark.parametrize("roll", [-30.0, 0.0, 75.0])
@pytest.mark.parametrize("turn", [-80.0, -30.0, 0.0, 10.0, 45.0])
def test_yaw_of_the_model_head_is_exact(turn: float, roll: float) -> None:
    assert yaw_deg(head(turn, roll_deg=roll)) == pytest.approx(turn, abs=1e-9)


def test_yaw_is_positive_with_the_nose_to_the_viewers_right() -> None:
    landmarks = head(0.0)
    landmarks[2, 0] += 10
    assert yaw_deg(landmarks) > 0


def test_yaw_of_another_head_shape_is_off_as_documented() -> None:
    assert yaw_deg(head(30.0, nose_depth=0.7)) == pytest.approx(24.2, abs=0.1)


def test_yaw_of_a_mirrored_face_is_negated() -> None:
    landmarks = head(17.0, roll_deg=12.0)
    mirrored = (landmarks * [-1, 1] + np.array([640, 0]))[[1, 0, 2, 4, 3]]
    assert yaw_deg(mirrored) == pytest.approx(-yaw_deg(landmarks))


def test_yaw_where_there_is_no_direction() -> None:
    assert np.isnan(yaw_deg(np.zeros((5, 2))))
    assert np.isnan(yaw_deg(np.full((5, 2), np.nan)))
    assert np.isnan(yaw_deg([[0, 0], [0, 0], [0, 1], [0, 2], [0, 2]]))
    assert yaw_deg([[0, 0], [0, 0], [1, 1], [0, 2], [0, 2]]) == pytest.approx(90)  # full profile
    with pytest.raises(ValueError, match=r"\[5, 2\]"):
        yaw_deg(np.zeros((68, 2)))


def test_blur_closed_form() -> None:
    assert blur(np.full((256, 256, 3), 77, np.uint8)) == 0.0
    point = np.zeros((256, 256, 3), np.uint8)
    point[100, 100] = 50  # Laplacian: -200 once, 50 four times; mean 0
    assert blur(point) == pytest.approx((200**2 + 4 * 50**2) / 256**2, rel=1e-6)


def test_blur_falls_with_blurring_and_hardly_depends_on_the_size() -> None:
    face = cv2.resize(face_crop(), (256, 256), interpolation=cv2.INTER_LINEAR)
    figures = [blur(face)] + [blur(cv2.GaussianBlur(face, (0, 0), sigma)) for sigma in (0.7, 1.5, 3.0)]
    assert all(a > 1.5 * b for a, b in pairwise(figures))
    twice = np.repeat(np.repeat(face, 2, axis=0), 2, axis=1)  # area reduction gives the face back exactly
    assert blur(twice) == pytest.approx(blur(face), rel=1e-6)


def test_width_is_of_the_box_as_detected() -> None:
    assert face_width_px([-10.0, 5.0, 52.5, 90.0]) == 62.5
    with pytest.raises(ValueError, match=r"\[4\]"):
        face_width_px([1, 2, 3])
