"""Usable faces in fixed batches, streamed from the ``faces`` table in its order; images are decoded only on demand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from pipeline import runinfo, tables
from pipeline.ingest.faces import decode_image


@dataclass(frozen=True)
class FaceBatch:
    """Some faces; `key` depends on their ids alone, so a finished batch is found again.

    `encoded` is empty where images were not asked for.
    """

    index: int
    face_ids: list[str]
    encoded: list[bytes]

    @property
    def key(self) -> str:
        """Name of the batch's shard."""
        return f"{self.index:06d}-{runinfo.digest(self.face_ids, n_chars=8)}"

    def images(self) -> NDArray[np.uint8]:
        """Aligned faces, uint8 RGB [N, S, S, 3], in the order of `face_ids`."""
        return np.stack([decode_image(e) for e in self.encoded])


class FaceBatches:
    """All usable faces of a project, ``batch_size`` at a time; maybe none.

    ``blended`` batches are of the self-blended faces, every one of them usable; none where the stage has not run.
    """

    def __init__(self, folder: Path, *, batch_size: int, blended: bool = False) -> None:
        self.folder = folder
        self.batch_size = batch_size
        self.name = "blended" if blended else "faces"
        self._usable = None if blended else ds.field("status") == "ok"
        if blended:
            self.n_faces = tables.read(folder, "blended", columns=["k"]).num_rows if tables.exists(folder) else 0
        else:
            status = tables.read(folder, "faces", columns=["status"]).column("status")
            self.n_faces = pc.sum(pc.equal(status, "ok")).as_py() or 0

    @property
    def none(self) -> str | None:
        """Why there is nothing to do, None where there is."""
        return None if self.n_faces else "no usable face: the faces table tells status and reason of every frame"

    def __len__(self) -> int:
        return -(-self.n_faces // self.batch_size)

    def __iter__(self) -> Iterator[FaceBatch]:
        return self._read(images=True)

    def without_images(self) -> Iterator[FaceBatch]:
        """The same batches without their images, to tell which are finished."""
        return self._read(images=False)

    def _read(self, *, images: bool) -> Iterator[FaceBatch]:
        ids: list[str] = []
        encoded: list[bytes] = []
        index, size = 0, self.batch_size
        columns = ["face_id", "image"] if images else ["face_id"]
        if not self.n_faces:
            return
        for rows in tables.read_batches(self.folder, self.name, columns=columns, where=self._usable):
            ids += rows.column(0).to_pylist()
            encoded += rows.column(1).to_pylist() if images else []
            while len(ids) >= size:
                yield FaceBatch(index, ids[:size], encoded[:size])
                ids, encoded, index = ids[size:], encoded[size:], index + 1
        if ids:
            yield FaceBatch(index, ids, encoded)
