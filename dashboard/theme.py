"""Colours under the light and the dark theme: figures are made for white paper and tinted when they are shown.

Background, text, axes and grid are Streamlit's own plotly theme, which follows a change of theme at once. The colours
of what is drawn are known to Python alone: they follow at the next run of the page.
"""

from __future__ import annotations

import re
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from pipeline.report.palette import ACCENT, CATEGORIES, GRID, INK, MUTED, NOISE

DARK_BACKGROUND = "#11161C"
# Nine hues for a dark background, found by search: any two are at least 27 apart in CIELAB for normal, protan, deutan
# and tritan sight (the light set: 15), and each has a contrast of at least 3.5 with the background. A test holds both.
DARK_CATEGORIES = (
    "#6F64FE", "#63FCEE", "#53ADC3", "#B1F3AD", "#D7AD53", "#FBFF68", "#CA544E", "#A25473", "#7E5BB9",
)  # fmt: skip
# Real and fake keep their blue and vermillion, which hold on both backgrounds.
ON_DARK = {
    ACCENT: "#7DB8EC", INK: "#E6EAF0", MUTED: "#9AA5B4", GRID: "#2B333D", NOISE: "#4A525D",
    **dict(zip(CATEGORIES, DARK_CATEGORIES, strict=True)),
}  # fmt: skip
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}|rgba\((\d+), ?(\d+), ?(\d+), ?([\d.]+)\)")


def is_dark() -> bool:
    """Whether the reader's browser shows the dark theme."""
    return st.context.theme.type == "dark"


def colour(name: str) -> str:
    """One of the palette's colours (``#RRGGBB``) as the reader's theme wants it."""
    return ON_DARK.get(name.upper(), name) if is_dark() else name


def tint(figure: go.Figure, *, dark: bool) -> go.Figure:
    """The figure with the palette's colours replaced by those for a dark background; itself where it stays light."""
    if not dark:
        return figure
    # Coordinates of a large map are one encoded string each here, so that looking through them costs nothing.
    return go.Figure(_replace(figure.to_plotly_json()))


def _replace(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: item if key == "customdata" else _replace(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_replace(item) for item in value]
    if isinstance(value, str) and (found := _COLOUR.fullmatch(value)):
        return ON_DARK.get(value.upper(), value) if found[1] is None else _replace_rgba(found)
    return value


def _replace_rgba(found: re.Match[str]) -> str:
    red, green, blue = (int(found[i]) for i in (1, 2, 3))
    new = ON_DARK.get(f"#{red:02X}{green:02X}{blue:02X}")
    return found[0] if new is None else f"rgba{(*rgb(new), float(found[4]))}"


def rgb(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of ``#rrggbb``."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
