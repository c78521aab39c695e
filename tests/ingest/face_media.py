"""Footage for the face tests, made on the spot from `skimage.data.astronaut` (public domain, NASA)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.data import astronaut

Image = NDArray[np.uint8]


def face_crop() -> Image:
    """The astronaut's head and shoulders: uint8 [240, 240, 3], one face about 85 px wide."""
    return np.ascontiguousarray(astronaut()[0:240, 100:340])


def scene(*places: tuple[int, int], height: int = 360, width: int = 640, side: int = 240) -> Image:
    """The head pasted at each (x, y) of a grey frame; parts outside are cut off."""
    frame = np.full((height, width, 3), 120, dtype=np.uint8)
    head = face_crop()
    if side != 240:
        head = cv2.resize(head, (side, side), interpolation=cv2.INTER_AREA)
    for x, y in places:
        x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + side, width), min(y + side, height)
        frame[y0:y1, x0:x1] = head[y0 - y : y1 - y, x0 - x : x1 - x]
    return frame


def noise(seed: int, height: int = 360, width: int = 640) -> Image:
    """A frame of independent noise: no face."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def write_clip(path: Path, frames: Sequence[Image], *, fps: int = 10) -> Path:
    """H.264 at a quality that hardly changes a pixel."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "12", "preset": "veryfast"})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
    return path
