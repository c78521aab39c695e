"""Checked, sorted, atomic Parquet: the only way tables are written or read."""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from pipeline.errors import UserError
from pipeline.schemas import SCHEMA_VERSION, TABLES, Column, Table

_META_KEY = b"latentforensics"


class TableError(ValueError):
    """A table's contents break its declaration."""


def build(name: str, rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Make a checked Arrow table of ``rows`` (missing nullable columns become null).

    Raises
    ------
    TableError
        Unknown or missing columns, wrong types, values out of range, repeated keys; the message names the column.
    """
    table = TABLES[name]
    names = set(table.column_names)
    for row in rows:
        if unknown := set(row) - names:
            raise TableError(f"table {name}: unknown column {sorted(unknown)[0]!r}; known: {table.column_names}")
    try:
        data = pa.table(
            [pa.array([row.get(c.name) for row in rows], type=c.type) for c in table.columns], schema=table.arrow
        )
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise TableError(f"table {name}: {error}") from error
    check(name, data)
    return data


def check(name: str, data: pa.Table) -> None:
    """Check columns, types, nulls, allowed values, ranges and the key of one table; TableError says what is wrong."""
    table = TABLES[name]
    if data.column_names != table.column_names:
        raise TableError(f"table {name}: columns {data.column_names}, expected {table.column_names}")
    for column in table.columns:
        _check_column(name, column, data.column(column.name))
    keys = data.select(list(table.key))
    n_unique = keys.group_by(list(table.key)).aggregate([]).num_rows
    if n_unique != data.num_rows:
        raise TableError(f"table {name}: {data.num_rows - n_unique} rows repeat the key {table.key}")


def _check_column(name: str, column: Column, values: pa.ChunkedArray) -> None:
    where = f"table {name}, column {column.name}"
    if values.type != column.type:
        raise TableError(f"{where}: type {values.type}, expected {column.type}")
    if not column.nullable and values.null_count:
        raise TableError(f"{where}: {values.null_count} empty values, none allowed")
    if column.allowed and len(values):
        bad = set(pc.unique(values).to_pylist()) - set(column.allowed) - {None}
        if bad:
            raise TableError(f"{where}: {sorted(bad)[0]!r} is not one of {column.allowed}")
    if column.pattern and len(values):
        bad = {v for v in pc.unique(values).to_pylist() if v is not None and not re.match(column.pattern, v)}
        if bad:
            raise TableError(f"{where}: {sorted(bad)[0]!r} does not match {column.pattern}")
    if pa.types.is_floating(column.type) and not column.nullable and pc.any(pc.is_nan(values)).as_py():
        raise TableError(f"{where}: NaN")
    if (column.low is not None or column.high is not None) and len(values):
        bounds = pc.min_max(values).as_py()
        low, high = bounds["min"], bounds["max"]
        if low is not None and column.low is not None and low < column.low:
            raise TableError(f"{where}: {low} is below {column.low}")
        if high is not None and column.high is not None and high > column.high:
            raise TableError(f"{where}: {high} is above {column.high}")


def _with_meta(data: pa.Table, name: str, meta: Mapping[str, Any]) -> pa.Table:
    record = {"table": name, "schema_version": SCHEMA_VERSION, **meta}
    return data.cast(TABLES[name].arrow).replace_schema_metadata(
        {_META_KEY: json.dumps(record, sort_keys=True).encode()}
    )


def write_file(data: pa.Table, path: Path, *, name: str, meta: Mapping[str, Any]) -> None:
    """Write one checked, sorted Parquet file under a temporary name, then rename it into place."""
    check(name, data)
    data = data.sort_by([(c, "ascending") for c in TABLES[name].sort])
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        pq.write_table(_with_meta(data, name, meta), temporary, compression="zstd")
        os.replace(temporary, path)  # noqa: PTH105 - os.replace is the documented atomic rename
    finally:
        temporary.unlink(missing_ok=True)


def write_rows(rows: Sequence[Mapping[str, Any]], path: Path, *, name: str, meta: Mapping[str, Any]) -> None:
    """Build and write a table that fits in memory; a ``data`` table gets one shard in the folder ``path``."""
    data = build(name, rows)
    if TABLES[name].folder == "data":
        write_shards([data], path, name=name, meta=meta)
    else:
        write_file(data, path, name=name, meta=meta)


def write_shards(parts: Iterable[pa.Table], folder: Path, *, name: str, meta: Mapping[str, Any]) -> int:
    """Write ``parts`` as ``part-00000.parquet``, ... of a new folder that replaces ``folder``; return the row count.

    Raises
    ------
    TableError
        A part breaks the declaration, or a key occurs in two parts.
    """
    temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}.tmp")
    temporary.mkdir(parents=True)
    table = TABLES[name]
    seen: set[tuple[Any, ...]] = set()
    n_rows = 0
    try:
        for index, part in enumerate(parts):
            write_file(part, temporary / f"part-{index:05d}.parquet", name=name, meta=meta)
            keys = list(zip(*(part.column(k).to_pylist() for k in table.key), strict=True))
            if not seen.isdisjoint(keys):
                raise TableError(f"table {name}: shard {index} repeats a key of an earlier shard")
            seen.update(keys)
            n_rows += len(keys)
        if not any(temporary.iterdir()):
            write_file(build(name, []), temporary / "part-00000.parquet", name=name, meta=meta)
        if folder.exists():
            shutil.rmtree(folder)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return n_rows


def exists(path: Path) -> bool:
    """Whether a table has been written at ``path``."""
    return path.is_file() or (path.is_dir() and any(path.glob("*.parquet")))


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.glob("part-*.parquet"))


def _checked_files(path: Path, name: str) -> list[Path]:
    files = _files(path)
    if not files:
        raise UserError(f"table '{name}' is not there ({path}): run the stage that makes it, or `dvc repro`")
    try:
        meta = metadata(path)
    except pa.ArrowInvalid as error:
        raise UserError(f"{files[0]} is not a readable Parquet file: {error}") from error
    if meta.get("table") != name:
        raise UserError(f"{files[0]} does not hold the table '{name}' (its metadata says {meta.get('table')!r})")
    if meta.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{files[0]} has schema version {meta.get('schema_version')}, this program reads {SCHEMA_VERSION}: "
            "run `dvc repro`"
        )
    return files


def metadata(path: Path) -> dict[str, Any]:
    """What the writer recorded with the table: name, schema version, fingerprint and more; empty for a foreign file."""
    files = _files(path)
    if not files:
        return {}
    raw = (pq.read_schema(files[0]).metadata or {}).get(_META_KEY)
    return json.loads(raw) if raw else {}


def n_rows(path: Path) -> int:
    """Number of rows of a table, from its files' footers; 0 where there is none."""
    return sum(pq.read_metadata(file).num_rows for file in _files(path))


def read(path: Path, name: str, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a whole table, or only ``columns`` of it (leave vectors and images out unless they are needed)."""
    files = _checked_files(path, name)
    return ds.dataset(files, schema=TABLES[name].arrow).to_table(columns=list(columns) if columns else None)


def read_pandas(path: Path, name: str, *, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Like `read`, as a DataFrame."""
    return read(path, name, columns=columns).to_pandas()


def read_batches(
    path: Path,
    name: str,
    *,
    columns: Sequence[str] | None = None,
    where: pc.Expression | None = None,
    batch_rows: int = 256,
) -> Iterator[pa.RecordBatch]:
    """Stream a table in batches of at most ``batch_rows`` rows, filtered by an Arrow expression."""
    files = _checked_files(path, name)
    dataset = ds.dataset(files, schema=TABLES[name].arrow)
    yield from dataset.to_batches(
        columns=list(columns) if columns else None,
        filter=where,
        batch_size=batch_rows,
        fragment_readahead=1,
        batch_readahead=1,
    )


def describe(table: Table) -> str:
    """A table's entry of the dictionary, in Markdown."""
    lines = [f"## {table.name}", "", table.meaning, "", f"Key: `{', '.join(table.key)}`", ""]
    lines += ["| column | type | unit | meaning |", "|---|---|---|---|"]
    for c in table.columns:
        meaning = (
            c.meaning + (f" ({', '.join(c.allowed)})" if c.allowed else "") + (" (may be empty)" if c.nullable else "")
        )
        lines.append(f"| {c.name} | {c.type} | {c.unit} | {meaning} |")
    return "\n".join(lines) + "\n"
