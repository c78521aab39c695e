"""The sample set's forging functions, on synthetic images."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pipeline.ingest.sample.blend import feather_blend, inward_feather, match_colour, poisson_blend
from pipeline.ingest.sample.forgery import (
    DonorView,
    SelfBlendSettings,
    SwapSettings,
    lower_resolution,
    self_blend,
    swap_face,
)
from pipeline.ingest.sample.geometry import (
    ThinPlateSpline,
    landmark_spline,
    similarity_transform,
    transform_points,
    warp_by_landmarks,
)
from pipeline.ingest.sample.mask import N_ANGLES, inner_face_mask, skin_reach

SIZE_HW = (160, 192)
LANDMARKS = np.array([[72.0, 62.0], [112.0, 60.0], [93.0, 84.0], [77.0, 104.0], [110.0, 103.0]])
OTHER_LANDMARKS = np.array([[60.0, 70.0], [108.0, 74.0], [80.0, 98.0], [63.0, 121.0], [98.0, 124.0]])
WHOLE = (slice(0, SIZE_HW[0]), slice(0, SIZE_HW[1]))


def noise_image(seed: int, low: float = 20, high: float = 230) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (*SIZE_HW, 3)).astype(np.float32)


def smooth_image(seed: int) -> np.ndarray:
    return cv2.GaussianBlur(noise_image(seed, 0, 255), (0, 0), 8) * 1.0


def test_similarity_recovers_a_known_transform() -> None:
    angle, scale, shift = 0.3, 1.7, np.array([5.0, -8.0])
    matrix = np.column_stack(
        [scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]), shift]
    )
    found = similarity_transform(LANDMARKS, transform_points(matrix, LANDMARKS))
    np.testing.assert_allclose(found, matrix, atol=1e-10)


def test_similarity_never_mirrors() -> None:
    mirrored = LANDMARKS * [-1, 1]
    assert np.linalg.det(similarity_transform(LANDMARKS, mirrored)[:, :2]) > 0


def test_similarity_refuses_coinciding_points() -> None:
    with pytest.raises(ValueError, match="coincide"):
        similarity_transform(np.ones((5, 2)), LANDMARKS)


def test_spline_interpolates_its_control_points_and_reproduces_affine_maps() -> None:
    rng = np.random.default_rng(0)
    source, target = rng.uniform(0, 100, (9, 2)), rng.uniform(0, 100, (9, 2))
    np.testing.assert_allclose(ThinPlateSpline(source, target)(source), target, atol=1e-8)
    matrix = np.array([[1.2, 0.1, 3.0], [-0.2, 0.9, 7.0]])
    elsewhere = rng.uniform(-50, 150, (20, 2))
    spline = ThinPlateSpline(source, transform_points(matrix, source))
    np.testing.assert_allclose(spline(elsewhere), transform_points(matrix, elsewhere), atol=1e-7)


def test_warp_takes_landmarks_onto_landmarks() -> None:
    """A blob drawn on each source landmark is found within a pixel of the target's."""
    assert np.abs(landmark_spline(LANDMARKS, OTHER_LANDMARKS)(LANDMARKS) - OTHER_LANDMARKS).max() < 1e-8
    for source_point, target_point in zip(OTHER_LANDMARKS, LANDMARKS, strict=True):
        grid_y, grid_x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
        blob = np.exp(-((grid_x - source_point[0]) ** 2 + (grid_y - source_point[1]) ** 2) / (2 * 2.5**2))
        image = np.repeat(blob[..., None], 3, axis=2).astype(np.float32)
        warped = warp_by_landmarks(image, OTHER_LANDMARKS, LANDMARKS, region_yx=WHOLE)[..., 0]
        y, x = np.unravel_index(np.argmax(warped), warped.shape)
        assert np.hypot(x - target_point[0], y - target_point[1]) < 1


def test_warp_of_a_region_is_the_region_of_the_warp() -> None:
    image, region = smooth_image(1), (slice(40, 90), slice(60, 130))
    whole = warp_by_landmarks(image, OTHER_LANDMARKS, LANDMARKS, region_yx=WHOLE)
    part = warp_by_landmarks(image, OTHER_LANDMARKS, LANDMARKS, region_yx=region)
    # cv2.remap's fixed-point weights depend on the coordinates alone, so the two agree to rounding.
    np.testing.assert_allclose(part, whole[region], atol=1e-3)


