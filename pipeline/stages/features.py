"""Feature spaces as matrices, joined with what is known about each face."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from classifiers.checks import check_varies
from classifiers.splits import SplitError
from pipeline import overrides, spaces, tables, units
from pipeline.errors import UserError
from pipeline.paths import Paths

_KNOWN = ("video_id", "track_id", "label", "source_group")
_BATCH_ROWS = 1024
# A project -> face ids, vectors float32 [n, d] and what made them.
Reader = Callable[[Paths], tuple[list[str], NDArray[np.float32], str]]


@dataclass(frozen=True)
class PartFacts:
    """What one part of a space is made of: its name, the stored space, who made the vectors, how many numbers."""

    part: str
    space: str
    feature_id: str
    n_dims: int


@dataclass(frozen=True)
class Features:
    """Vectors of one space.

    Attributes
    ----------
    vectors
        float32 [n_faces, n_dims], in the order of `faces`.
    faces
        One row per face: face_id, video_id, track_id, label, source_group.
    feature_id
        What made the vectors: the inverter's or the embedder's id; joined by ' + ' where a space has several parts.
    parts
        The space's parts in order; their widths add up to n_dims.
    """

    space: str
    vectors: NDArray[np.float32]
    faces: pd.DataFrame
    feature_id: str
    parts: tuple[PartFacts, ...] = field(default=())

    @property
    def blocks(self) -> tuple[int, ...]:
        """Widths of the parts where there are several: what classifiers need so that none drowns another."""
        return tuple(p.n_dims for p in self.parts) if len(self.parts) > 1 else ()

    def subset(self, keep: NDArray[np.bool_]) -> Features:
        """Rows where ``keep`` is true; nothing is copied where it is true everywhere."""
        if keep.all():
            return self
        faces = self.faces[keep].reset_index(drop=True)
        return Features(self.space, self.vectors[keep], faces, self.feature_id, self.parts)


def load(
    paths: Paths,
    space: str,
    *,
    worked_out: Mapping[str, Reader] = MappingProxyType({}),
    blended: bool = False,
    only: Collection[str] | None = None,
) -> Features:
    """Read one space, as `pipeline.spaces` names it; empty where a table of its parts is.

    Faces that lack the vector of any part are left out.

    Parameters
    ----------
    worked_out
        Readers of spaces that no table holds, such as ``residual``.
    blended
        Of the self-blended faces instead, which are for training alone; empty where none were made, or where no table
        holds a part's vectors of them.
    only
        Read the vectors of these faces alone, of spaces that tables hold.

    Raises
    ------
    UserError
        A table is missing, holds vectors of several makers, of unequal length, of NaN, of one face twice or of faces
        that nobody knows, or a channel is asked for that is not there.
    """
    try:
        parts = spaces.parse(space)
        if blended and not all(_has_blended(paths, part) for part in parts):
            return Features(space, np.zeros((0, 1), np.float32), pd.DataFrame(columns=["face_id", *_KNOWN]), "")
        read = partial(_read, blended=blended, only=only)
        loaded = [(part, *worked_out.get(part.base, partial(read, part=part))(paths)) for part in parts]
    except ValueError as error:
        raise UserError(f"space '{space}': {error}") from error
    known = _known(paths, blended=blended)
    common = set.intersection(*(set(ids) for _, ids, _, _ in loaded))
    order = [i for i in loaded[0][1] if i in common]
    if not order:
        return Features(space, np.zeros((0, 1), np.float32), known.iloc[:0].reset_index(), "")
    if strangers := [i for i in order if i not in known.index]:
        raise UserError(
            f"space '{space}': {len(strangers)} vectors belong to faces that the table 'faces' does not hold "
            f"(the first is {strangers[0]}): run `dvc repro`"
        )
    facts = tuple(PartFacts(part.name, part.base, maker, m.shape[1]) for part, _, m, maker in loaded)
    matrices = [_in_order(ids, matrix, order) for _, ids, matrix, _ in loaded]
    vectors = matrices[0] if len(matrices) == 1 else np.concatenate(matrices, axis=1)
    return Features(space, vectors, known.loc[order].reset_index(), " + ".join(f.feature_id for f in facts), facts)


def _has_blended(paths: Paths, part: spaces.Part) -> bool:
    return part.base in spaces.SOURCES and tables.exists(paths.table(f"{spaces.SOURCES[part.base][0]}_blended"))


def _read(
    paths: Paths, *, part: spaces.Part, blended: bool, only: Collection[str] | None
) -> tuple[list[str], NDArray[np.float32], str]:
    """Face ids, vectors of the part (float32 [n, d]) and their maker."""
    if part.base not in spaces.SOURCES:
        raise UserError(f"this stage does not work out the space '{part.base}', which no table holds")
    name, column, id_column = spaces.SOURCES[part.base]
    name = f"{name}_blended" if blended else name
    path = paths.table(name)
    wanted = pc.is_valid(ds.field(column))
    # One table for both codecs, and one for both kinds of embeddings.
    if column == "code" or part.base == "frequency":
        wanted &= pc.starts_with(ds.field(id_column), f"{part.base}-")
    elif part.base == "efficientnet":
        wanted &= ~pc.starts_with(ds.field(id_column), "frequency-")
    if only is not None:
        wanted &= ds.field("face_id").isin(list(only))
    columns = ["face_id", id_column, column]
    ids: list[str] = []
    makers: set[str] = set()
    matrix: NDArray[np.float32] | None = None
    n_dims, keep = 0, None
    for batch in tables.read_batches(path, name, columns=columns, where=wanted, batch_rows=_BATCH_ROWS):
        if not batch.num_rows:
            continue
        vectors = batch.column(column)
        lengths = {n_dims or int(pc.list_value_length(vectors)[0].as_py())}
        lengths |= {int(n) for n in pc.unique(pc.list_value_length(vectors)).to_pylist()}
        if len(lengths) > 1:
            raise UserError(f"vectors of different lengths in one table '{name}': {sorted(lengths)}: run `dvc repro`")
        if matrix is None:
            n_dims = lengths.pop()
            keep = part.columns(n_dims)
            # As long as the table may be; rows that stay empty take no memory. No second copy is ever made.
            matrix = np.empty((tables.n_rows(path), n_dims if keep is None else len(keep)), np.float32)
        rows = _matrix(vectors, n_dims)
        matrix[len(ids) : len(ids) + len(rows)] = rows if keep is None else rows[:, keep]
        ids += batch.column("face_id").to_pylist()
        makers.update(pc.unique(batch.column(id_column)).to_pylist())
    if matrix is None:
        return [], np.zeros((0, 1), np.float32), ""
    if len(makers) != 1:
        raise UserError(
            f"table '{name}' holds vectors of {len(makers)} makers ({sorted(makers)}), expected one: run `dvc repro`"
        )
    _check_rows(ids, matrix[: len(ids)], name)
    return ids, matrix[: len(ids)], makers.pop()


def _matrix(column: pa.ListArray, n_dims: int) -> NDArray[np.float32]:
    """Vectors of equal length as one matrix, without a copy per row."""
    return np.asarray(column.flatten().to_numpy(zero_copy_only=False), dtype=np.float32).reshape(-1, n_dims)


def _check_rows(ids: list[str], matrix: NDArray[np.float32], name: str) -> None:
    """Refuse a table that holds a face twice or a vector that is not finite; the table's writer did not look inside."""
    if len(set(ids)) < len(ids):
        twice = next(i for n, i in enumerate(ids) if i in set(ids[:n]))
        raise UserError(f"table '{name}' holds {len(ids) - len(set(ids))} faces twice (the first is {twice})")
    chunks = range(0, len(ids), _BATCH_ROWS)
    bad = [ids[s + int(r)] for s in chunks for r in np.flatnonzero(~np.isfinite(matrix[s : s + _BATCH_ROWS]).all(1))]
    if bad:
        raise UserError(f"table '{name}': {len(bad)} of {len(ids)} vectors hold NaN or infinity (face {bad[0]})")


