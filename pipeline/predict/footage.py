"""The sampled frames of one clip and the faces in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.ingest.detect import Detector
from pipeline.ingest.faces import FaceRow, FaceSettings, extract_faces
from pipeline.ingest.sampling import frame_indices
from pipeline.ingest.video import UnreadableVideo, VideoInfo, probe

DEFAULT_EVERY_S = 0.5
DEFAULT_MIN_FRAMES, DEFAULT_MAX_FRAMES = 8, 240
#: Cut faces stay in memory until their clip is done: 0.2 MB each.
MAX_FRAMES = 2000


@dataclass(frozen=True)
class Sampling:
    """How densely frames are looked at; both empty means the default.

    Attributes
    ----------
    every_s : one frame per so many seconds.
    n_frames : or so many frames, whatever the length.
    """

    every_s: float | None = None
    n_frames: int | None = None

    def __post_init__(self) -> None:
        if self.every_s is not None and self.n_frames is not None:
            raise ValueError("--every-s and --n-frames exclude each other")
        if self.every_s is not None and not (np.isfinite(self.every_s) and self.every_s > 0):
            raise ValueError(f"--every-s must be above 0 seconds, not {self.every_s:g}")
        if self.n_frames is not None and not 1 <= self.n_frames <= MAX_FRAMES:
            raise ValueError(f"--n-frames must be from 1 to {MAX_FRAMES}, not {self.n_frames}")

    def indices(self, *, n_frames: int, duration_s: float) -> NDArray[np.int64]:
        """Frames of a clip to look at, the middles of equal parts: int64 [m], ascending, m at least 1.

        By default two per second, no fewer than 8 (of a short clip) and no more than 240 (of a long one); with
        ``every_s`` no more than 2,000.
        """
        if self.n_frames is not None:
            wanted = self.n_frames
        else:
            wanted = round(duration_s / (self.every_s or DEFAULT_EVERY_S))
            low, high = (DEFAULT_MIN_FRAMES, DEFAULT_MAX_FRAMES) if self.every_s is None else (1, MAX_FRAMES)
            wanted = min(max(wanted, low), high)
        return frame_indices("uniform", n_frames, n=wanted)


@dataclass(frozen=True, eq=False)
class Footage:
    """What was seen of a clip.

    Attributes
    ----------
    indices : int64 [m], frames looked at.
    rows : at least one for each of them, whatever became of it; `image` is there where status is 'ok'.
    """

    path: Path
    info: VideoInfo
    indices: NDArray[np.int64]
    rows: list[FaceRow]

    @property
    def step_frames(self) -> float:
        """Frames of the clip that one sampled frame stands for."""
        return self.info.n_frames / max(len(self.indices), 1)

    @property
    def step_s(self) -> float:
        """Seconds that one sampled frame stands for; 0 for a still image."""
        return self.info.duration_s / max(len(self.indices), 1)

    @property
    def n_decoded(self) -> int:
        """Sampled frames that could be read."""
        return len({row.frame_index for row in self.rows if row.status != "unreadable"})


def look(path: Path, *, sampling: Sampling, detector: Detector | None, settings: FaceSettings) -> Footage:
    """Sample a clip, detect, track and cut its faces.

    Raises
    ------
    UnreadableVideo
        Nothing of the file can be used.
    """
    if path.exists() and not path.is_file():
        raise UnreadableVideo("a folder" if path.is_dir() else "not a regular file")
    info = probe(path)
    indices = sampling.indices(n_frames=info.n_frames, duration_s=info.duration_s)
    return Footage(path, info, indices, extract_faces(path, indices, detector=detector, settings=settings))
