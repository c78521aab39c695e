"""FFHQ alignment, margin crops and whole images against closed forms and a second implementation."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from pipeline.ingest.align import (
    DegenerateFaceError,
    _gaussian,
    _median_colour,
    align_ffhq,
    ffhq_quad,
    margin_crop,
    whole_image,
)
from tests.ingest.face_media import face_crop

FRONTAL = np.array([[-20.0, 0], [20, 0], [0, 20], [-15, 40], [15, 40]])  # eyes 40 px apart, mouth 40 px below


def placed(angle_deg: float, scale: float, centre: tuple[float, float], shape: np.ndarray = FRONTAL) -> np.ndarray:
    c, s = np.cos(np.radians(angle_deg)), np.sin(np.radians(angle_deg))
    return scale * shape @ np.array([[c, s], [-s, c]]) + centre  # turned clockwise on the screen


def coordinates(height: int, width: int) -> np.ndarray:
    """An image that says where it is: red = column, green = row."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.stack([columns, rows, np.zeros_like(rows)], axis=-1).astype(np.uint8)


def expected_coordinates(quad: np.ndarray, size_px: int) -> np.ndarray:
    """Continuous position minus one half (pixel centres) of every output pixel: [size, size, 2]."""
    share = (np.arange(size_px) + 0.5) / size_px
    across, down = quad[3] - quad[0], quad[1] - quad[0]
    return quad[0] + share[None, :, None] * across + share[:, None, None] * down - 0.5


def pil_ffhq(rgb: np.ndarray, landmarks: np.ndarray, size_px: int) -> np.ndarray:
    """The protocol once more, with PIL and SciPy on the whole padded frame and complex numbers for the geometry."""
    z = landmarks[:, 0] + 1j * landmarks[:, 1]
    eyes, mouth = (z[0] + z[1]) / 2, (z[3] + z[4]) / 2
    e, m = z[1] - z[0], mouth - eyes
    x = e - 1j * m
    x *= max(2.0 * abs(e), 1.8 * abs(m)) / abs(x)
    c = eyes + 0.1 * m
    corners = np.array([c - x - 1j * x, c - x + 1j * x, c + x + 1j * x, c + x - 1j * x])
    image, side = Image.fromarray(rgb), 2 * abs(x)
    shrink = int(np.floor(side / size_px * 0.5))
    if shrink > 1:
        size = (round(image.width / shrink), round(image.height / shrink))
        image = image.resize(size, Image.Resampling.BOX)
        corners = corners.real * size[0] / rgb.shape[1] + 1j * corners.imag * size[1] / rgb.shape[0]
        side /= shrink
    border = max(round(side * 0.1), 3)
    low = np.floor([corners.real.min(), corners.imag.min()]).astype(int) - border
    high = np.ceil([corners.real.max(), corners.imag.max()]).astype(int) + border
    inner = np.clip([low, high], 0, image.size)
    image = image.crop((*inner[0], *inner[1]))
    corners = corners - complex(*inner[0])
    pad = np.concatenate([np.maximum(inner[0] - low, 0), np.maximum(high - inner[1], 0)])  # left, top, right, bottom
    if pad.max() > border - 4:
        pad = np.maximum(pad, round(side * 0.3))
        data = np.pad(np.float64(image), ((pad[1], pad[3]), (pad[0], pad[2]), (0, 0)), mode="reflect")
        h, w = data.shape[:2]
        yy, xx = np.mgrid[0:h, 0:w]
        inside = np.minimum.reduce([xx / pad[0], yy / pad[1], (w - 1 - xx) / pad[2], (h - 1 - yy) / pad[3]])
        mask = (1.0 - inside)[..., None]
        data += (gaussian_filter(data, [side * 0.02, side * 0.02, 0]) - data) * np.clip(3 * mask + 1, 0, 1)
        data += (np.median(data, axis=(0, 1)) - data) * np.clip(mask, 0, 1)
        image = Image.fromarray(np.uint8(np.clip(np.rint(data), 0, 255)))
        corners = corners + complex(pad[0], pad[1])
    flat = [value for corner in corners for value in (corner.real, corner.imag)]
    large = image.transform((4 * size_px, 4 * size_px), Image.Transform.QUAD, flat, Image.Resampling.BILINEAR)
    return np.asarray(large.resize((size_px, size_px), Image.Resampling.LANCZOS))


