"""Stored images: what is drawn, and what a broken or hostile one becomes."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pipeline.report import images


def test_difference_is_absolute_tripled_and_clipped() -> None:
    before = np.array([[[10, 200, 0]]], dtype=np.uint8)
    after = np.array([[[20, 100, 0]]], dtype=np.uint8)
    made = images.difference(before, after)
    assert made is not None
    assert made.tolist() == [[[30, 255, 0]]]
    assert images.difference(before, np.zeros((2, 1, 3), dtype=np.uint8)) is None


def test_png_round_trip_is_exact() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    decoded = images.decode(images.encode(rgb))
    assert decoded is not None
    assert (decoded == rgb).all()


def _png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (width, height)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "data", [None, b"", b"not an image", _png(20, 20)[:45], _png(4097, 1), _png(20, 20).replace(b"IDAT", b"XXXX")]
)
def test_what_cannot_be_drawn_is_none(data: bytes | None) -> None:
    assert images.decode(data) is None
    assert images.thumbnail_uri(data, size_px=10) is None


def test_a_grey_image_becomes_rgb_and_a_thumbnail_keeps_its_shape() -> None:
    decoded = images.decode(_png(40, 20))
    assert decoded is not None
    assert decoded.shape == (20, 40, 3)
    small = images.decode(images.encode(decoded, kind="JPEG", size_px=10))
    assert small is not None
    assert small.shape == (5, 10, 3)
