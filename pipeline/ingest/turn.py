"""How a stored picture is turned and mirrored to stand upright, from FFmpeg's display matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray


@dataclass(frozen=True)
class Turn:
    """One of the eight ways to lay a picture: rows and columns exchanged first, then mirrored."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> Turn:
        """Turn that the frame's display matrix asks for; angles between the quarters go to the nearest one.

        The matrix (a b u; c d v; x y w) sends a stored point (p, q) to (a p + c q + x, b p + d q + y), y down
        (libavutil/display.h).
        """
        data: Any = frame.side_data.get("DISPLAYMATRIX")
        if data is None or data.buffer_size < 36:
            return cls()
        a, b, _, c, d = np.frombuffer(bytes(data), dtype=np.int32, count=5).tolist()
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @property
    def clockwise_deg(self) -> int:
        """Clockwise turn in degrees: 0, 90, 180 or 270. Of a mirrored picture: the turn before it is mirrored in x."""
        turns = {(False, False, False): 0, (True, True, False): 90, (False, True, True): 180, (True, False, True): 270}
        flip_x = self.flip_x if (self.transpose, self.flip_x, self.flip_y) in turns else not self.flip_x
        return turns[self.transpose, flip_x, self.flip_y]

    def apply(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Lay the picture, uint8 [H, W, C], upright: [H, W, C], or [W, H, C] where rows and columns are exchanged."""
        laid = picture.swapaxes(0, 1) if self.transpose else picture
        return laid[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
