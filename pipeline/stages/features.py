"""Feature spaces as matrices, joined with what is known about each face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from pipeline import tables
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.schemas import TABLES

# Space -> table, vector column and the column that names its maker.
_SOURCE = {
    "wplus": ("wplus", "wplus", "inverter_id"),
    "efficientnet": ("embeddings", "embedding", "embedder_id"),
    "pca": ("codes", "code", "codec_id"),
    "vqvae": ("codes", "code", "codec_id"),
}
_KNOWN = ["face_id", "video_id", "label", "source_group"]


@dataclass(frozen=True)
class Features:
    """Vectors of one space.

    Attributes
    ----------
    vectors
        float32 [n_faces, n_dims], in the order of `faces`.
    faces
        One row per face: face_id, video_id, label, source_group.
    feature_id
        What made the vectors: the inverter's or the embedder's id.
    """

    space: str
    vectors: NDArray[np.float32]
    faces: pd.DataFrame
    feature_id: str

    def subset(self, keep: NDArray[np.bool_]) -> Features:
        """Rows where ``keep`` is true."""
        return Features(self.space, self.vectors[keep], self.faces[keep].reset_index(drop=True), self.feature_id)


def load(paths: Paths, space: str, *, blended: bool = False) -> Features:
    """Read one space; empty where its table is; UserError where that is missing or holds vectors of several makers.

    ``blended``: of the self-blended faces instead, which are for training alone; empty where there is no such table.
    """
    name, column, id_column = _SOURCE[space]
    known = "blended" if blended else "faces"
    if blended:
        name = f"{name}_blended"
        if not tables.exists(paths.table(name)):
            return Features(space, np.zeros((0, 1), np.float32), pd.DataFrame(columns=_KNOWN), "")
    wanted = pc.is_valid(ds.field(column))
    if column == "code":  # one table for both codecs, whose ids begin with the space
        wanted &= pc.starts_with(ds.field("codec_id"), f"{space}-")
    columns = ["face_id", id_column, column]
    schema = pa.schema([TABLES[name].arrow.field(c) for c in columns])
    batches = tables.read_batches(paths.table(name), name, columns=columns, where=wanted, batch_rows=4096)
    data = pa.Table.from_batches((b.cast(schema) for b in batches), schema=schema)
    if data.num_rows == 0:
        return Features(space, np.zeros((0, 1), np.float32), _known(paths, known).iloc[:0].reset_index(), "")
    makers = pc.unique(data.column(id_column)).to_pylist()
    if len(makers) != 1:
        raise UserError(
            f"table '{name}' holds vectors of {len(makers)} makers ({makers}), expected one: run `dvc repro`"
        )
    faces = _known(paths, known).loc[data.column("face_id").to_pylist()].reset_index()
    return Features(space, _matrix(data.column(column)), faces, makers[0])


def _known(paths: Paths, name: str) -> pd.DataFrame:
    return tables.read_pandas(paths.table(name), name, columns=_KNOWN).set_index("face_id")


def _matrix(column: pa.ChunkedArray) -> NDArray[np.float32]:
    """Vectors of equal length as one matrix, without a copy per row."""
    chunks = [c for c in column.chunks if len(c)]
    lengths = {int(n) for c in chunks for n in pc.unique(pc.list_value_length(c)).to_pylist()}
    if len(lengths) != 1:
        raise UserError(f"vectors of different lengths in one table: {sorted(lengths)}")
    n_dims = lengths.pop()
    return np.concatenate([c.flatten().to_numpy(zero_copy_only=False).reshape(-1, n_dims) for c in chunks])


def labelled(features: Features) -> Features:
    """Faces of videos that are known to be real or fake."""
    return features.subset(features.faces["label"].notna().to_numpy())


def join_splits(features: Features, paths: Paths) -> tuple[Features, pd.DataFrame]:
    """Faces of videos in the ``splits`` table, with their split and fold."""
    splits = tables.read_pandas(paths.table("splits"), "splits", columns=["video_id", "split", "fold"])
    inside = features.subset(features.faces["video_id"].isin(splits["video_id"]).to_numpy())
    return inside, splits.set_index("video_id").loc[inside.faces["video_id"]].reset_index()
