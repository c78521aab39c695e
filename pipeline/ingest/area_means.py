"""Means over rectangles of frames, from one summed-area table (Crow 1984) for all of them.

Windows are those of `torch.nn.functional.adaptive_avg_pool2d`, and sums are exact whole numbers, so results agree with
it to float rounding; a cascade that asks for a whole pyramid and a thousand crops pays for the pixels once.
"""

from __future__ import annotations

import torch
from torch import Tensor


class AreaMeans:
    """Frames that can be asked for area-averaged versions of themselves and of parts.

    Parameters
    ----------
    frames : uint8 [B, H, W, 3]

    Attributes
    ----------
    height_px, width_px : int
    """

    def __init__(self, frames: Tensor) -> None:
        n, self.height_px, self.width_px, _ = frames.shape
        # int32 may run over beyond 8 million pixels; differences are right as long as one window's sum fits.
        table = torch.zeros(n, self.height_px + 1, self.width_px + 1, 3, dtype=torch.int32, device=frames.device)
        inner = table[:, 1:, 1:]
        torch.cumsum(frames, dim=1, dtype=torch.int32, out=inner)
        torch.cumsum(inner, dim=2, out=inner)
        self._sums = table

    def pooled(self, height_px: int, width_px: int) -> Tensor:
        """All frames at another size: float32 [B, 3, height, width] in 0..255, channels last in memory."""
        top, bottom = _windows(self.height_px, height_px, self._sums.device)
        left, right = _windows(self.width_px, width_px, self._sums.device)
        bands = self._sums[:, bottom] - self._sums[:, top]  # [B, h, W + 1, 3]
        sums = bands[:, :, right] - bands[:, :, left]
        n_pixels = (bottom - top)[:, None] * (right - left)
        return (sums / n_pixels[..., None]).permute(0, 3, 1, 2)

    def crops(self, frame_of: Tensor, edges: Tensor, side_px: int) -> Tensor:
        """Parts of frames as squares.

        Parameters
        ----------
        frame_of : int64 [n]
        edges : int64 [n, 4]
            Left, top, right, bottom in pixels, inside the frame and not empty.

        Returns
        -------
        float32 [n, 3, side, side] in 0..255, channels last in memory
        """
        left, top = _starts(edges[:, 0], edges[:, 2], side_px), _starts(edges[:, 1], edges[:, 3], side_px)
        right, bottom = _ends(edges[:, 0], edges[:, 2], side_px), _ends(edges[:, 1], edges[:, 3], side_px)

        def corner(y: Tensor, x: Tensor) -> Tensor:
            return self._sums[frame_of[:, None, None], y[:, :, None], x[:, None, :]]  # [n, side, side, 3]

        sums = corner(bottom, right) - corner(bottom, left) - corner(top, right) + corner(top, left)
        n_pixels = (bottom - top)[:, :, None] * (right - left)[:, None, :]
        return (sums / n_pixels[..., None]).permute(0, 3, 1, 2)


def _windows(size: int, n: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """First pixel of each of n windows over a side, and the one behind its last: int64 [n] each."""
    low, high = torch.tensor([0], device=device), torch.tensor([size], device=device)
    return _starts(low, high, n)[0], _ends(low, high, n)[0]


def _starts(low: Tensor, high: Tensor, n: int) -> Tensor:
    """int64 [m, n] for m sides from `low` to `high`."""
    return low[:, None] + torch.arange(n, device=low.device) * (high - low)[:, None] // n


def _ends(low: Tensor, high: Tensor, n: int) -> Tensor:
    steps = torch.arange(1, n + 1, device=low.device) * (high - low)[:, None]
    return low[:, None] + (steps + n - 1) // n
