"""Still images are videos of one frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.ingest.video import TruncatedVideo, VideoInfo, probe, read_frames
from tests.ingest.media import (
    coded_frame,
    read_code,
)


class TestStills:
    """Images are videos of one frame."""

    @pytest.mark.parametrize(("suffix", "tolerance"), [("png", 0), ("bmp", 0), ("webp", 12), ("jpg", 12), ("JPEG", 12)])
    def test_formats(self, tmp_path: Path, suffix: str, tolerance: int) -> None:
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(coded_frame(5)).save(path, quality=95)
        assert probe(path) == VideoInfo(0.0, 1, 64, 48, 0.0, 0)
        [(index, time_s, rgb)] = list(read_frames(path, [0]))
        assert (index, time_s, rgb.dtype, rgb.shape) == (0, 0.0, np.uint8, (48, 64, 3))
        assert np.abs(rgb[40, 10].astype(int) - (200, 30, 30)).max() <= tolerance  # lossy coding of a flat field
        assert read_code(rgb) == 5

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, tmp_path: Path, orientation: int) -> None:
        # EXIF 2.32: where the stored picture's first row and first column are in the scene; undone here by hand.
        undo = {
            1: lambda p: p,
            2: np.fliplr,
            3: lambda p: np.rot90(p, 2),
            4: np.flipud,
            5: lambda p: p.swapaxes(0, 1),
            6: lambda p: np.rot90(p, -1),
            7: lambda p: np.rot90(p, 2).swapaxes(0, 1),
            8: lambda p: np.rot90(p, 1),
        }
        stored = coded_frame(5)
        exif = Image.Exif()
        exif[0x0112] = orientation
        path = tmp_path / "a.png"
        Image.fromarray(stored).save(path, exif=exif)
        [(_, _, rgb)] = list(read_frames(path, [0]))
        assert np.array_equal(rgb, undo[orientation](stored))
        assert (probe(path).height_px, probe(path).width_px) == rgb.shape[:2]

    def test_alpha_is_dropped_not_blended(self, tmp_path: Path) -> None:
        rgba = np.dstack([coded_frame(3), np.zeros((48, 64), np.uint8)])
        Image.fromarray(rgba, "RGBA").save(tmp_path / "a.png")
        [(_, _, rgb)] = list(read_frames(tmp_path / "a.png", [0]))
        assert np.array_equal(rgb, coded_frame(3))

    @pytest.mark.parametrize("mode", ["L", "LA", "P", "1"])
    def test_modes(self, tmp_path: Path, mode: str) -> None:
        Image.fromarray(coded_frame(3)).convert(mode).save(tmp_path / "a.png")
        [(_, _, rgb)] = list(read_frames(tmp_path / "a.png", [0]))
        assert rgb.shape == (48, 64, 3)
        assert read_code(rgb) == 3

    def test_16_bit_grey_keeps_its_upper_bits(self, tmp_path: Path) -> None:
        grey = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64) * 21
        Image.fromarray(grey).save(tmp_path / "a.png")
        [(_, _, rgb)] = list(read_frames(tmp_path / "a.png", [0]))
        assert np.array_equal(rgb[:, :, 1], grey >> 8)

    def test_only_frame_0_is_there(self, tmp_path: Path) -> None:
        Image.fromarray(coded_frame(3)).save(tmp_path / "a.png")
        with pytest.raises(TruncatedVideo) as caught:
            list(read_frames(tmp_path / "a.png", [0, 2]))
        assert caught.value.missing == (2,)
