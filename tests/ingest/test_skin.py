"""The typology angle on colours of known CIELAB, and where cheeks are."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import lab2rgb

from pipeline.attributes import skin_tones
from pipeline.ingest.align import align_ffhq
from pipeline.ingest.skin import brightness, cheeks, crop_landmarks, measure_skin, to_lab

# Eyes, nose and mouth corners of an upright face in a 256 px crop.
FRONTAL = np.array([[96.0, 120.0], [160.0, 120.0], [128.0, 155.0], [104.0, 190.0], [152.0, 190.0]])


def plain(light: float, yellow: float, *, red: float = 15.0) -> np.ndarray:
    """A picture of one CIELAB colour."""
    rgb = lab2rgb(np.full((256, 256, 3), [light, red, yellow]))
    return np.rint(rgb * 255).astype(np.uint8)


@pytest.mark.parametrize(("light", "yellow"), [(75.0, 15.0), (60.0, 20.0), (50.0, 20.0), (35.0, 15.0)])
def test_the_angle_is_that_of_the_colour(light: float, yellow: float) -> None:
    skin = measure_skin(plain(light, yellow), FRONTAL, yaw_deg=0.0)
    # A level of 8-bit colour is about 0.4 in L* and b*: a degree or two at these angles.
    assert skin.ita_deg == pytest.approx(np.degrees(np.arctan2(light - 50, yellow)), abs=2.0)
    assert skin.gap_deg == pytest.approx(0, abs=1e-6)
    assert brightness(plain(light, yellow)) == pytest.approx(light, abs=0.5)


def test_classes_are_chardon_s() -> None:
    import pandas as pd

    angles = pd.Series([60.0, 50.0, 30.0, 20.0, 0.0, -40.0, None])
    names = ["very light", "light", "intermediate", "tan", "brown", "dark", None]
    assert skin_tones(angles).tolist() == names


def test_a_turned_head_shows_its_nearer_cheek() -> None:
    face = plain(70.0, 20.0)
    face[:, 128:] = plain(30.0, 20.0)[:, 128:]
    both, left, right = (measure_skin(face, FRONTAL, yaw_deg=yaw) for yaw in (0.0, 40.0, -40.0))
    assert both.gap_deg is not None
    assert both.gap_deg > 60
    assert left.ita_deg == pytest.approx(45, abs=2)  # the nose points right: the left cheek is nearer
    assert right.ita_deg == pytest.approx(-45, abs=2)
    assert left.gap_deg is None


def test_what_cannot_be_measured_has_a_reason() -> None:
    assert measure_skin(plain(60, 20), None, yaw_deg=0.0).reason == "no landmarks in this crop"
    assert measure_skin(plain(60, -20), FRONTAL, yaw_deg=None).ita_deg is None  # blue light
    assert measure_skin(plain(60, 20), FRONTAL * 0.2, yaw_deg=0.0).reason == "the cheeks are too small"
    with pytest.raises(ValueError, match="'whole'"):
        crop_landmarks(FRONTAL, [0, 0, 9, 9], crop="whole", margin=0.0, size_px=256)


def test_landmarks_are_found_again_in_the_cut_face() -> None:
    landmarks = np.array([[210.0, 140.0], [262.0, 152.0], [231.0, 180.0], [203.0, 196.0], [245.0, 208.0]])
    frame = np.full((360, 480, 3), 90, dtype=np.uint8)
    x, y = np.rint(landmarks[0]).astype(int)
    frame[y - 3 : y + 3, x - 3 : x + 3] = [255, 0, 0]
    face = align_ffhq(frame, landmarks)
    there = crop_landmarks(landmarks, [180, 100, 290, 240], crop="ffhq", margin=0.0, size_px=256)
    red = np.argwhere(to_lab(face)[..., 1] > 40)
    np.testing.assert_allclose(red.mean(axis=0)[::-1] + 0.5, there[0], atol=1.5)
    squares = cheeks(there)
    assert (squares[:, 1] > there[:2, 1].max() - 5).all()  # below the eyes
    assert (squares[:, 3] < there[3:, 1].max() + 5).all()  # above the mouth corners