# --- the square -------------------------------------------------------------------------------------------------------


def test_the_square_of_an_upright_face_by_hand() -> None:
    # half side = max(2 x 40, 1.8 x 40) = 80; centre 4 px below the eyes
    quad = ffhq_quad(placed(0, 1.0, (200, 100)))
    np.testing.assert_allclose(quad, [[120, 24], [120, 184], [280, 184], [280, 24]], atol=1e-12)


def test_a_long_face_is_sized_by_eyes_to_mouth() -> None:
    long = FRONTAL * [1, 2]  # mouth 80 px below: half side 144, centre 8 px below
    np.testing.assert_allclose(ffhq_quad(long)[0], [-144, 8 - 144], atol=1e-12)


@pytest.mark.parametrize("angle", [-170.0, -33.0, 0.0, 12.5, 90.0])
@pytest.mark.parametrize("scale", [0.2, 1.0, 11.0])
def test_the_square_turns_and_grows_with_the_face(angle: float, scale: float) -> None:
    upright = np.array([[-80.0, -76], [-80, 84], [80, 84], [80, -76]])
    expected = placed(angle, scale, (321.5, 87.25), upright)
    np.testing.assert_allclose(ffhq_quad(placed(angle, scale, (321.5, 87.25))), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (np.full((5, 2), np.nan), "not finite positions"),
        (np.where(np.arange(10).reshape(5, 2) == 3, np.inf, FRONTAL), "not finite"),
        (np.zeros((5, 2)), "eyes coincide"),
        ([[5, 5], [5, 5], [5, 9], [2, 15], [8, 15]], "eyes coincide"),
        ([[-10, 0], [10, 0], [0, 0], [-5, -20], [5, -20]], "opposite directions"),  # upside down: x cancels
    ],
)
def test_landmarks_without_a_square(landmarks: np.ndarray, message: str) -> None:
    with pytest.raises(DegenerateFaceError, match=message):
        ffhq_quad(landmarks)


def test_not_five_landmarks() -> None:
    with pytest.raises(ValueError, match=r"\[5, 2\], got shape \[68, 2\]"):
        ffhq_quad(np.zeros((68, 2)))


# --- the pixels -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size_px", [16, 64, 256])
@pytest.mark.parametrize("angle", [0.0, 25.0, -110.0])
def test_an_image_of_coordinates_gives_the_coordinates(angle: float, size_px: int) -> None:
    # The square (side 128) lies well inside 250 x 250: no padding. 16 px makes the whole-factor reduction run.
    # Linear ramps pass bilinear sampling and symmetric kernels unchanged; three roundings to whole levels give at
    # most 1.5, and at the border, where Lanczos' kernel is cut off, a ramp of 8 levels per pixel (16 px) may lean by
    # a few tenths of a pixel.
    landmarks = placed(angle, 0.8, (125.3, 120.6))
    aligned = align_ffhq(coordinates(250, 250), landmarks, size_px=size_px)
    error = np.abs(aligned[..., :2] - expected_coordinates(ffhq_quad(landmarks), size_px))
    assert error[1:-1, 1:-1].max() <= 1.5
    assert error.max() <= 1.5 + 0.3 * 128 / size_px
    assert error.mean() < 0.6


