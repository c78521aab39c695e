"""Numbers about a video that no forgery needs, by family: its borders, size, length, frame rate, file type."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

import numpy as np
import pandas as pd
from numpy.typing import NDArray

CORNER_SHARE = 0.1  # side of a corner's patch, of the crop
STRIP_SHARE = 0.05  # width of a border's strip
REGIONS = (
    "top left corner", "top right corner", "bottom left corner", "bottom right corner",
    "top border", "bottom border", "left border", "right border",
)  # fmt: skip
N_REGION = 5  # numbers per region
# Columns of table `videos` that tell how a file was made.
FACTS = {"frame size": ("width_px", "height_px"), "frame rate": ("fps",), "length": ("duration_s", "n_frames")}


def region_numbers(face_rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean red, green, blue, mean difference of the largest and smallest channel, and the luma's deviation.

    Returns
    -------
    float64 [len(REGIONS), N_REGION] for a face uint8 [S, S, 3].
    """
    side = face_rgb.shape[0]
    c, s = max(2, round(CORNER_SHARE * side)), max(1, round(STRIP_SHARE * side))
    parts = (
        face_rgb[:c, :c], face_rgb[:c, -c:], face_rgb[-c:, :c], face_rgb[-c:, -c:],
        face_rgb[:s], face_rgb[-s:], face_rgb[:, :s], face_rgb[:, -s:],
    )  # fmt: skip
    out = np.empty((len(REGIONS), N_REGION))
    for row, part in zip(out, parts, strict=True):
        pixels = part.reshape(-1, 3).astype(np.float64)
        row[:3] = pixels.mean(axis=0)
        row[3] = (pixels.max(axis=1) - pixels.min(axis=1)).mean()
        row[4] = (pixels @ [0.299, 0.587, 0.114]).std()
    return out


def families(
    videos: pd.DataFrame, faces: pd.DataFrame, regions: Mapping[str, NDArray[np.float64]]
) -> dict[str, NDArray[np.float64]]:
    """Families of numbers per video, name -> float64 [n_videos, d], in the order of ``videos``.

    Parameters
    ----------
    videos : rows of table `videos`, one for each video wanted.
    faces : attributes of their faces: ``video_id``, ``face_width_px``, ``brightness``, ``blur``.
    regions : face_id -> `region_numbers`; the mean over a video's faces is taken.

    Notes
    -----
    A number that is not known for a video is the mean of the others; a family known for no video is left out.
    """
    ids = videos["video_id"].tolist()
    place = {video: i for i, video in enumerate(ids)}
    sums, counts = np.zeros((len(ids), len(REGIONS), N_REGION)), np.zeros(len(ids))
    for face, video in zip(faces["face_id"], faces["video_id"], strict=True):
        if video in place and face in regions:
            sums[place[video]] += regions[face]
            counts[place[video]] += 1
    mean = sums / np.where(counts > 0, counts, np.nan)[:, None, None]
    out: dict[str, NDArray[np.float64]] = {name: mean[:, k] for k, name in enumerate(REGIONS)}
    per_video = faces.groupby("video_id")[["face_width_px", "brightness", "blur"]].mean().reindex(ids)
    out |= {
        "brightness": per_video[["brightness"]].to_numpy(dtype=np.float64),
        "face size": per_video[["face_width_px"]].to_numpy(dtype=np.float64),
        "sharpness": per_video[["blur"]].to_numpy(dtype=np.float64),
    }
    n_sampled = faces["video_id"].value_counts()
    out["faces sampled"] = np.array([[float(n_sampled.get(video, np.nan))] for video in ids])
    out |= {name: videos[list(columns)].to_numpy(dtype=np.float64) for name, columns in FACTS.items()}
    out["file type"] = _one_hot([PurePosixPath(p).suffix.lower() for p in videos["rel_path"]])
    out["compression"] = _one_hot(["" if pd.isna(c) else str(c) for c in videos["compression"]])
    return {name: filled for name, X in out.items() if (filled := _filled(X)) is not None}


def _one_hot(words: list[str]) -> NDArray[np.float64]:
    names = sorted(set(words))
    return np.array([[word == name for name in names] for word in words], dtype=np.float64)


def _filled(X: NDArray[np.float64]) -> NDArray[np.float64] | None:
    known = np.isfinite(X)
    if not known.any(axis=0).all():
        return None
    mean = np.where(known, X, 0).sum(axis=0) / known.sum(axis=0)
    return np.where(known, X, mean)
