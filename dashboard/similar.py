"""Faces like one face: exact nearest neighbours among stored vectors, read in pieces. Nothing here draws.

No index is built or kept: one pass over the table finds the answer (docs/decisions.md has the time at 130,000 x 1,280).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import streamlit as st
from numpy.typing import NDArray

from dashboard import data
from pipeline import spaces, tables
from pipeline.errors import UserError
from pipeline.predict.neighbours import metric_of

_BATCH_ROWS = 4096
Piece = tuple[NDArray[np.str_], NDArray[np.float32]]


def like(face: str, base: str, *, k: int) -> tuple[list[str], NDArray[np.float64]]:
    """The ``k`` faces nearest to one in a stored space, nearest first, without itself, and their distances.

    W+ and PCA codes are compared by length; activations of a network by direction, seen from the mean of all faces
    (`pipeline.predict.neighbours`).

    Raises
    ------
    UserError
        The space's table cannot be read, or does not hold the face; one sentence.
    """
    path = data.project().table(spaces.SOURCES[base][0])
    files = data.signature(path)
    return _like(str(path), files, face, base, k)


@st.cache_data(max_entries=32, show_spinner="Comparing with every face ...")
def _like(path: str, files: data.Signature, face: str, base: str, k: int) -> tuple[list[str], NDArray[np.float64]]:
    by_length = metric_of([base]) == "euclidean"
    query = next((v[0] for _, v in _pieces(Path(path), base, only=face)), None)
    if query is None:
        raise UserError(f"face '{face}' has no vector in the space '{base}'")
    centre = np.zeros_like(query) if by_length else _mean(path, files, base)
    query = query - centre
    nearest_ids, nearest = np.empty(0, dtype=object), np.empty(0)
    for ids, vectors in _pieces(Path(path), base):
        if vectors.shape[1] != len(query):
            raise UserError(f"vectors of different lengths in one table ({path}): run `dvc repro`")
        distance = _distance(vectors, query, centre, by_length=by_length)
        distance[ids == face] = np.inf
        distance[~np.isfinite(distance)] = np.inf
        nearest_ids, nearest = np.append(nearest_ids, ids), np.append(nearest, distance)
        best = np.argsort(nearest, kind="stable")[:k]
        nearest_ids, nearest = nearest_ids[best], nearest[best]
    found = np.isfinite(nearest)
    return nearest_ids[found].tolist(), nearest[found]


def _distance(
    vectors: NDArray[np.float32], query: NDArray[np.float32], centre: NDArray[np.float32], *, by_length: bool
) -> NDArray[np.float64]:
    """Distance of vectors [n, d] to one [d] that is already centred: Euclidean, or 1 - cosine."""
    if by_length:
        return np.sqrt(((vectors - query) ** 2).sum(axis=1, dtype=np.float64))
    # (x - c) q / |x - c| without a copy of x: the products are what costs.
    products = (vectors @ query - centre @ query).astype(np.float64)
    squares = np.einsum("nd,nd->n", vectors, vectors) - 2 * (vectors @ centre) + centre @ centre
    lengths = np.sqrt(np.maximum(squares, 0).astype(np.float64)) * float(np.linalg.norm(query))
    return 1 - np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)


@st.cache_data(max_entries=4, show_spinner="Reading the vectors ...")
def _mean(path: str, files: data.Signature, base: str) -> NDArray[np.float32]:
    total, n = None, 0
    for _, vectors in _pieces(Path(path), base):
        part = vectors.sum(axis=0, dtype=np.float64)
        total, n = part if total is None else total + part, n + len(vectors)
    assert total is not None  # the query was found in the same table
    return (total / n).astype(np.float32)


def _pieces(path: Path, base: str, *, only: str | None = None) -> Iterator[Piece]:
    """Ids [n] and vectors float32 [n, d] of a stored space, or those of one face."""
    name, column, maker = spaces.SOURCES[base]
    where = pc.is_valid(pc.field(column))
    if only is not None:
        where &= pc.field("face_id") == only
    try:
        for batch in tables.read_batches(
            path, name, columns=["face_id", maker, column], where=where, batch_rows=_BATCH_ROWS
        ):
            mine = [m for m in pc.unique(batch.column(maker)).to_pylist() if spaces.is_made_for(m, base)]
            if len(mine) < len(pc.unique(batch.column(maker))):
                batch = batch.filter(pc.is_in(batch.column(maker), pa.array(mine, pa.string())))
            if batch.num_rows:
                flat = batch.column(column).flatten().to_numpy(zero_copy_only=False)
                ids = batch.column("face_id").to_numpy(zero_copy_only=False)
                yield ids, np.asarray(flat, dtype=np.float32).reshape(len(ids), -1)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise UserError(f"vectors of the space '{base}' cannot be read from {path}: {str(error)[:200]}") from error
