"""The parts a report page is built of; `template.html` draws each by its ``kind`` and escapes all text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.report.images import data_uri
from pipeline.report.palette import FIGURE_DPI, SCREEN_DPI

Block = dict[str, Any]


@dataclass(frozen=True)
class Section:
    """One chapter of the page."""

    id: str
    title: str
    intro: str = ""
    blocks: list[Block] = field(default_factory=list)


def missing(reason: str) -> Block:
    """Say why something is not shown."""
    return {"kind": "missing", "text": reason}


def heading(text: str) -> Block:
    """A sub-heading."""
    return {"kind": "heading", "text": text}


def text(sentence: str) -> Block:
    """A paragraph."""
    return {"kind": "text", "text": sentence}


def bullets(sentences: Iterable[str]) -> Block:
    """A list of sentences."""
    return {"kind": "list", "texts": list(sentences)}


def facts(pairs: Iterable[tuple[str, Any]]) -> Block:
    """Names and values."""
    return {"kind": "facts", "facts": [(k, str(v)) for k, v in pairs]}


def figure(png: bytes | None, alt: str, caption: str, *, reason: str) -> Block:
    """A PNG with its caption, or the reason there is none."""
    if png is None:
        return missing(reason)
    return {"kind": "figure", "uri": data_uri(png), "alt": alt, "caption": caption, "width_px": shown_width_px(png)}


def shown_width_px(png: bytes) -> int:
    """Width a figure is shown at, so that its letters have one size whatever its width (PNG stores it at byte 16)."""
    return round(int.from_bytes(png[16:20], "big") * SCREEN_DPI / FIGURE_DPI)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, max_rows: int = 40, note: str = "") -> Block:
    """A table; numbers are set right, rows beyond ``max_rows`` are counted instead of shown."""
    rows = [list(r) for r in rows]
    numeric = [bool(rows) and all(is_number(r[i]) for r in rows) for i in range(len(columns))]
    if len(rows) > max_rows:
        note = f"{note} {len(rows) - max_rows} further rows are not shown.".strip()
    return {
        "kind": "table",
        "columns": [{"name": c, "numeric": n} for c, n in zip(columns, numeric, strict=True)],
        "rows": [[cell(v) for v in r] for r in rows[:max_rows]],
        "note": note,
    }


def is_number(value: Any) -> bool:
    """Whether a cell is a number, or text that reads as one (such as ``0.81 [0.70, 0.90]``, ``93.1 %`` or ``—``)."""
    if isinstance(value, str):
        return value == "—" or (value[:1].isdigit() and set(value) <= set("0123456789.,[]-–% e"))
    return isinstance(value, int | float | np.number)


def cell(value: Any) -> str:
    """Text of a cell; an empty value is a dash."""
    if value is None or (isinstance(value, float | np.floating) and not np.isfinite(value)):
        return "—"
    if isinstance(value, float | np.floating):
        return f"{value:.3g}"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return str(value)


def percent(share: float | None, *, digits: int = 1) -> str:
    """A share in [0, 1] as per cent; a dash where there is none."""
    return "—" if share is None or not np.isfinite(share) else f"{share * 100:.{digits}f} %"


def plural(n: int, what: str) -> str:
    """``1 video``, ``2 videos``."""
    return f"{n:,} {what}" + ("" if n == 1 else "s")
