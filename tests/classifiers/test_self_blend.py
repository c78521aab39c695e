"""Self-blended images: what changes, where, and how much."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.self_blend import TIGHT_CROP, face_mask, self_blend

# Where FFHQ's alignment puts the five points, in shares of the side.
ALIGNED = np.array([[0.375, 0.48], [0.625, 0.48], [0.5, 0.62], [0.40, 0.73], [0.60, 0.73]])


def photo(side: int = 128) -> np.ndarray:
    """A smooth picture with some texture."""
    y, x = np.mgrid[:side, :side] / side
    noise = np.random.default_rng(0).normal(0, 6, size=(side, side, 3))
    base = np.stack([150 + 60 * np.sin(5 * x), 120 + 50 * np.cos(4 * y), 100 + 40 * np.sin(6 * x * y)], axis=2)
    return (base + noise).clip(0, 255).astype(np.uint8)


def test_the_same_numbers_give_the_same_picture_and_others_another() -> None:
    made = [self_blend(photo(), ALIGNED * 128, rng=np.random.default_rng(s)) for s in (1, 1, 2)]
    assert np.array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])
    assert made[0].dtype == np.uint8
    assert made[0].shape == (128, 128, 3)


def test_changes_are_subtle_and_are_there() -> None:
    face = photo().astype(int)
    apart = [
        np.abs(self_blend(photo(), ALIGNED * 128, rng=np.random.default_rng(s)).astype(int) - face).mean()
        for s in range(40)
    ]
    assert min(apart) > 0.05
    assert np.median(apart) < 15, "levels of 255: a forgery, not another picture"
    assert max(apart) < 40


def test_outside_the_face_only_the_targets_own_change_is_seen() -> None:
    """Where the source was changed the background is the picture's own, to the bit: about every second time."""
    corner = photo()[:12, :12]
    same = [
        np.array_equal(self_blend(photo(), ALIGNED * 128, rng=np.random.default_rng(s))[:12, :12], corner)
        for s in range(40)
    ]
    assert 8 < sum(same) < 32


def test_masks_cover_the_face_and_differ() -> None:
    masks = np.stack([face_mask(ALIGNED * 256, 256, rng=np.random.default_rng(s)) for s in range(60)])
    share = masks.mean(axis=(1, 2))
    assert 0.02 < share.min() < share.max() < 0.45
    middle = masks[:, 140, 128].mean()
    assert middle > 0.75, "the nose's root is in most regions"
    assert masks[:, :20].max() == masks[:, -5:].max() == 0, "hair and neck are in none"


def test_a_turned_face_has_a_turned_mask() -> None:
    """Turning the landmarks by 90 degrees turns the mask."""
    upright = face_mask(ALIGNED * 256, 256, rng=np.random.default_rng(3))
    points = ALIGNED * 256
    turned = face_mask(np.stack([256 - points[:, 1], points[:, 0]], axis=1), 256, rng=np.random.default_rng(3))
    assert np.abs(np.rot90(upright, k=-1) - turned).mean() < 0.01  # rounding of the outline to pixels


@pytest.mark.parametrize(
    ("face", "landmarks", "message"),
    [
        (photo()[:, :100], ALIGNED * 128, "square uint8"),
        (photo().astype(np.float32), ALIGNED * 128, "square uint8"),
        (photo(16), ALIGNED * 16, "at least 32 px"),
        (photo(), ALIGNED[:4] * 128, "five finite landmarks"),
        (photo(), np.full((5, 2), np.nan), "five finite landmarks"),
        (photo(), np.full((5, 2), 60.0), "no direction"),
        (photo(), ALIGNED * 128 + 1000, "outside the picture"),
    ],
)
def test_what_cannot_be_blended_is_refused(face: np.ndarray, landmarks: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        self_blend(face, landmarks, rng=np.random.default_rng(0))


def test_a_tight_crop_is_taken_to_show_a_whole_face() -> None:
    mask = np.mean([face_mask(TIGHT_CROP * 64, 64, rng=np.random.default_rng(s)) for s in range(30)], axis=0)
    assert mask[36, 32] > 0.7
    assert mask[:, 0].max() < 0.3