@pytest.mark.parametrize(
    ("angle", "scale", "centre", "size_px"),
    [
        (8.0, 0.9, (118.0, 110.0), 128),  # inside
        (-20.0, 1.0, (118.0, 110.0), 32),  # reduced before sampling
        (0.0, 1.0, (30.0, 60.0), 128),  # leaves the frame at the left and above
        (15.0, 2.6, (118.0, 110.0), 128),  # larger than the frame on every side
        (0.0, 1.0, (235.0, 239.0), 64),  # a corner
    ],
)
def test_agrees_with_a_second_implementation(
    angle: float, scale: float, centre: tuple[float, float], size_px: int
) -> None:
    # Same protocol, other libraries: OpenCV rounds where PIL cuts off (half a level in the mean), coarser sub-pixel
    # weights, the wide blur on a reduced image, a median to whole levels. A square half a pixel off makes the mean
    # difference 1 to 5 and the quantile 14 to 57 levels on this picture.
    rgb = face_crop()
    landmarks = placed(angle, scale, centre)
    ours = align_ffhq(rgb, landmarks, size_px=size_px).astype(float)
    theirs = pil_ffhq(rgb, landmarks, size_px).astype(float)
    assert np.abs(ours - theirs).mean() < 0.75
    assert np.quantile(np.abs(ours - theirs), 0.999) <= 3


def test_strong_reduction_does_not_alias() -> None:
    rows, columns = np.mgrid[0:1200, 0:1200]
    board = np.repeat(((rows + columns) % 2 * 255).astype(np.uint8)[..., None], 3, axis=2)
    for angle in (0.0, 30.0):
        aligned = align_ffhq(board, placed(angle, 6.0, (600, 580)), size_px=64).astype(float)
        assert abs(aligned.mean() - 127.5) < 1.0
        assert aligned.std() < 6.0  # plain bilinear sampling at 64 px: 45 and more


def test_padding_keeps_the_inside_and_fades_outside() -> None:
    noise = np.random.default_rng(0).normal(size=(300, 300, 3))
    smooth = gaussian_filter(noise, [3, 3, 0])
    rgb = (128 + 40 * smooth / smooth.std()).clip(0, 255).astype(np.uint8)
    aligned = align_ffhq(rgb, placed(0, 1.0, (20, 150)), size_px=160).astype(float)  # one to one, from (-60, 74)
    # the protocol's blur reaches a third of the padding (25 px) into the frame; past that the pixels are the frame's
    # own, but for the bilinear sampling's slight blur
    np.testing.assert_allclose(aligned[5:155, 90:155], rgb[79:229, 30:95], atol=6)
    assert aligned[:, :15].std() < 0.5 * aligned[:, 80:155].std()


def test_the_wide_blur_is_a_gaussian() -> None:
    rgb = np.tile(face_crop().astype(np.float32), (3, 3, 1))
    for sigma in (1.0, 7.9, 9.0, 20.0, 40.0):
        error = np.abs(_gaussian(rgb, sigma) - gaussian_filter(rgb, [sigma, sigma, 0], mode="reflect"))
        assert error.mean() < 0.25
        assert error.max() < 3  # at the mirrored border, where the reduced grid does not divide


def test_median_colour() -> None:
    pixels = np.random.default_rng(5).integers(0, 256, (31, 41, 3)).astype(np.float32)  # an odd number of pixels
    np.testing.assert_array_equal(_median_colour(pixels), np.median(pixels, axis=(0, 1)))


def test_constant_images_stay_constant() -> None:
    rgb = np.full((90, 120, 3), (10, 200, 77), np.uint8)
    for landmarks in (placed(0, 0.5, (60, 40)), placed(40, 3.0, (5, 5))):
        assert (align_ffhq(rgb, landmarks, size_px=48) == rgb[0, 0]).all()


@pytest.mark.parametrize(
    ("landmarks", "message"),
    [
        (placed(0, 1.0, (5000, 5000)), "outside the frame of 120x90 px"),
        (placed(0, 1.0, (-400, 0)), "outside the frame"),
        (placed(0, 0.01, (50, 50)), "1.6 px wide"),
        (placed(0, 30.0, (50, 30)) * [[1, 1], [1, 1], [0, 0], [1, 1], [1, 1]], "px wide in a frame of 120x90 px"),
        (np.array([[10.0, 10], [1e300, 10], [10, 20], [5, 30], [15, 30]]), "not finite positions"),
    ],
)
def test_faces_that_cannot_be_cut(landmarks: np.ndarray, message: str) -> None:
    with pytest.raises(DegenerateFaceError, match=message):
        align_ffhq(np.zeros((90, 120, 3), np.uint8), landmarks)