def _in_order(ids: list[str], matrix: NDArray[np.float32], order: list[str]) -> NDArray[np.float32]:
    if ids == order:
        return matrix
    place = {face: row for row, face in enumerate(ids)}
    return matrix[[place[face] for face in order]]


def labelled_channels(paths: Paths) -> tuple[Features, NDArray[np.float32]]:
    """Labelled W+ codes as [n, n_channels, w_dim], by split unit.

    Raises
    ------
    SplitError, ConstantError
        No face has a label, or all codes are the same.
    """
    inside = by_unit(labelled(load(paths, "wplus"), paths), paths)
    if inside.faces.empty:
        raise SplitError("no face has a label")
    check_varies(inside.vectors, what="W+ codes")
    n_channels = int(tables.read(paths.table("wplus"), "wplus", columns=["n_channels"]).column(0)[0].as_py())
    return inside, inside.vectors.reshape(len(inside.faces), n_channels, -1)


def _known(paths: Paths, *, blended: bool) -> pd.DataFrame:
    name = "blended" if blended else "faces"
    columns = ["face_id", *(_KNOWN if not blended else [c for c in _KNOWN if c != "track_id"])]
    return tables.read_pandas(paths.table(name), name, columns=columns).set_index("face_id")


def corrected(features: Features, paths: Paths) -> Features:
    """The same with the labels that people corrected, without the faces they excluded."""
    faces = overrides.apply(features.faces, paths)
    keep = features.faces["face_id"].isin(faces["face_id"]).to_numpy()
    return replace(features.subset(keep), faces=faces.reset_index(drop=True))


def labelled(features: Features, paths: Paths) -> Features:
    """Faces that are known to be real or fake, as people corrected them."""
    features = corrected(features, paths)
    return features.subset(features.faces["label"].notna().to_numpy())


def by_unit(features: Features, paths: Paths) -> Features:
    """The same faces with their split unit for ``source_group``, so that nothing later parts what the split kept."""
    return replace(features, faces=units.by_unit(features.faces, paths))


def join_splits(features: Features, paths: Paths) -> tuple[Features, pd.DataFrame]:
    """Faces of videos in the ``splits`` table, by unit, with their split and fold."""
    splits = tables.read_pandas(paths.table("splits"), "splits", columns=["video_id", "split", "fold"])
    features = labelled(features, paths)
    inside = features.subset(features.faces["video_id"].isin(splits["video_id"]).to_numpy())
    return by_unit(inside, paths), splits.set_index("video_id").loc[inside.faces["video_id"]].reset_index()
