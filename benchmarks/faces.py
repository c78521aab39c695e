"""The faces a benchmark measures on: the last ones of a folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from inversion.pixels import to_unit
from inversion.training import face_files


def last_faces(folder: Path, n_faces: int) -> list[Path]:
    """The last `n_faces` images of a folder by name; ValueError where there are none."""
    if n_faces < 1 or not folder.is_dir():
        raise ValueError(f"expected a folder and at least one face, got {folder} and {n_faces}")
    files = face_files(folder)[-n_faces:]
    if not files:
        raise ValueError(f"{folder} holds no .jpg, .jpeg or .png")
    return files


def read_faces(files: list[Path]) -> Tensor:
    """float32 [N, 3, H, W] in [-1, 1]; all of one size."""
    return to_unit(np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files]))
