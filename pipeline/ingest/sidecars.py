"""What stands beside the files: ``labels.csv`` and Kaggle's ``metadata.json``, read into one form."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.ingest.records import CatalogueError

LABELS_CSV, METADATA_JSON = "labels.csv", "metadata.json"


@dataclass(frozen=True)
class Entry:
    """What a side file says about one file: `label` as written there, the rest None where it is not told."""

    file: str
    label: object
    where: str
    method: str | None = None
    source_group: str | None = None
    identity: str | None = None
    original: str | None = None
    compression: str | None = None
    split: str | None = None
    problem: str = ""


def read_labels_csv(path: Path, *, required: tuple[str, ...] = ("file", "label")) -> list[Entry]:
    """Read a table of labels; the separator may be a comma, a semicolon or a tab, the header in any case.

    Raises
    ------
    CatalogueError : not UTF-8, not CSV, no header, a `required` column missing, a column named twice.
    """
    text = _read_text(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    if not first:
        raise CatalogueError(f"{path} is empty; expected a header with the columns {', '.join(required)}.")
    delimiter = max(",;\t", key=first.count)
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip().lower() for name in next((row for row in rows if any(row)), [])]
        _check_header(path, header, required)
        return [_from_row(path, header, row, rows.line_num) for row in rows if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise CatalogueError(f"{path}, line {rows.line_num}, is not readable as CSV: {error}.") from error


def _check_header(path: Path, header: list[str], required: tuple[str, ...]) -> None:
    missing = [name for name in required if name not in header]
    if missing:
        raise CatalogueError(
            f"{path} has no column {' and no column '.join(map(repr, missing))}; its columns are "
            f"{', '.join(map(repr, header))}."
        )
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise CatalogueError(f"{path} names the column {twice[0]!r} twice.")


def _from_row(path: Path, header: list[str], row: list[str], line: int) -> Entry:
    cells = {name: cell.strip() for name, cell in zip(header, row, strict=False)}
    problem = ""
    if len(row) != len(header):
        problem = f"line {line} of {path.name} has {len(row)} fields, its header {len(header)}"
    return _entry(cells.get("file", ""), cells, f"{path.name} line {line}", problem)


class _Object(dict[str, Any]):
    """A JSON object that remembers the pairs it was written with."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def read_metadata_json(path: Path) -> list[Entry]:
    """Read Kaggle's format: ``{"x.mp4": {"label": "FAKE", "split": "train", "original": "y.mp4"}, ...}``.

    A name written twice gives two entries. Further fields (method, source_group, identity, compression) are kept.

    Raises
    ------
    CatalogueError : not UTF-8, not JSON (with line and column), not an object of files.
    """
    try:
        content = json.loads(_read_text(path), object_pairs_hook=_Object)
    except json.JSONDecodeError as error:
        raise CatalogueError(
            f"{path} is not readable as JSON: {error.msg}, line {error.lineno} column {error.colno}."
        ) from error
    except RecursionError as error:
        raise CatalogueError(f"{path} is not readable as JSON: nested too deeply.") from error
    if not isinstance(content, _Object):
        raise CatalogueError(f"{path} must hold an object of file names, not {_json_type(content)}.")
    return list(_from_pairs(path, content.pairs))


def _from_pairs(path: Path, pairs: list[tuple[str, Any]]) -> Iterator[Entry]:
    for name, fields in pairs:
        if isinstance(fields, _Object):
            yield _entry(name, fields, path.name)
        else:
            problem = f"its entry in {path.name} is {_json_type(fields)}, not an object"
            yield Entry(name, None, path.name, problem=problem)


def _entry(file: str, fields: dict[str, Any], where: str, problem: str = "") -> Entry:
    return Entry(
        file=file,
        label=fields.get("label"),
        where=where,
        method=_text(fields.get("method")),
        source_group=_text(fields.get("source_group")),
        identity=_text(fields.get("identity")),
        original=_text(fields.get("original")),
        compression=_text(fields.get("compression")),
        split=_text(fields.get("split")),
        problem=problem,
    )


def _text(value: object) -> str | None:
    """A cell as text; empty, null and what pandas writes for a missing value are None."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    text = str(value).strip()
    return None if text.lower() in ("", "nan", "none", "null") else text


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")  # spreadsheets put a byte order mark first
    except UnicodeDecodeError as error:
        raise CatalogueError(f"{path} is not UTF-8 text (byte {error.start}).") from error
    except OSError as error:
        raise CatalogueError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from error


def _json_type(value: object) -> str:
    names = {dict: "an object", _Object: "an object", list: "a list", str: "a text", bool: "true or false"}
    return "null" if value is None else names.get(type(value), "a number")
