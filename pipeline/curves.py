"""The course of a search as rows of the table ``curves``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt


def curve_rows(
    face_ids: Sequence[str],
    inverter_id: str,
    *,
    step: npt.NDArray[np.int64],
    seconds_per_face: npt.NDArray[np.float64],
    perceptual: npt.NDArray[np.float32],
    mse_unit: npt.NDArray[np.float32],
) -> list[dict[str, Any]]:
    """One row per face and rated step of one batch of N faces, rated K times.

    Parameters
    ----------
    step
        int64 [K], increasing: updates made before each rating.
    seconds_per_face
        float64 [K]: time until then, divided by N.
    perceptual, mse_unit
        float32 [K, N] of the full generator's image; not finite where a face was not rated any more, which becomes an
        empty cell.

    Raises
    ------
    ValueError
        Shapes that do not fit.
    """
    expected = (len(step), len(face_ids))
    for name, array in (("perceptual", perceptual), ("mse_unit", mse_unit)):
        if array.shape != expected:
            raise ValueError(f"{name}: expected shape [K, N] = {list(expected)}, got {list(array.shape)}")
    if step.ndim != 1 or seconds_per_face.shape != step.shape:
        raise ValueError(f"expected seconds_per_face [K] = [{len(step)}], got {list(seconds_per_face.shape)}")
    return [
        {
            "face_id": face,
            "inverter_id": inverter_id,
            "step": int(step[k]),
            "seconds_per_face": float(seconds_per_face[k]),
            "lpips": _finite(perceptual[k, i]),
            "mse_unit": _finite(mse_unit[k, i]),
        }
        for i, face in enumerate(face_ids)
        for k in range(len(step))
    ]


def _finite(value: np.float32) -> float | None:
    return float(value) if np.isfinite(value) else None
