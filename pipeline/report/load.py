"""Tables from a project folder for the report: without vectors and images, and single images by id."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from pipeline import tables
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.schemas import TABLES

REPORTED = (
    "videos", "faces", "overrides", "wplus", "codes", "predictions", "metrics", "method_metrics", "comparisons",
    "study", "effort", "importance", "learning", "map", "map_quality", "clusters", "cluster_tree", "cluster_grid",
    "cluster_profiles", "cluster_information", "cluster_channels", "cluster_faces",
    "slices", "shortcuts", "channel_groups", "agreement", "channel_effects",
)  # fmt: skip
# Their lists are short and their images few, and shown.
WHOLE = frozenset({"slices", "channel_groups", "channel_effects", "cluster_profiles", "cluster_faces"})

# What a damaged or foreign file makes Arrow and the JSON reader raise.
_UNREADABLE = (pa.ArrowException, OSError, ValueError, TypeError, KeyError, AttributeError)


def light_columns(name: str) -> list[str]:
    """Columns of a table that are neither vectors nor images."""
    return [c.name for c in TABLES[name].columns if not (pa.types.is_list(c.type) or pa.types.is_binary(c.type))]


def read_light(
    path: Path, name: str, columns: Sequence[str] | None = None, *, where: pc.Expression | None = None
) -> pd.DataFrame:
    """Read ``columns`` of a table (all light ones by default), of the rows that an Arrow expression picks.

    Raises
    ------
    UserError
        The table is missing, truncated, another table or of another schema; the message is one sentence.
    """
    wanted = list(columns) if columns is not None else light_columns(name)
    try:
        schema = pa.schema([TABLES[name].arrow.field(c) for c in wanted])
        batches = tables.read_batches(path, name, columns=wanted, where=where, batch_rows=65_536)
        data = pa.Table.from_batches(batches, schema=schema)
    except _UNREADABLE as error:
        raise UserError(
            f"table '{name}' cannot be read from {path}: {_first_line(error)}; run `dvc repro` again"
        ) from error
    for column in TABLES[name].columns:
        if column.name in wanted and not column.nullable and data.column(column.name).null_count:
            raise UserError(
                f"table '{name}' ({path}) has empty values in column '{column.name}', where every row needs one: "
                "the file was not written by this program; run `dvc repro` again"
            )
    return data.to_pandas()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200].rstrip(".")


def locate(path: Path, name: str) -> dict[str, tuple[str, ...]]:
    """Which shards hold which ``face_id``: id -> file names (several if inverters differ). Reads only the ids.

    A shard's images are one block, so a look-up over all shards would decode every image of the table to find a few.
    """
    out: dict[str, tuple[str, ...]] = {}
    for file in [path] if path.is_file() else sorted(path.glob("part-*.parquet")):
        for face_ids in _column(file, name):
            out.update(
                {face: (*out.get(face, ()), file.name) for face in face_ids if file.name not in out.get(face, ())}
            )
    if not out and not tables.exists(path):
        raise UserError(f"table '{name}' is not there ({path}): run the stage that makes it, or `dvc repro`")
    return out


def _column(file: Path, name: str) -> Iterator[list[str]]:
    try:
        for batch in tables.read_batches(file, name, columns=["face_id"], batch_rows=65_536):
            yield batch.column("face_id").to_pylist()
    except _UNREADABLE as error:
        raise UserError(f"table '{name}' cannot be read from {file}: {_first_line(error)}") from error


def read_images(
    path: Path,
    name: str,
    face_ids: Sequence[str],
    *,
    projector_id: str | None = None,
    where: Mapping[str, tuple[str, ...]] | None = None,
) -> dict[str, bytes]:
    """Encoded images of some faces out of ``faces``, ``reconstructions`` or ``decoded``; other shards are not read.

    Parameters
    ----------
    projector_id : str, optional
        Inverter or codec whose images are wanted.
    where : mapping, optional
        What `locate` gave for this table; found anew where it is not handed in.

    Returns
    -------
    dict
        face_id -> bytes; ids that are not there, or have no image, are left out.
    """
    if not face_ids:
        return {}
    index = locate(path, name) if where is None else where
    out: dict[str, bytes] = {}
    for file in sorted({file for face in face_ids for file in index.get(face, ())}):
        rows = pc.field("face_id").isin([face for face in face_ids if file in index.get(face, ())])
        if projector_id is not None:
            rows = rows & (pc.field("codec_id" if name == "decoded" else "inverter_id") == projector_id)
        shard = path if path.is_file() else path / file
        try:
            for batch in tables.read_batches(shard, name, columns=["face_id", "image"], where=rows):
                pairs = zip(batch.column("face_id").to_pylist(), batch.column("image").to_pylist(), strict=True)
                out.update({face: image for face, image in pairs if image})
        except _UNREADABLE as error:
            raise UserError(f"images of table '{name}' cannot be read from {shard}: {_first_line(error)}") from error
    return out


def read_for_report(paths: Paths) -> dict[str, pd.DataFrame | str]:
    """Every table the report shows; where one cannot be read or has no rows, the sentence that says why."""
    out: dict[str, pd.DataFrame | str] = {}
    for name in REPORTED:
        try:
            table = read_light(paths.table(name), name, TABLES[name].column_names if name in WHOLE else None)
            # No corrections are an answer in themselves.
            out[name] = why_empty(paths.table(name), name) if table.empty and name != "overrides" else table
        except UserError as error:
            out[name] = str(error)
    return out


def why_empty(path: Path, name: str) -> str:
    """One sentence on a table without rows, with the reason its stage recorded."""
    meta = tables.metadata(path)
    skipped = meta.get("skipped") or []
    reason = meta.get("reason") or "; ".join(str(s) for s in skipped)
    return f"table '{name}' has no rows: {reason}" if reason else f"table '{name}' has no rows."


def recorded(paths: Paths) -> dict[str, dict[str, Any]]:
    """What the writer of each readable table recorded with it (``fingerprint``, ``weights``, ``perceptual``, ...)."""
    out = {}
    for name in TABLES:
        try:
            out[name] = tables.metadata(paths.table(name))
        except (pa.ArrowException, OSError, ValueError):
            continue  # `read_for_report` says what is wrong with it
    return {name: meta for name, meta in out.items() if meta}