def test_colour_match_moves_mean_and_deviation_inside_the_mask() -> None:
    mask = inner_face_mask(LANDMARKS, SIZE_HW)
    source, reference = noise_image(1, 90, 150), noise_image(2, 80, 170) * np.float32([1.0, 0.9, 0.8])
    lab = lambda image: cv2.cvtColor(image / np.float32(255), cv2.COLOR_RGB2LAB)[mask]  # noqa: E731
    matched = lab(match_colour(source, reference, mask))
    # The round trip through clipped RGB costs a little; 0.3 is far below a visible step in CIELAB (about 1).
    np.testing.assert_allclose(matched.mean(0), lab(reference).mean(0), atol=0.3)
    np.testing.assert_allclose(matched.std(0), lab(reference).std(0), atol=0.3)
    half = lab(match_colour(source, reference, mask, strength=0.5))
    np.testing.assert_allclose(half.mean(0), (lab(source).mean(0) + lab(reference).mean(0)) / 2, atol=0.3)
    # OpenCV's CIELAB interpolates a table: there and back it is up to half a grey level off.
    np.testing.assert_allclose(match_colour(source, reference, mask, strength=0.0), source, atol=0.6)


def test_colour_match_refuses_an_empty_mask() -> None:
    with pytest.raises(ValueError, match="empty"):
        match_colour(noise_image(1), noise_image(2), np.zeros(SIZE_HW, bool))


def test_feather_is_zero_outside_and_one_deep_inside() -> None:
    mask = inner_face_mask(LANDMARKS, SIZE_HW)
    alpha = inward_feather(mask, width_px=8)
    deep = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) >= 8
    assert (alpha[~mask] == 0).all()
    assert (alpha[deep] == 1).all()
    assert ((alpha[mask] > 0) & (alpha[mask] <= 1)).all()


def test_blends_leave_every_pixel_outside_the_mask() -> None:
    mask = inner_face_mask(LANDMARKS, SIZE_HW)
    target, source = noise_image(3), noise_image(4)
    for blended in (poisson_blend(target, source, mask), feather_blend(target, source, mask, width_px=6)):
        np.testing.assert_array_equal(blended[~mask], target[~mask])
        assert np.abs(blended[mask] - target[mask]).mean() > 10


def test_poisson_removes_a_constant_offset() -> None:
    """A source that differs by a constant has the target's gradients, so the blend is the target itself."""
    mask = inner_face_mask(LANDMARKS, SIZE_HW)
    target = np.clip(smooth_image(5), 60, 190)
    np.testing.assert_allclose(poisson_blend(target, target + np.float32(40), mask), target, atol=1e-3)


def test_poisson_solution_has_the_source_laplacian() -> None:
    mask = inner_face_mask(LANDMARKS, SIZE_HW)
    target, source = 100 + smooth_image(6) * 0.2, 100 + smooth_image(7) * 0.2  # no value near 0 or 255: no clipping
    blended = poisson_blend(target, source, mask).astype(np.float64)
    laplacian = lambda image: cv2.Laplacian(image, cv2.CV_64F, ksize=1)  # noqa: E731
    # float32 pixels near 130 carry rounding of 1e-5, times the stencil's weight of 8.
    np.testing.assert_allclose(laplacian(blended)[mask], laplacian(source.astype(np.float64))[mask], atol=2e-4)


def test_poisson_with_a_rim_limit_keeps_a_dark_strand_from_the_face() -> None:
    mask = inner_face_mask(LANDMARKS, SIZE_HW)
    target, source = np.full((*SIZE_HW, 3), 150, np.float32), np.full((*SIZE_HW, 3), 140, np.float32)
    rows = np.flatnonzero(mask.any(1))
    target[: rows[0] + 12] = 0  # hair across the top of the mask's rim
    free, limited = poisson_blend(target, source, mask), poisson_blend(target, source, mask, rim_limit=30)
    assert free[mask].mean() < limited[mask].mean() <= 150


def test_poisson_of_empty_and_full_masks() -> None:
    target, source = noise_image(8), noise_image(9)
    np.testing.assert_array_equal(poisson_blend(target, source, np.zeros(SIZE_HW, bool)), target)
    with pytest.raises(ValueError, match="whole image"):
        poisson_blend(target, source, np.ones(SIZE_HW, bool))


