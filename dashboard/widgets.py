"""Parts that every page uses: clear sentences for what is missing, safe text, figures, tables, grids of faces."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from PIL import Image

from dashboard import data, downloads, privacy, theme
from dashboard.theme import rgb
from pipeline.errors import UserError
from pipeline.report.palette import FAKE, REAL, label_colour

T = TypeVar("T")


def plain(text: str) -> str:
    """Text from a file, made safe for Streamlit's Markdown: no markup, no images from elsewhere, no line breaks."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", " ".join(text.split()))


def tell(sentence: str) -> None:
    """A sentence on what is not there and what to do."""
    st.info(plain(sentence), icon=":material/info:")


def attempt(read: Callable[[], T]) -> T | None:
    """What ``read`` gives; where it cannot, a sentence on the page and None."""
    try:
        return read()
    except UserError as error:
        sentence = str(error)
        tell(sentence[:1].upper() + sentence[1:])
        return None


def need(name: str) -> pd.DataFrame | None:
    """A table, or a sentence on the page that says why it is not there."""
    return attempt(lambda: data.table(name))


def favicon() -> Image.Image:
    """Page icon, drawn here because named icons would be fetched from the network."""
    y, x = np.mgrid[:32, :32] - 15.5
    icon = np.zeros((32, 32, 4), dtype=np.uint8)
    for half, colour in ((x < 0, REAL), (x >= 0, FAKE)):
        icon[half, :3] = rgb(colour)
    icon[..., 3] = 255 * (x**2 + y**2 <= 15**2)
    return Image.fromarray(icon)


def style() -> None:
    """Less empty space around the page, headings in proportion to tables, and columns that wrap; nothing else."""
    st.html(
        "<style>"
        "[data-testid='stMainBlockContainer']{padding:3.6rem 2.5rem 4rem;max-width:1500px}"
        "[data-testid='stMain'] h1{font-size:2rem;padding:0 0 .6rem}"
        "[data-testid='stMain'] h3{font-size:1.15rem}"
        "[data-testid='stMetricValue']{font-size:1.7rem;font-variant-numeric:tabular-nums}"
        "[data-testid='stMain'] h2{font-size:1.45rem;padding:1.4rem 0 .5rem}"
        # In a narrow window columns stand below each other before their labels are cut.
        "@media (max-width:1100px){[data-testid='stMain'] [data-testid='stHorizontalBlock']{flex-wrap:wrap}"
        "[data-testid='stMain'] [data-testid='stColumn']{min-width:min(100%,16rem)}}"
        "</style>"
    )


def warn(sentences: Sequence[str]) -> None:
    """Warnings as one block each."""
    for sentence in sentences:
        st.warning(plain(sentence), icon=":material/warning:")


FIGURE_FORMAT = "save_as"  # key of the control in the sidebar
# Grey that reads on white and on black alike, for text inside HTML; a theme's own colours are not known there.
QUIET = "color:#6F7A88"


def figure_format() -> None:
    """The sidebar's choice of what the camera button of a figure saves."""
    st.segmented_control(
        "Save figures as",
        ["PNG", "SVG"],
        default="PNG",
        required=True,
        key=FIGURE_FORMAT,
        bind="query-params",
        help="Of the camera button at the top right of each figure (also by keyboard: Tab, then Enter).",
    )


def figure_config(name: str, **more: Any) -> dict[str, Any]:
    """Plotly's settings for a figure: a button, always visible, that saves it as the sidebar says."""
    kind = str(st.session_state.get(FIGURE_FORMAT, "PNG")).lower()
    return {
        "displayModeBar": True,
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"format": kind if kind in ("png", "svg") else "png", "filename": name, "scale": 2},
    } | more


def show(figure: go.Figure, key: str, *, alt: str) -> None:
    """A plotly figure under the reader's theme, with a button that saves it; ``alt`` tells what it shows."""
    config = figure_config(downloads.slug(key))
    st.plotly_chart(theme.tint(figure, dark=theme.is_dark()), key=key, theme="streamlit", config=config, alt=alt)


def table(
    frame: pd.DataFrame,
    key: str,
    *,
    raw: pd.DataFrame | None = None,
    config: Mapping[str, Any] | None = None,
    height: int | Literal["auto", "content"] = "auto",
) -> None:
    """A table with buttons that save it; ``raw`` is what they save where the shown cells are text made of numbers."""
    st.dataframe(frame, key=key, hide_index=True, column_config=config, height=height)
    downloads.buttons(frame if raw is None else raw, key)


def picture_html(uri: str | None, *, alt: str) -> str:
    """A square image as wide as its place, or a grey field that says there is none."""
    box = "width:100%;aspect-ratio:1;border-radius:4px;"
    if uri is None:
        why = "face hidden" if privacy.mode() == "hidden" else "no image"
        return (
            f"<div style='{box}background:#8C97A522;{QUIET};font-size:12px;display:flex;align-items:center;"
            f"justify-content:center;text-align:center'>{why}</div>"
        )
    return f"<img src='{uri}' alt='{html.escape(alt, quote=True)}' style='{box}object-fit:cover;display:block'>"


def face_grid(rows: pd.DataFrame, *, size_px: int = 104) -> None:
    """Aligned faces of ``rows`` (``face_id, label, method, video_id, frame_index``), barred in the label's colour."""
    uris = attempt(lambda: data.thumbnails(rows["face_id"].tolist(), size_px=max(144, size_px)))
    if uris is None:
        return
    cells = []
    for row in rows.to_dict("records"):
        label = str(row["label"])
        tip = f"face {row['face_id']}\nvideo {row['video_id']}, frame {row['frame_index']}\n{label}, {row['method']}"
        caption = html.escape(str(row["method"] or label))
        cells.append(
            f"<div title='{html.escape(tip, quote=True)}' style='width:{size_px}px'>"
            f"{picture_html(uris.get(row['face_id']), alt=label)}"
            f"<div style='height:4px;margin-top:2px;background:{label_colour(label)}'></div>"
            f"<div style='font-size:11.5px;{QUIET};white-space:nowrap;overflow:hidden;text-overflow:ellipsis'>"
            f"{caption}</div></div>"
        )
    st.html(f"<div style='display:flex;flex-wrap:wrap;gap:8px'>{''.join(cells)}</div>")
