"""Parts that clips of the project and judged clips share on the page Video."""

from __future__ import annotations

import html
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import widgets


def tiles(shown: Sequence[tuple[str, str, str]]) -> None:
    """Name, figure and a line of detail, each in a box, side by side."""
    for column, (name, value, detail) in zip(st.columns(len(shown)), shown, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(name, value)
            st.caption(widgets.plain(detail))


def seconds(time_s: float | None) -> str:
    """A time in the clip, in words."""
    return "no time" if time_s is None or pd.isna(time_s) else f"{time_s:.2f} s"


def cards(shown: list[tuple[str | None, str, str]], *, size_px: int = 150) -> None:
    """Pictures in a row that wraps, each with a line and a quieter one below."""
    cells = [
        f"<div style='width:{size_px}px'>{widgets.picture_html(uri, alt=f'{head}, {line}')}"
        f"<div style='font-size:13px;font-variant-numeric:tabular-nums'>{html.escape(head)}</div>"
        f"<div style='font-size:12px;{widgets.QUIET}'>{html.escape(line)}</div></div>"
        for uri, head, line in shown
    ]
    st.html(f"<div style='display:flex;flex-wrap:wrap;gap:10px'>{''.join(cells)}</div>")


def lost_frames(lost: pd.DataFrame, key: str) -> None:
    """Frames and faces that gave nothing, with their reasons."""
    face = lost["track_id"].map(lambda t: "none" if t < 0 else f"face {t}")
    shown = lost.assign(face=face)[["frame_index", "time_s", "face", "status", "reason"]]
    names = {"frame_index": "frame", "time_s": "time (s)"}
    numbers = {"time (s)": st.column_config.NumberColumn(format="%.2f")}
    widgets.table(shown.rename(columns=names), key, config=numbers)
