"""Faces like one face: exact nearest neighbours among stored vectors. Nothing here draws.

Parquet takes seconds to unpack, so a space's vectors are laid out once as a plain file under ``work/neighbours``, as
large as they are in memory, and mapped: a search is one product with every vector, and the pages it touches are the
system's to keep or drop (docs/decisions.md has the times).
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st
from numpy.typing import NDArray

from dashboard import data
from pipeline import locks, spaces, tables
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.predict.neighbours import metric_of

_BATCH_ROWS = 4096
_SPARE = 4  # times as many candidates as wanted are measured anew, without the rounding of the quick pass
_WAIT_S = 120.0  # laying out 130,000 vectors takes another server so long at most
Float32 = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Vectors:
    """A space's vectors. Shared between sessions: read-only.

    Attributes
    ----------
    ids : text [n].
    matrix : float32 [n, d], mapped from a file.
    squares : float64 [n], squared lengths.
    mean : float32 [d].
    """

    ids: NDArray[np.str_]
    matrix: Float32
    squares: NDArray[np.float64]
    mean: Float32


def like(face: str, base: str, *, k: int) -> tuple[list[str], NDArray[np.float64]]:
    """The ``k`` faces nearest to one in a stored space, nearest first, without itself, and their distances.

    W+ and PCA codes are compared by length; activations of a network by direction, seen from the mean of all faces
    (`pipeline.predict.neighbours`).

    Raises
    ------
    UserError
        The space's table cannot be read, or does not hold the face; one sentence.
    """
    project = data.project()
    path = project.table(spaces.SOURCES[base][0])
    vectors = _load(str(path), data.signature(path), base, str(project.root.resolve()))
    rows = np.flatnonzero(vectors.ids == face)
    if not len(rows):
        raise UserError(f"face '{face}' has no vector in the space '{base}'")
    by_length = metric_of([base]) == "euclidean"
    return nearest(vectors, int(rows[0]), k=k, by_length=by_length)


def nearest(vectors: Vectors, row: int, *, k: int, by_length: bool) -> tuple[list[str], NDArray[np.float64]]:
    """Ids of the ``k`` rows nearest to one, without it, and their distances: Euclidean, or 1 - cosine from the mean."""
    centre = np.zeros_like(vectors.mean) if by_length else vectors.mean
    query = vectors.matrix[row] - centre
    pair = np.stack([query, centre], axis=1)  # [d, 2]: one pass gives both products
    products = np.concatenate(
        [vectors.matrix[s : s + _BATCH_ROWS] @ pair for s in range(0, len(vectors.ids), _BATCH_ROWS)]
    ).astype(np.float64)
    squares = vectors.squares - 2 * products[:, 1] + float(centre @ centre)  # of what is seen from the centre
    along = products[:, 0] - float(centre @ query)
    if by_length:
        distance = squares - 2 * along  # + |query|^2, the same for all
    else:
        distance = -np.divide(along, np.sqrt(np.maximum(squares, 0)), out=np.zeros_like(along), where=squares > 0)
    distance[row] = np.inf
    few = min(_SPARE * k, len(distance))
    candidates = np.argpartition(distance, few - 1)[:few]
    candidates = candidates[(candidates != row) & np.isfinite(distance[candidates])]
    seen = vectors.matrix[candidates].astype(np.float64) - centre
    if by_length:
        exact = np.linalg.norm(seen - query, axis=1)
    else:
        lengths = np.linalg.norm(seen, axis=1) * np.linalg.norm(query)
        exact = 1 - np.divide(seen @ query, lengths, out=np.zeros(len(seen)), where=lengths > 0)
    order = np.lexsort((candidates, exact))[:k]
    return [str(i) for i in vectors.ids[candidates[order]]], exact[order]


@st.cache_resource(max_entries=2, show_spinner="Laying out the vectors, once for each space ...")
def _load(path: str, files: data.Signature, base: str, root: str) -> Vectors:
    name = hashlib.sha256(repr((path, files, base)).encode()).hexdigest()[:16]
    folder = Path(root) / "work" / "neighbours"
    raw, facts = (folder / f"{base}-{name}.{end}" for end in ("f32", "npz"))
    try:
        if raw.is_file() and facts.is_file():  # readers need no lock, and no folder that can be written
            return _open(raw, facts)
        with locks.alone(Paths(Path(root)), f"neighbours-{base}", wait_s=_WAIT_S):
            if not (raw.is_file() and facts.is_file()):
                _lay_out(Path(path), base, raw, facts)
            return _open(raw, facts)
    except OSError as error:
        raise UserError(f"vectors cannot be laid out in {folder}: {error.strerror or error}") from error


def _open(raw: Path, facts: Path) -> Vectors:
    with np.load(facts, allow_pickle=False) as stored:
        ids, squares, mean = stored["ids"], stored["squares"], stored["mean"]
    return Vectors(ids, np.memmap(raw, dtype=np.float32, mode="r", shape=(len(ids), len(mean))), squares, mean)


def _lay_out(path: Path, base: str, raw: Path, facts: Path) -> None:
    """Write the vectors and what is known of them, each under a temporary name first; drop those of an older table."""
    raw.parent.mkdir(parents=True, exist_ok=True)
    temporary, known = (file.with_name(f".{file.name}.{uuid.uuid4().hex}.tmp") for file in (raw, facts))
    ids: list[NDArray[np.str_]] = []
    squares: list[NDArray[np.float64]] = []
    total: NDArray[np.float64] | None = None
    try:
        with temporary.open("wb") as out:
            for part, vectors in _pieces(path, base):
                if total is not None and vectors.shape[1] != len(total):
                    raise UserError(f"vectors of different lengths in one table ({path}): run `dvc repro`")
                out.write(np.ascontiguousarray(vectors).data)
                ids.append(part)
                squares.append(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))
                total = (0 if total is None else total) + vectors.sum(axis=0, dtype=np.float64)
        if total is None:
            raise UserError(f"table '{path.name}' has no vectors of the space '{base}'")
        every = np.concatenate(ids)
        if len(np.unique(every)) < len(every):
            raise UserError(f"table '{path.name}' holds several vectors of one face in the space '{base}'")
        for old in raw.parent.glob(f"{base}-*"):
            old.unlink(missing_ok=True)
        mean = (total / len(every)).astype(np.float32)
        with known.open("wb") as out:
            np.savez(out, ids=every, squares=np.concatenate(squares), mean=mean)
        temporary.rename(raw)
        known.rename(facts)
    finally:
        temporary.unlink(missing_ok=True)
        known.unlink(missing_ok=True)


def _pieces(path: Path, base: str) -> Iterator[tuple[NDArray[np.str_], Float32]]:
    """Ids [n] and vectors float32 [n, d] of a stored space, finite ones alone."""
    name, column, maker = spaces.SOURCES[base]
    try:
        for batch in tables.read_batches(path, name, columns=["face_id", maker, column], batch_rows=_BATCH_ROWS):
            makers = pc.unique(batch.column(maker)).to_pylist()
            mine = pa.array([m for m in makers if spaces.is_made_for(m, base)], pa.string())
            wanted = pc.and_(pc.is_in(batch.column(maker), mine), pc.is_valid(batch.column(column)))
            if not pc.all(wanted).as_py():
                batch = batch.filter(wanted)
            if batch.num_rows:
                flat = batch.column(column).flatten().to_numpy(zero_copy_only=False)
                vectors = np.asarray(flat, dtype=np.float32).reshape(batch.num_rows, -1)
                finite = np.isfinite(vectors).all(axis=1)
                yield np.array(batch.column("face_id").to_pylist(), dtype=str)[finite], vectors[finite]
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"vectors of the space '{base}' cannot be read from {path}: {str(error)[:200]}") from error
