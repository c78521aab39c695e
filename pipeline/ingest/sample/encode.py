"""Writing the sample set's clips: H.264 in MP4, the same bytes for the same frames."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

# One thread and fixed options: x264 cuts frames differently for another number of threads, and so writes other bytes.
_X264_OPTIONS = {"preset": "slow", "threads": "1", "x264-params": "threads=1:lookahead-threads=1:sliced-threads=0"}


def encode_h264(path: Path, frames: Sequence[NDArray[np.uint8]], *, fps: int, crf: int) -> None:
    """Write frames as an MP4 with one H.264 stream (yuv420p), atomically.

    Parameters
    ----------
    path : Path
        Target; a file of that name is replaced.
    frames : sequence of uint8 arrays [H, W, 3], RGB
        At least one; H and W even and the same for all.
    fps : int
        Frames per second.
    crf : int
        x264's constant rate factor, 0 (lossless) to 51. FaceForensics++ uses 23 and 40.

    Raises
    ------
    ValueError
        On no frames, or on a frame of odd or different size.
    """
    if not frames:
        raise ValueError(f"expected at least one frame for {path.name}, got none")
    height, width = frames[0].shape[:2]
    if height % 2 or width % 2:
        raise ValueError(f"expected an even frame size for yuv420p, got {width}x{height}")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with av.open(
            str(temporary), "w", format="mp4", options={"movflags": "+faststart", "fflags": "+bitexact"}
        ) as out:
            stream = out.add_stream("libx264", rate=fps, options={**_X264_OPTIONS, "crf": str(crf)})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.codec_context.time_base = Fraction(1, fps)
            for i, rgb in enumerate(frames):
                if rgb.shape != (height, width, 3) or rgb.dtype != np.uint8:
                    raise ValueError(
                        f"expected uint8 frames of shape {(height, width, 3)}, got {rgb.dtype} {rgb.shape}"
                    )
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
                frame.pts = i
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
