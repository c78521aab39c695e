from __future__ import annotations

import numpy as np
import pytest

from embeddings.residual import CELLS, N_BANDS, N_FEATURES, PER_CELL, residual_features

N_CELLS = CELLS * CELLS
FINE = N_CELLS * 3 * len(PER_CELL)  # where high frequencies begin
RINGS = FINE + N_CELLS


def faces(n: int = 2, *, size_px: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(40, 200, (n, size_px, size_px, 3), dtype=np.uint8)


def test_equal_images_leave_nothing() -> None:
    found = residual_features(faces(), faces(), np.array([0.25, 0.5]))
    assert found.shape == (2, N_FEATURES)
    assert found.dtype == np.float32
    assert not found[:, :RINGS].any()
    np.testing.assert_allclose(found[:, -3], [0.25, 0.5])
    assert (found[:, -2] == 0).all()
    assert np.isfinite(found).all()
    assert (found[:, -1] > 70).all()  # as sure as 8 bits allow


def test_a_constant_offset_is_all_mean() -> None:
    made = faces()
    found = residual_features(made + np.uint8(5), made, np.zeros(2))
    cells = found[:, :FINE].reshape(2, N_CELLS, len(PER_CELL), 3)
    offset = 5 / 127.5
    np.testing.assert_allclose(cells[:, :, [0, 2, 3, 4]], offset, rtol=1e-5)
    np.testing.assert_allclose(cells[:, :, 1], 0, atol=1e-6)
    np.testing.assert_allclose(found[:, FINE:RINGS], 0, atol=1e-6)
    np.testing.assert_allclose(found[:, -2], offset**2, rtol=1e-5)
    np.testing.assert_allclose(found[:, -1], 10 * np.log10(4 / offset**2), rtol=1e-5)
    # All energy in the first ring, where the mean is.
    assert (found[:, RINGS] > found[:, RINGS + 1 : RINGS + N_BANDS].max(axis=1) + 3).all()


@pytest.mark.parametrize(("period_px", "ring"), [(2, N_BANDS - 1), (8, 2)])
def test_a_pattern_shows_in_its_ring_of_the_spectrum(period_px: int, ring: int) -> None:
    made = np.full((1, 64, 64, 3), 100, dtype=np.uint8)
    face = made.copy()
    stripes = np.arange(64) % period_px < period_px // 2
    # A hair below the highest frequency: half a cycle per pixel itself lies on the edge of the last ring.
    wave = 40 * np.cos(2 * np.pi * np.arange(64) * (30 / 64)) if period_px == 2 else np.where(stripes, 40, -40)
    face[0] = np.clip(100 + wave, 0, 255).astype(np.uint8)[None, :, None]
    bands = residual_features(face, made, np.zeros(1))[0, RINGS : RINGS + N_BANDS]
    assert int(bands.argmax()) == ring


def test_a_change_in_one_place_is_seen_in_its_cell_alone() -> None:
    made = faces(1)
    face = made.copy()
    face[0, 10:14, 18:22] += 30  # cell row 1, column 2 of 8 px cells
    found = residual_features(face, made, np.zeros(1))
    cells = np.abs(found[0, :FINE].reshape(N_CELLS, -1)).sum(axis=1)
    assert np.flatnonzero(cells).tolist() == [1 * CELLS + 2]
    assert np.flatnonzero(found[0, FINE:RINGS]).tolist() == [1 * CELLS + 2]


def test_bad_input_is_one_sentence() -> None:
    made = faces()
    with pytest.raises(ValueError, match="expected uint8 images, got float64"):
        residual_features(made.astype(float), made, np.zeros(2))
    with pytest.raises(ValueError, match="of one shape"):
        residual_features(made, made[:, :16], np.zeros(2))
    with pytest.raises(ValueError, match="2 finite perceptual distances"):
        residual_features(made, made, np.array([0.1, np.nan]))
    assert residual_features(made[:0], made[:0], np.zeros(0)).shape == (0, N_FEATURES)
