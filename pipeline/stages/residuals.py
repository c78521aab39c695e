"""The space ``residual``: what each face's reconstruction leaves over, worked out from the stored images."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyarrow.dataset as ds
from numpy.typing import NDArray

from embeddings.residual import RESIDUAL_ID, residual_features
from pipeline import tables
from pipeline.errors import UserError
from pipeline.paths import Paths

# Reconstructions held at once, encoded (about 0.1 MB each); the faces table is gone through once for each such chunk.
_CHUNK_ROWS = 2048


def read_residuals(paths: Paths) -> tuple[list[str], NDArray[np.float32], str]:
    """Face ids, residual features float32 [n, 267] and what made them; empty where nothing was inverted.

    Raises
    ------
    UserError
        A table is missing or made by several inverters, an image cannot be read or has another size than its face.
    """
    # Decoding every image takes minutes for a large project, and each classifier asks again.
    stamp = "-".join(str(tables.metadata(paths.table(n)).get("fingerprint")) for n in ("faces", "reconstructions"))
    ids, matrix, maker = _computed(paths, stamp)
    return list(ids), matrix, maker


@lru_cache(maxsize=1)
def _computed(paths: Paths, stamp: str) -> tuple[tuple[str, ...], NDArray[np.float32], str]:
    codes = tables.read_pandas(paths.table("wplus"), "wplus", columns=["face_id", "inverter_id", "lpips"])
    codes = codes.dropna(subset="lpips")
    makers = sorted(codes["inverter_id"].unique())
    if len(makers) > 1:
        raise UserError(f"table 'wplus' holds codes of {len(makers)} makers ({makers}), expected one: run `dvc repro`")
    distance = dict(zip(codes["face_id"], codes["lpips"], strict=True))
    ids: list[str] = []
    rows: list[NDArray[np.float32]] = []
    made: dict[str, bytes] = {}
    for batch in tables.read_batches(paths.table("reconstructions"), "reconstructions", columns=["face_id", "image"]):
        made |= dict(zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True))
        if len(made) >= _CHUNK_ROWS:
            _describe(paths, made, distance, ids, rows)
            made = {}
    _describe(paths, made, distance, ids, rows)
    if not ids:
        return (), np.zeros((0, 1), np.float32), ""
    matrix = np.concatenate(rows)
    matrix.flags.writeable = False
    return tuple(ids), matrix, f"{RESIDUAL_ID}-{makers[0]}"


def _describe(
    paths: Paths, made: dict[str, bytes], distance: dict[str, float], ids: list[str], rows: list[NDArray[np.float32]]
) -> None:
    """Add the faces that ``made`` holds the reconstructions of."""
    if not made:
        return
    from pipeline.ingest.encoding import decode_image  # brings OpenCV and the detectors; only this space needs it

    here = ds.field("face_id").isin(list(made))
    for batch in tables.read_batches(paths.table("faces"), "faces", columns=["face_id", "image"], where=here):
        faces = [(i, image) for i, image in zip(*(c.to_pylist() for c in batch.columns), strict=True) if i in distance]
        if not faces:
            continue
        try:
            originals = np.stack([decode_image(image) for _, image in faces])
            drawn = np.stack([decode_image(made[i]) for i, _ in faces])
            rows.append(residual_features(originals, drawn, np.array([distance[i] for i, _ in faces])))
        except ValueError as error:
            raise UserError(f"space 'residual', faces {faces[0][0]} to {faces[-1][0]}: {error}") from error
        ids += [i for i, _ in faces]
