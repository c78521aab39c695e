"""Scaling between 8-bit images and [-1, 1]."""

import numpy as np
import pytest
import torch

from inversion.pixels import to_uint8, to_unit


def test_every_level_survives_the_round_trip() -> None:
    rgb = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(16, 16, 3)
    assert np.array_equal(to_uint8(to_unit(rgb)), rgb)


def test_the_ends_are_exact_and_steps_are_even() -> None:
    unit = to_unit(np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 256, 3))[0, 0]
    assert unit[0] == -1.0
    assert unit[-1] == 1.0
    # One float32 rounding of a number up to 1 on each side of a difference: 2 * 2**-24.
    assert torch.allclose(unit.diff(), torch.full((255,), 2 / 255), atol=2.0**-23, rtol=0)


def test_channels_move_and_nothing_else() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 7, 3), dtype=np.uint8)
    unit = to_unit(rgb)
    assert unit.shape == (2, 5, 3, 4, 7)
    assert unit.is_contiguous()
    assert unit.dtype == torch.float32
    assert unit[1, 2, 0, 3, 6].item() == pytest.approx(rgb[1, 2, 3, 6, 0] / 127.5 - 1, abs=1e-7)
    assert np.array_equal(to_uint8(unit), rgb)


def test_tensors_and_flipped_arrays_are_taken() -> None:
    rgb = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    assert torch.equal(to_unit(torch.from_numpy(rgb)), to_unit(rgb))
    assert torch.equal(to_unit(rgb[:, ::-1]), to_unit(rgb).flip(-1))


def test_the_input_is_left_alone() -> None:
    unit = torch.full((3, 2, 2), 1.7, requires_grad=True)
    assert (to_uint8(unit) == 255).all()
    assert (to_uint8(-unit) == 0).all()
    assert (unit == 1.7).all()


def test_bfloat16_is_taken() -> None:
    assert (to_uint8(torch.zeros(3, 1, 1, dtype=torch.bfloat16)) == 128).all()  # 127.5 rounds to even


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_non_finite_pixels_are_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="expected finite pixels"):
        to_uint8(torch.tensor([[[bad]], [[0.0]], [[0.0]]]))


def test_wrong_types_and_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected uint8 pixels, got torch\.float32"):
        to_unit(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match=r"\[\.\.\., H, W, 3\], got \[3, 4, 4\]"):
        to_unit(np.zeros((3, 4, 4), np.uint8))
    with pytest.raises(ValueError, match=r"got torch\.uint8"):
        to_uint8(torch.zeros(3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"\[\.\.\., 3, H, W\], got \[4, 4, 3\]"):
        to_uint8(torch.zeros(4, 4, 3))
