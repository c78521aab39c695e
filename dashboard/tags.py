"""What people write on faces: read, set and removed through the table ``tags``. Nothing here draws."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import pyarrow as pa

from dashboard import data
from pipeline import locks, tables
from pipeline.errors import UserError
from pipeline.report import load
from pipeline.schemas import TABLES, TAG_KINDS

MAX_CHARS = 80
_NAME = "tags"


def read() -> pd.DataFrame:
    """All tags; empty where none was ever set. UserError where the file is damaged or another program's."""
    path = data.project().table(_NAME)
    if not tables.exists(path):
        return TABLES[_NAME].arrow.empty_table().to_pandas()
    return load.read_light(path, _NAME)


def put(faces: Sequence[str], tag: str, *, kind: str, value: str | None) -> int:
    """Set a tag on faces, over what it said of them before; return how many tags there are now.

    Raises
    ------
    UserError
        No face, an empty or long name, an unknown kind, or a label that is neither 'real' nor 'fake'; one sentence.
    """
    tag, value = clean(tag), clean(value or "") or None
    if not faces:
        raise UserError("no face is selected, so there is nothing to tag")
    if not tag or len(tag) > MAX_CHARS:
        raise UserError(f"a tag needs a name of 1 to {MAX_CHARS} characters, got {len(tag)}")
    if value is not None and len(value) > 4 * MAX_CHARS:
        raise UserError(f"a remark holds at most {4 * MAX_CHARS} characters, got {len(value)}")
    if kind not in TAG_KINDS:
        raise UserError(f"a tag is one of {', '.join(TAG_KINDS)}, got '{kind}'")
    if kind == "label" and value not in ("real", "fake"):
        raise UserError(f"a label is 'real' or 'fake', got '{value or ''}'")
    rows = pd.DataFrame({"face_id": list(dict.fromkeys(faces)), "tag": tag, "kind": kind, "value": value})
    rows["created"] = pd.Timestamp(datetime.now(UTC))
    with locks.alone(data.project(), _NAME):
        return _write(pd.concat([_without(read(), rows["face_id"], tag), rows]))


def remove(faces: Sequence[str], tag: str) -> int:
    """Take a tag off faces; return how many tags are left. UserError where they cannot be written."""
    with locks.alone(data.project(), _NAME):
        return _write(_without(read(), pd.Series(list(faces), dtype=str), tag))


def clean(text: str) -> str:
    """A line of text as it is stored: no line breaks, no control characters, no spaces at the ends."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())


def shown(every: pd.DataFrame) -> pd.Series:
    """One text per tagged face, ``face_id`` -> its latest tag, with the value of a label: 'checked: fake'."""
    latest = every.sort_values("created", kind="stable").drop_duplicates("face_id", keep="last")
    text = (
        latest["tag"].astype(str).where(latest["kind"] != "label", latest["tag"].astype(str) + ": " + latest["value"])
    )
    return pd.Series(text.to_numpy(), index=latest["face_id"].to_numpy(), name="tag")


def _without(every: pd.DataFrame, faces: pd.Series, tag: str) -> pd.DataFrame:
    return every[~(every["tag"].eq(tag) & every["face_id"].isin(faces))]


def _write(rows: pd.DataFrame) -> int:
    table = pa.Table.from_pandas(rows, schema=TABLES[_NAME].arrow, preserve_index=False)
    try:
        tables.write_file(table, data.project().table(_NAME), name=_NAME, meta={"source": "dashboard"})
    except OSError as error:
        raise UserError(f"the tags cannot be written: {(error.strerror or str(error)).lower()}") from error
    return len(rows)
