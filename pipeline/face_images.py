"""Stored faces one after another, decoded, without holding them all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray

from pipeline import tables
from pipeline.errors import UserError
from pipeline.paths import Paths


def usable_faces(paths: Paths, columns: Sequence[str]) -> Iterator[tuple[dict[str, Any], NDArray[np.uint8]]]:
    """Every usable face: some of its columns, ``face_id`` among them, and its picture uint8 [H, W, 3] RGB.

    Raises
    ------
    UserError
        The table is missing, or a picture in it cannot be decoded.
    """
    wanted = list(dict.fromkeys(["face_id", *columns, "image"]))
    where = ds.field("status") == "ok"
    for batch in tables.read_batches(paths.table("faces"), "faces", columns=wanted, where=where, batch_rows=64):
        for row in batch.to_pylist():
            encoded = np.frombuffer(row.pop("image") or b"", dtype=np.uint8)
            bgr = cv2.imdecode(encoded, cv2.IMREAD_COLOR) if len(encoded) else None
            if bgr is None:
                raise UserError(
                    f"the picture of face {row['face_id']} cannot be decoded: run `dvc repro --force faces`"
                )
            yield row, np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)
