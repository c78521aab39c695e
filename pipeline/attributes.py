"""What is known of each face besides its label, and the slices it falls in."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.binning import name_bins, thirds
from pipeline.face_images import usable_faces
from pipeline.ingest import skin
from pipeline.nuisance import region_numbers
from pipeline.params import Faces
from pipeline.paths import Paths

YAW_EDGES = (10.0, 25.0)
YAW_NAMES = ("frontal (below 10°)", "turned (10° to 25°)", "far turned (25° and more)")
#: Attribute -> unit, cut into thirds of the faces at hand.
MEASURED = {"face_width_px": "px", "blur": "", "brightness": "L*", "lpips": ""}


def measure(paths: Paths, settings: Faces) -> tuple[pd.DataFrame, dict[str, NDArray[np.float64]]]:
    """Read every usable face once.

    Returns
    -------
    DataFrame
        face_id, video_id, ita_deg, ita_gap_deg, brightness, reason.
    dict
        face_id -> `nuisance.region_numbers`.
    """
    rows: list[dict[str, Any]] = []
    regions: dict[str, NDArray[np.float64]] = {}
    for face, rgb in usable_faces(paths, ["video_id", "landmarks_px", "box_xyxy_px", "yaw_deg"]):
        found = skin.measure_skin(rgb, _landmarks(face, settings, rgb.shape[0]), yaw_deg=face["yaw_deg"])
        rows.append(
            {
                "face_id": face["face_id"],
                "video_id": face["video_id"],
                "ita_deg": found.ita_deg,
                "ita_gap_deg": found.gap_deg,
                "brightness": skin.brightness(rgb),
                "reason": found.reason,
            }
        )
        regions[face["face_id"]] = region_numbers(rgb)
    columns = ["face_id", "video_id", "ita_deg", "ita_gap_deg", "brightness", "reason"]
    return pd.DataFrame(rows, columns=columns), regions


def _landmarks(face: dict[str, Any], settings: Faces, size_px: int) -> NDArray[np.float64] | None:
    if face["landmarks_px"] is None:
        return None
    try:
        return skin.crop_landmarks(
            face["landmarks_px"], face["box_xyxy_px"], crop=settings.crop, margin=settings.margin, size_px=size_px
        )
    except ValueError:
        return None


def skin_tones(ita_deg: pd.Series) -> NDArray[np.object_]:
    """Class of each angle in degrees, None where there is none."""
    return name_bins(ita_deg.to_numpy(dtype=np.float64, na_value=np.nan), skin.ITA_EDGES, skin.SKIN_TONES)


def sliced(faces: pd.DataFrame) -> dict[str, NDArray[np.object_]]:
    """Attribute -> the slice each face falls in (None: unknown), for every attribute that makes at least one slice.

    Parameters
    ----------
    faces : attributes of faces: method, compression, skin_tone, yaw_deg, those of `MEASURED`, and ``cluster:...``
        columns.
    """
    out: dict[str, NDArray[np.object_]] = {
        "skin_tone": words(faces["skin_tone"]),
        "yaw_deg": name_bins(np.abs(_numbers(faces["yaw_deg"])), YAW_EDGES, YAW_NAMES),
    }
    out |= {name: in_thirds(faces[name], unit) for name, unit in MEASURED.items()}
    out |= {name: words(faces[name]) for name in ("compression", "method")}
    out |= {str(c): words(faces[c]) for c in faces.columns if str(c).startswith("cluster:")}
    return {name: values for name, values in out.items() if any(v is not None for v in values)}


def in_thirds(values: pd.Series, unit: str) -> NDArray[np.object_]:
    """Numbers by the third of the known ones they fall in, None where unknown."""
    return thirds(_numbers(values), unit=unit)


def _numbers(values: pd.Series) -> NDArray[np.float64]:
    return values.to_numpy(dtype=np.float64, na_value=np.nan)


def words(values: pd.Series) -> NDArray[np.object_]:
    """Values as text, None where unknown."""
    return np.array([None if pd.isna(v) else str(v) for v in values], dtype=object)


def heights(height_px: pd.Series) -> NDArray[np.object_]:
    """Frame height in named steps, None where unknown."""
    return name_bins(
        _numbers(height_px), (360, 720, 1080), ("below 360 px", "360 to 719 px", "720 to 1079 px", "1080 px and more")
    )
