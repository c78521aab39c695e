"""Tables to take away, as CSV and Parquet; files are made when the button is pressed."""

from __future__ import annotations

import io
import re
from functools import partial

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import streamlit as st

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def slug(text: str) -> str:
    """A file name's stem: letters, digits, hyphens and underscores, at most 80 characters."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:80] or "table"


def as_csv(table: pd.DataFrame) -> bytes:
    """UTF-8 CSV; text that a spreadsheet would run as a formula gets a leading apostrophe."""
    return table.map(_unarmed).to_csv(index=False).encode()


def _unarmed(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def as_parquet(table: pd.DataFrame) -> bytes:
    """Parquet with the values as they are."""
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), buffer, compression="zstd")
    return buffer.getvalue()


def buttons(table: pd.DataFrame, name: str) -> None:
    """Two small buttons that save ``table`` as ``name``.csv and ``name``.parquet; ``name`` is unique on the page."""
    with st.container(horizontal=True, gap="small"):
        for kind, mime, make in (
            ("csv", "text/csv", as_csv),
            ("parquet", "application/vnd.apache.parquet", as_parquet),
        ):
            st.download_button(
                {"csv": "CSV", "parquet": "Parquet"}[kind],
                partial(make, table),
                file_name=f"{slug(name)}.{kind}",
                mime=mime,
                key=f"save_{slug(name)}_{kind}",
                on_click="ignore",
                type="tertiary",
                icon=":material/download:",
                help=f"{len(table):,} rows, {table.shape[1]} columns, numbers in full",
            )
