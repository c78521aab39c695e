"""Statistics of fine structure: which number moves with which change of the image."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import skimage.data

from embeddings.frequency import N_DIMS, frequency_features

N_ENERGIES = 3 * 3 * 64


@pytest.fixture(scope="module")
def face() -> npt.NDArray[np.uint8]:
    return cv2.resize(skimage.data.astronaut()[0:224, 110:334], (256, 256))


def test_length_and_repeatability(face: npt.NDArray[np.uint8]) -> None:
    found = frequency_features(face)
    assert found.shape == (N_DIMS,) == (702,)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, frequency_features(face.copy()))


def test_a_wave_raises_its_own_coefficient() -> None:
    """Horizontal wave of two periods per block of 8: coefficient (0, 4) of luma."""
    wave = 128 + 60 * np.cos((np.arange(64) + 0.5) * 2 * np.pi * 2 / 8)
    image = np.repeat(np.tile(wave, (64, 1)).astype(np.uint8)[..., None], 3, axis=2)
    luma = frequency_features(image)[:64].reshape(8, 8)
    luma[0, 0] = -np.inf  # the mean level
    assert np.unravel_index(luma.argmax(), luma.shape) == (0, 4)


def test_blur_inside_the_face_lowers_the_inside_alone(face: npt.NDArray[np.uint8]) -> None:
    blurred = face.copy()
    blurred[64:192, 80:176] = cv2.GaussianBlur(face, (0, 0), 3)[64:192, 80:176]
    change = frequency_features(blurred) - frequency_features(face)
    residuals = change[N_ENERGIES : N_ENERGIES + 25].reshape(5, 5)  # filter x (mean in, out, deviation in, out, median)
    assert (residuals[:, 0] < -0.1).all()
    np.testing.assert_allclose(residuals[:, 1], 0, atol=1e-6)
    assert change[-20:].mean() < 0  # high frequencies of the spectrum


def test_a_flat_image_gives_finite_numbers() -> None:
    assert np.isfinite(frequency_features(np.full((64, 64, 3), 90, dtype=np.uint8))).all()


@pytest.mark.parametrize(
    ("shape", "dtype"), [((64, 32, 3), np.uint8), ((64, 64), np.uint8), ((16, 16, 3), np.uint8), ((64, 64, 3), float)]
)
def test_other_images_are_refused(shape: tuple[int, ...], dtype: type) -> None:
    with pytest.raises(ValueError, match="Expected"):
        frequency_features(np.zeros(shape, dtype=dtype))
