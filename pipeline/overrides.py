"""Corrections of labels: a short file that people keep beside ``params.yaml``, and what it does to faces.

A line names a face or a video and says ``real``, ``fake`` or ``exclude``; a face's line stands over its video's. The
stage ``split`` lays the file out as the table ``overrides``; whatever reads labels after it reads them through `apply`.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import pandas as pd

from pipeline import tables
from pipeline.errors import UserError
from pipeline.paths import Paths

Change = Literal["real", "fake", "exclude"]
CHANGES: tuple[Change, ...] = get_args(Change)
HEADER = ("face_id", "video_id", "change", "reason")
_LABELS = {"real": 0, "fake": 1}


@dataclass(frozen=True)
class Override:
    """One line: a face's or a video's id, what is changed, and why."""

    kind: Literal["face", "video"]
    key: str
    change: Change
    reason: str = ""


def read(path: Path) -> list[Override]:
    """The lines of an overrides file; none where it is not there.

    Raises
    ------
    UserError
        Not UTF-8, another header, a line with no id or two, an unknown change, an id that is told twice; with the line.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as UTF-8 text: {error}") from error
    return parse(text, name=str(path))


def parse(text: str, *, name: str) -> list[Override]:
    """The lines of an overrides file's text; see `read`."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    found: dict[tuple[str, str], Override] = {}
    try:
        header = next(reader, None)
        if header is None or tuple(cell.strip() for cell in header) != HEADER:
            raise UserError(
                f"{name}: expected the header {','.join(HEADER)}, got {','.join(header or []) or 'nothing'}"
            )
        for row in reader:
            if any(cell.strip() for cell in row):
                line = _line(row, f"{name}, line {reader.line_num}")
                if (line.kind, line.key) in found:
                    raise UserError(f"{name}, line {reader.line_num}: {line.kind} '{line.key}' is told twice")
                found[line.kind, line.key] = line
    except csv.Error as error:
        raise UserError(f"{name}, line {reader.line_num}, is not readable as CSV: {error}") from error
    return list(found.values())


def _line(row: list[str], where: str) -> Override:
    if len(row) != len(HEADER):
        raise UserError(f"{where}: expected {len(HEADER)} fields, got {len(row)}")
    face, video, change, reason = (cell.strip() for cell in row)
    if bool(face) == bool(video):
        raise UserError(f"{where}: expected a face_id or a video_id, got {'both' if face else 'neither'}")
    if change not in CHANGES:
        raise UserError(f"{where}: expected a change of {', '.join(CHANGES)}, got '{change}'")
    return Override("face" if face else "video", face or video, change, reason)


def text_of(lines: Iterable[Override]) -> str:
    """An overrides file of these lines, sorted, so that two files compare line by line."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    for line in sorted(lines, key=lambda o: (o.kind, o.key)):
        ids = (line.key, "") if line.kind == "face" else ("", line.key)
        writer.writerow((*ids, line.change, line.reason))
    return buffer.getvalue()


def digest(lines: Iterable[Override]) -> str:
    """Names what the lines say, whatever their order."""
    return hashlib.sha256(text_of(lines).encode()).hexdigest()[:16]


def resolve(lines: Iterable[Override], faces: pd.DataFrame) -> tuple[list[dict[str, Any]], int]:
    """Rows of the table ``overrides``, one per face that is named, and how many lines name nothing that is there.

    Parameters
    ----------
    faces : one row per face: ``face_id, video_id, label``.
    """
    of = {kind: {o.key: o for o in lines if o.kind == kind} for kind in ("face", "video")}
    unknown = len(set(of["face"]) - set(faces["face_id"])) + len(set(of["video"]) - set(faces["video_id"]))
    rows = []
    named = faces[faces["face_id"].isin(of["face"].keys()) | faces["video_id"].isin(of["video"].keys())]
    for face, video, before in named[["face_id", "video_id", "label"]].itertuples(index=False, name=None):
        line = of["face"].get(face) or of["video"][video]
        known = None if pd.isna(before) else int(before)
        rows.append(
            {"face_id": face, "video_id": video, "label_before": known, "label": _LABELS.get(line.change, known),
             "excluded": line.change == "exclude", "reason": line.reason or None}
        )  # fmt: skip
    return rows, unknown


def table(paths: Paths) -> pd.DataFrame:
    """The table ``overrides``; empty where no run has written it."""
    path = paths.table("overrides")
    if not tables.exists(path):
        return tables.build("overrides", []).to_pandas()
    return tables.read_pandas(path, "overrides")


def marked(faces: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """All faces with corrected labels, and in the column ``excluded`` whether rows of ``overrides`` exclude them."""
    gone = set(rows.loc[rows["excluded"], "face_id"])
    return apply_rows(faces, rows, drop=False).assign(excluded=faces["face_id"].isin(gone))


def apply(faces: pd.DataFrame, paths: Paths, *, drop: bool = True) -> pd.DataFrame:
    """Faces with corrected labels, and without the excluded ones unless ``drop`` is false; see `apply_rows`."""
    return apply_rows(faces, table(paths), drop=drop)


def apply_rows(faces: pd.DataFrame, rows: pd.DataFrame, *, drop: bool = True) -> pd.DataFrame:
    """Faces (``face_id, label``, perhaps ``method``) as the rows of ``overrides`` correct them, in their order.

    A face found genuine has the method 'real'; by which method one that was found fake is made, nobody knows.
    """
    if rows.empty:
        return faces
    gone = set(rows.loc[rows["excluded"], "face_id"])
    out = faces[~faces["face_id"].isin(gone)] if drop else faces
    changed = rows[~rows["excluded"] & rows["label"].notna() & (rows["label_before"] != rows["label"])]
    label_of = dict(zip(changed["face_id"], changed["label"].astype("int8"), strict=True))
    if not label_of:
        return out
    new = out["face_id"].map(label_of)
    label = out["label"].where(new.isna(), new)
    out = out.assign(label=label.astype("int8") if label.notna().all() else label.astype("float64"))
    if "method" in out.columns:
        methods = zip(out["method"], new, strict=True)
        named = [m if pd.isna(n) else "real" if n == 0 else None for m, n in methods]
        out = out.assign(method=pd.Series(named, index=out.index, dtype=object))
    return out
