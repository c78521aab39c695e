"""What the stage ``faces`` does with one video, in whichever process: sample, detect, track, align, store."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pipeline import runinfo
from pipeline.ingest.detect import Detector, make_detector
from pipeline.ingest.faces import FaceRow, FaceSettings, encode_png, extract_faces, face_id, face_recipe
from pipeline.ingest.sampling import frame_indices
from pipeline.ingest.video import content_id
from pipeline.params import Faces, Sampling
from pipeline.shards import Shards


@dataclass(frozen=True)
class Task:
    """Everything a worker needs for one video."""

    path: Path
    video: dict[str, Any]
    shards: Shards
    sampling: Sampling
    faces: Faces
    seed: int
    device: str


def face_settings(faces: Faces) -> FaceSettings:
    """The settings of a cut as ``params.yaml`` has them."""
    return FaceSettings(
        crop=faces.crop, margin=faces.margin, size_px=faces.size_px, keep=faces.keep, min_face_px=faces.min_face_px
    )


@lru_cache(maxsize=1)
def wanted_detector(faces: Faces, device: str) -> Detector:
    """One detector per process."""
    return make_detector(faces.detector, device=device, short_side_px=faces.short_side_px, min_score=faces.min_score)


def work(task: Task) -> str:
    """Sample, detect, track, align; store the piece of one video."""
    video = task.video
    rng = runinfo.generator_for(task.seed, "sampling", video["video_id"])
    indices = frame_indices(
        task.sampling.mode,
        video["n_frames"],
        label=video["label"],
        k=task.sampling.every_k,
        n=task.sampling.n,
        n_real=task.sampling.n_real,
        n_fake=task.sampling.n_fake,
        rng=rng,
    )
    settings = face_settings(task.faces)
    detector = None if task.faces.crop == "whole" else wanted_detector(task.faces, task.device)
    if (changed := _changed(task)) is not None:
        found = [FaceRow(frame_index=int(index), status="failed", reason=changed) for index in indices]
    else:
        found = extract_faces(task.path, indices, detector=detector, settings=settings)
    recipe = face_recipe(detector, settings)
    task.shards.write(video["video_id"], [_row(face, video, recipe) for face in found])
    return str(video["video_id"])


def _changed(task: Task) -> str | None:
    """What is wrong where the file is not the one that was catalogued: its label and length may be another's."""
    try:
        same = content_id(task.path) == task.video["video_id"]
    except OSError as error:
        return f"the file cannot be read any more: {(error.strerror or str(error)).lower()}"
    return None if same else "the file has changed since it was catalogued: run `dvc repro` again"


def _row(face: FaceRow, video: dict[str, Any], recipe: str) -> dict[str, Any]:
    """A row of the table: NaN becomes empty, the image becomes PNG."""
    numbers = {n: getattr(face, n) for n in ("time_s", "score", "face_width_px", "yaw_deg", "blur")}
    return {
        **{name: video[name] for name in ("video_id", "label", "method", "source_group")},
        **{name: None if math.isnan(value) else value for name, value in numbers.items()},
        "face_id": face_id(video["video_id"], face.frame_index, face.track_id, recipe),
        "frame_index": face.frame_index,
        "track_id": face.track_id,
        "box_xyxy_px": face.box_xyxy_px,
        "landmarks_px": None if face.landmarks_px is None else face.landmarks_px.ravel(),
        "image": None if face.image is None else encode_png(face.image),
        "status": face.status,
        "reason": face.reason or None,
    }
