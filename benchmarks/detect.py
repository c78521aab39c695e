"""Clips to aligned faces: seconds per clip, beside plain decoding and detection and beside York's listing.

    uv run lf bench detect --clips FOLDER
    uv run lf bench detect --clips FOLDER --no-york

Of each video below FOLDER the middles of ten equal parts are looked at. ``ours`` is what `lf faces` does: decode what
wanted frames need, search them together by MTCNN on a short side of 360 px, align, track (which may look between them).
``plain`` decodes every frame up to the last wanted one and searches, with the same detector, one frame after another.
``york`` grabs frames with OpenCV, retrieves the wanted ones and gives them at full size to facenet-pytorch's MTCNN in
one batch, without aligning. ``apart`` is the largest distance in pixels of the frame between edges of a face's boxes by
ours and by plain, NaN where a frame has another number of faces; ``of york's`` counts York's faces, of those scored
above 0.9, that ours overlap by half. Runs take turns, and the fastest turn of each counts; loading networks does not.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from facenet_pytorch import MTCNN
from numpy.typing import NDArray
from PIL import Image

from benchmarks import machine
from benchmarks.turns import in_turns
from pipeline.ingest.align import align_ffhq
from pipeline.ingest.detect import MtcnnDetector
from pipeline.ingest.faces import FaceSettings, extract_faces
from pipeline.ingest.sampling import frame_indices
from pipeline.ingest.streams import decode, open_video
from pipeline.ingest.video import probe

VIDEOS = {".mp4", ".mov", ".mkv", ".avi", ".webm"}
SETTINGS = FaceSettings(keep="all")
Boxes = dict[int, NDArray[np.float64]]  # by frame, [n, 4]
Look = Callable[[Path, Sequence[int]], Boxes]


def ours(detector: MtcnnDetector) -> Look:
    """`lf faces`."""

    def look(path: Path, wanted: Sequence[int]) -> Boxes:
        rows = extract_faces(path, wanted, detector=detector, settings=SETTINGS)
        found: dict[int, list[NDArray[np.float64]]] = {index: [] for index in wanted}
        for row in rows:
            if row.box_xyxy_px is not None:
                found[row.frame_index].append(row.box_xyxy_px)
        return {index: _largest_first(boxes) for index, boxes in found.items()}

    return look


def plain(detector: MtcnnDetector) -> Look:
    """The same detector, frame by frame."""

    def look(path: Path, wanted: Sequence[int]) -> Boxes:
        found = {}
        with open_video(path) as (container, stream):
            for index, frame in enumerate(decode(container, stream)):
                if index in set(wanted):
                    rgb = np.asarray(frame.to_ndarray(format="rgb24"), dtype=np.uint8)
                    faces = detector.detect([rgb])[0]
                    for face in faces:
                        align_ffhq(rgb, face.landmarks_px, size_px=SETTINGS.size_px)
                    found[index] = _largest_first([face.box_xyxy_px for face in faces])
                if index >= max(wanted):
                    break
        return found

    return look


def york() -> Look:
    """OpenCV and facenet-pytorch as York has them."""
    network = MTCNN(keep_all=True, device="cpu")

    def look(path: Path, wanted: Sequence[int]) -> Boxes:
        capture, frames = cv2.VideoCapture(str(path)), []
        for index in range(max(wanted) + 1):
            capture.grab()
            if index in set(wanted):
                frames.append(Image.fromarray(cv2.cvtColor(capture.retrieve()[1], cv2.COLOR_BGR2RGB)))
        capture.release()
        boxes, scores = network.detect(frames)
        return {
            index: _largest_first([] if b is None else list(b[np.asarray(s) > 0.9]))
            for index, b, s in zip(wanted, boxes, scores, strict=True)
        }

    return look


def _largest_first(boxes: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    table = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return table[np.argsort(-np.prod(table[:, 2:] - table[:, :2], axis=1), kind="stable")]


def apart_px(a: Boxes, b: Boxes) -> float:
    """Largest distance between edges; NaN where another number of faces was found."""
    if any(len(a[index]) != len(b.get(index, ())) for index in a):
        return float("nan")
    return max((float(np.abs(a[index] - b[index]).max(initial=0)) for index in a), default=0.0)


def covered(a: Boxes, reference: Boxes) -> tuple[int, int]:
    """How many faces of the reference `a` overlaps by half, and of how many."""
    hits = total = 0
    for index, boxes in reference.items():
        for box in boxes:
            total += 1
            hits += any(_iou(box, other) >= 0.5 for other in a.get(index, ()))
    return hits, total


def _iou(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    shared = np.prod(np.clip(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0, None))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def main(arguments: Sequence[str] | None = None) -> None:
    """Look at every clip in each way; print a line per clip and the means."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clips", type=Path, required=True)
    parser.add_argument("--n-clips", type=int, default=20)
    parser.add_argument("--n-frames", type=int, default=10)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--no-york", action="store_true", help="leave out York's listing")
    asked = parser.parse_args(arguments)
    clips = sorted(path for path in asked.clips.rglob("*") if path.suffix in VIDEOS)[: asked.n_clips]
    if not clips:
        parser.error(f"there is no video below {asked.clips}")
    detector = MtcnnDetector()
    ways: dict[str, Look] = {"ours": ours(detector), "plain": plain(detector)}
    if not asked.no_york:
        ways["york"] = york()
    print(machine.facts())
    print(
        f"{'clip':24}{'frames':>8}{'size':>12}"
        + "".join(f"{w + ' s':>10}" for w in ways)
        + "   faces  apart  of york's"
    )
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    hits = total = 0
    for number, clip in enumerate(clips):
        info = probe(clip)
        wanted = frame_indices("uniform", info.n_frames, n=asked.n_frames).tolist()
        if not number:
            for look in ways.values():
                look(clip, wanted[:2])  # so that what is set up once is not timed
        best, found = in_turns({way: partial(look, clip, wanted) for way, look in ways.items()}, asked.turns)
        for way, s in best.items():
            seconds[way].append(s)
        theirs = covered(found["ours"], found.get("york", {}))
        hits, total = hits + theirs[0], total + theirs[1]
        n_faces = sum(len(boxes) for boxes in found["ours"].values())
        print(
            f"{clip.name:24}{info.n_frames:>8}{f'{info.width_px}x{info.height_px}':>12}"
            + "".join(f"{best[way]:10.2f}" for way in ways)
            + f"{n_faces:8}{apart_px(found['ours'], found['plain']):7.3f}{theirs[0]:8} of {theirs[1]}",
            flush=True,
        )
    means = {way: float(np.mean(values)) for way, values in seconds.items()}
    print(f"{'mean':44}" + "".join(f"{value:10.2f}" for value in means.values()) + f"{hits:23} of {total}")
    print("to ours: " + ", ".join(f"{way} {value / means['ours']:.1f}x" for way, value in means.items()))