@pytest.mark.parametrize("blend", ["poisson", "feather"])
def test_swap_touches_the_inner_face_alone(blend: str) -> None:
    settings = SwapSettings(
        blend=blend, reach=np.full(N_ANGLES, 0.9), feather_rel=0.15, colour_strength=1.0, resample=0.7
    )
    target, donor = smooth_image(10), smooth_image(11)
    views = [DonorView(donor, OTHER_LANDMARKS, 0.25), DonorView(donor, OTHER_LANDMARKS, 0.75)]
    forged = swap_face(target, LANDMARKS, views, settings)
    mask = inner_face_mask(LANDMARKS, SIZE_HW, reach=0.9)
    np.testing.assert_array_equal(forged[~mask], target[~mask])
    assert forged.dtype == np.float32
    assert forged.shape == target.shape
    assert np.abs(forged - target)[mask].mean() > 1
    one_view = swap_face(target, LANDMARKS, [DonorView(donor, OTHER_LANDMARKS, 1.0)], settings)
    np.testing.assert_allclose(forged, one_view, atol=0.05)


def test_swap_refuses_an_unknown_blend() -> None:
    with pytest.raises(ValueError, match="poisson"):
        SwapSettings(blend="glue", reach=np.ones(N_ANGLES), feather_rel=0.1, colour_strength=1, resample=1)


def self_blend_settings(**changes: object) -> SelfBlendSettings:
    neutral = {
        "shift_rel": (0.0, 0.0), "zoom": 1.0, "angle_deg": 0.0, "gain": np.ones(3, np.float32),
        "offset": np.zeros(3, np.float32), "resample": 1.0, "sharpen": 0.0, "reach": np.ones(N_ANGLES),
        "feather_rel": 0.1,
    }  # fmt: skip
    return SelfBlendSettings(**{**neutral, **changes})  # type: ignore[arg-type]


def test_self_blend_without_a_change_gives_the_frame() -> None:
    frame = smooth_image(12)
    np.testing.assert_allclose(self_blend(frame, LANDMARKS, self_blend_settings()), frame, atol=1e-3)


@pytest.mark.parametrize(
    "change",
    [
        {"shift_rel": (0.04, 0.02)},
        {"zoom": 1.04},
        {"angle_deg": 2.0},
        {"offset": np.full(3, 5, np.float32)},
        {"resample": 0.5},
    ],
)
def test_self_blend_changes_the_face_and_nothing_else(change: dict[str, object]) -> None:
    frame = noise_image(13)
    forged = self_blend(frame, LANDMARKS, self_blend_settings(**change))
    mask = inner_face_mask(LANDMARKS, SIZE_HW)
    np.testing.assert_array_equal(forged[~mask], frame[~mask])
    assert np.abs(forged - frame)[mask].mean() > 0.5


def test_lower_resolution_removes_detail_and_keeps_the_mean() -> None:
    image = noise_image(14)
    lowered = lower_resolution(image, 0.5)
    assert lowered.shape == image.shape
    assert lowered.std() < 0.8 * image.std()
    assert abs(lowered.mean() - image.mean()) < 1
    np.testing.assert_array_equal(lower_resolution(image, 1.0), image)


def test_skin_reach_stops_at_hair() -> None:
    """A face of one colour with dark hair over its right side: the reach falls short there alone."""
    image = np.full((*SIZE_HW, 3), 0, np.float32) + np.float32([200, 150, 130])
    image[:, 122:] = [30, 20, 15]
    image += np.random.default_rng(0).normal(0, 3, image.shape).astype(np.float32)
    reach = skin_reach([image, image], np.stack([LANDMARKS, LANDMARKS]))
    assert reach.shape == (N_ANGLES,)
    assert reach[0] < 0.8  # towards the hair
    assert reach[N_ANGLES // 2] > 0.95  # away from it
    assert ((reach >= 0.5) & (reach <= 1)).all()
    cut = inner_face_mask(LANDMARKS, SIZE_HW, reach=reach)
    assert cut[:, 125:].sum() < 0.2 * inner_face_mask(LANDMARKS, SIZE_HW)[:, 125:].sum()