@pytest.mark.parametrize("shape", [(1, 1), (1, 500), (500, 1), (2, 3)])
def test_tiny_frames_do_not_crash(shape: tuple[int, int]) -> None:
    rgb = np.full((*shape, 3), 9, np.uint8)
    landmarks = placed(0, 0.02, (0.5, 0.2))
    assert (align_ffhq(rgb, landmarks, size_px=32) == 9).all()


# --- margin crops and whole images ------------------------------------------------------------------------------------


@pytest.mark.parametrize("margin", [0.0, 0.3, 0.7])
def test_margin_crop_closed_form(margin: float) -> None:
    box = np.array([90.0, 80.0, 150.0, 170.0])  # 60 x 90 around (120, 125): square of 90
    side = 90 * (1 + margin)
    corner = np.array([120, 125]) - side / 2
    quad = corner + side * np.array([[0, 0], [0, 1], [1, 1], [1, 0]])
    crop = margin_crop(coordinates(250, 250), box, margin=margin, size_px=64)
    error = np.abs(crop[..., :2] - expected_coordinates(quad, 64))
    assert error[1:-1, 1:-1].max() <= 1.5
    assert error.max() <= 2.5


def test_margin_crop_mirrors_outside_the_frame() -> None:
    crop = margin_crop(coordinates(100, 100), [-20, 30, 20, 70], margin=0.0, size_px=40)
    inside, outside = crop[:, 20:, 0].astype(float), crop[:, :20, 0].astype(float)
    np.testing.assert_allclose(
        outside[:, ::-1], inside, atol=2
    )  # mirrored about the edge pixel: one level apart, rounding


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([10, 10, 10, 20], "empty"),
        ([20, 10, 10, 20], "empty"),
        ([np.nan, 1, 2, 3], "not finite"),
        ([200, 10, 240, 50], "outside the frame of 100x80 px"),
        ([-50, 10, 0, 50], "outside"),
        ([-1e6, -1e6, 1e6, 1e6], "over 10 times the frame"),
    ],
)
def test_boxes_that_cannot_be_cut(box: list[float], message: str) -> None:
    with pytest.raises(DegenerateFaceError, match=message):
        margin_crop(np.zeros((80, 100, 3), np.uint8), box, margin=0.3, size_px=32)


def test_margin_must_not_be_negative() -> None:
    with pytest.raises(ValueError, match=r"margin must be at least 0, got -0\.1"):
        margin_crop(np.zeros((80, 100, 3), np.uint8), [0, 0, 9, 9], margin=-0.1, size_px=32)


def test_whole_image_reduces_by_area_mean() -> None:
    rgb = np.random.default_rng(2).integers(0, 256, (128, 192, 3), dtype=np.uint8)
    means = rgb.reshape(32, 4, 32, 6, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(whole_image(rgb, size_px=32), means, atol=0.51)


def test_whole_image_at_its_own_size_is_a_copy() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    same = whole_image(rgb, size_px=48)
    np.testing.assert_array_equal(same, rgb)
    assert not np.shares_memory(same, rgb)


def test_whole_image_enlarges_linearly_and_mixes_axes() -> None:
    assert whole_image(np.full((1, 1, 3), 5, np.uint8), size_px=16).shape == (16, 16, 3)
    ramp = np.repeat(np.repeat(np.arange(0, 160, 10, dtype=np.uint8)[None, :, None], 64, 0), 3, 2)  # 64 x 16
    wide = whole_image(ramp, size_px=32)[0, :, 0].astype(int)
    assert (np.diff(wide) >= 0).all()
    assert wide[0] == 0
    assert wide[-1] == 150
