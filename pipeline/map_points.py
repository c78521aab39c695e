"""A stored 2-D map as points to cluster."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from pipeline import tables
from pipeline.paths import Paths

_COLUMNS = ("face_id", "map_id", "x", "y")


def flat_map(paths: Paths, space: str, face_ids: Sequence[str]) -> tuple[NDArray[np.float32], str]:
    """The 2-D map of a feature space, t-SNE's where there is one.

    Returns
    -------
    float32 [n, 2] in the order of ``face_ids``, and the map's name without the feature space.

    Raises
    ------
    ValueError
        The table holds no 2-D map of this space, or the map lacks faces.
    """
    flat = pc.field("z").is_null()
    rows = [
        row
        for batch in tables.read_batches(paths.table("map"), "map", columns=_COLUMNS, where=flat, batch_rows=65_536)
        for row in zip(*(column.to_pylist() for column in batch.columns), strict=True)
        if row[1].startswith(f"{space}-")
    ]
    found = sorted({row[1] for row in rows}, key=lambda name: (not name.startswith(f"{space}-tsne"), name))
    if not found:
        raise ValueError("the table 'map' holds no 2-D map of this space; map.dims has to hold 2")
    place = {face: (x, y) for face, map_id, x, y in rows if map_id == found[0]}
    if missing := [face for face in face_ids if face not in place]:
        raise ValueError(f"map {found[0]} lacks {len(missing)} of {len(face_ids)} faces (the first is {missing[0]})")
    return np.array([place[face] for face in face_ids], dtype=np.float32).reshape(-1, 2), found[0][len(space) + 1 :]
