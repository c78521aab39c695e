"""Face detectors behind one small interface: frames in, boxes with five landmarks and a score out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


LANDMARK_NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")  # left = the viewer's left


@dataclass(frozen=True, eq=False)
class Detection:
    """One face in one frame.

    Coordinates are in pixels of the frame given to the detector, continuous (pixel i covers [i, i + 1)), and may
    lie outside it.

    Attributes
    ----------
    box_xyxy_px : float64 [4], left, top, right, bottom.
    landmarks_px : float64 [5, 2], x and y in the order of LANDMARK_NAMES.
    score : the detector's confidence in [0, 1].
    """

    box_xyxy_px: NDArray[np.float64]
    landmarks_px: NDArray[np.float64]
    score: float


class Detector(Protocol):
    """What ingest needs of a face detector."""

    detector_id: str
    """Names the detector and every setting that changes what it finds; goes into face ids."""
    batch_size: int
    """Frames per call that suit it."""

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """Faces of each frame (uint8 [H, W, 3] RGB, sizes may differ), largest first, frames in the order given."""
        ...


class MtcnnDetector:
    """MTCNN on frames brought to `short_side_px` (smaller frames stay as they are).

    Parameters
    ----------
    device : torch device of the networks.
    short_side_px : length of a frame's shorter side when searched; None searches frames at their own size.
    min_score : faces with a lower O-Net probability are left out; O-Net itself drops those below 0.7.
    min_face_px : smallest face looked for, in pixels of the *reduced* frame.
    batch_size : frames searched at once; changes speed and memory, not what is found.
    """

    def __init__(
        self,
        *,
        device: str | torch.device = "cpu",
        short_side_px: int | None = 360,
        min_score: float = 0.9,
        min_face_px: float = 20.0,
        batch_size: int = 16,
    ) -> None:
        if not 0.0 <= min_score <= 1.0:
            raise ValueError(f"min_score must be in [0, 1], got {min_score}")
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if short_side_px is not None and short_side_px < min_face_px:
            raise ValueError(
                f"short_side_px {short_side_px} is below min_face_px {min_face_px}: no face could be found"
            )
        self.short_side_px = short_side_px
        self.min_score = min_score
        self.batch_size = batch_size
        # Here, for it imports torchvision: seconds that the many users of this module's small parts need not wait.
        from pipeline.ingest.mtcnn import Mtcnn

        self._mtcnn = Mtcnn(device=device, min_face_px=min_face_px)
        self.detector_id = f"mtcnn-side{short_side_px or 'own'}-face{min_face_px:g}-score{min_score:g}"

    def detect(self, frames: Sequence[NDArray[np.uint8]]) -> list[list[Detection]]:
        """See `Detector.detect`. Raises ValueError for a frame that is not uint8 [H, W, 3]."""
        by_size: dict[tuple[int, int], list[int]] = defaultdict(list)
        for index, frame in enumerate(frames):
            by_size[check_rgb(frame)].append(index)
        found: list[list[Detection]] = [[] for _ in frames]
        for (height, width), indices in by_size.items():
            for start in range(0, len(indices), self.batch_size):
                chunk = indices[start : start + self.batch_size]
                reduced = np.stack([reduce_short_side(frames[index], self.short_side_px) for index in chunk])
                scale = np.array([width / reduced.shape[2], height / reduced.shape[1]])  # x, y
                for index, faces in zip(chunk, self._mtcnn(reduced), strict=True):
                    detections = [
                        Detection(np.tile(scale, 2) * box, scale * points, float(score))
                        for box, points, score in zip(faces.boxes, faces.landmarks, faces.scores, strict=True)
                        if score >= self.min_score
                    ]
                    found[index] = sorted(detections, key=lambda d: -box_area_px(d.box_xyxy_px))
        return found


def check_rgb(frame: NDArray[np.uint8]) -> tuple[int, int]:
    """Height and width of an RGB frame; ValueError unless it is uint8 [H, W, 3] with at least one pixel."""
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        got = f"{frame.dtype} {list(frame.shape)}" if isinstance(frame, np.ndarray) else type(frame).__name__
        raise ValueError(f"expected an RGB frame uint8 [H, W, 3], got {got}")
    if not frame.size:
        raise ValueError(f"expected a frame with at least one pixel, got shape {list(frame.shape)}")
    return frame.shape[0], frame.shape[1]


def reduce_short_side(frame: NDArray[np.uint8], short_side_px: int | None) -> NDArray[np.uint8]:
    """The frame with its shorter side at most `short_side_px`, area-averaged; never enlarged."""
    height, width = frame.shape[:2]
    if short_side_px is None or min(height, width) <= short_side_px:
        return frame
    factor = short_side_px / min(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return np.asarray(cv2.resize(frame, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def box_area_px(box_xyxy_px: NDArray[np.float64]) -> float:
    """Area of a box in square pixels; an inverted box has none."""
    width, height = box_xyxy_px[2] - box_xyxy_px[0], box_xyxy_px[3] - box_xyxy_px[1]
    return float(max(width, 0.0) * max(height, 0.0))


DETECTORS: dict[str, Callable[..., Detector]] = {"mtcnn": MtcnnDetector}
"""Registered detectors: name -> class or function taking the keyword options of `make_detector`."""


def make_detector(
    name: str,
    *,
    device: str | torch.device = "cpu",
    short_side_px: int | None = 360,
    min_score: float = 0.9,
    min_face_px: float = 20.0,
    batch_size: int = 16,
) -> Detector:
    """The registered detector `name` with the given settings (see `MtcnnDetector` for their meaning).

    Raises
    ------
    ValueError : unknown name or a setting out of range.
    MissingDetectorWeightsError : a weight file is absent or altered.
    """
    if name not in DETECTORS:
        raise ValueError(f"unknown face detector {name!r}: registered are {', '.join(sorted(DETECTORS))}")
    return DETECTORS[name](
        device=device,
        short_side_px=short_side_px,
        min_score=min_score,
        min_face_px=min_face_px,
        batch_size=batch_size,
    )
