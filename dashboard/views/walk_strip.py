"""On the page Counterfactual: the pictures of a walk, where the reader turns them on."""

from __future__ import annotations

import html
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, live, privacy, walk_figures, widgets
from pipeline.report.images import data_uri, decode, encode

if TYPE_CHECKING:
    from pipeline.counterfactual import Walked
    from pipeline.walk_pictures import Strip

# Seven in a row at 1440 px, three at 800.
GRID = "display:grid;grid-template-columns:repeat(auto-fit,minmax(128px,1fr));gap:10px;font-size:13px"


def show(inverter_id: str, face: Mapping[Any, Any], found: Walked) -> None:
    """A toggle, and with it: the aligned face, the generator's pictures of the stops, and what changed."""
    # Not in the address: a link that is opened must not load a network.
    is_drawn = st.toggle(
        "Draw the pictures",
        key="walk_draw",
        help="Loads the generator into this dashboard (about 1 GB of memory); under a second per picture on two cores.",
    )
    if not is_drawn:
        return
    strip = widgets.attempt(lambda: live.walk(found.codes, inverter_id))
    if strip is None and privacy.mode() != "hidden":
        return
    face_id = str(face["face_id"])
    quality = "" if pd.isna(face["lpips"]) else f", distance {face['lpips']:.2f}"
    original = (widgets.attempt(lambda: data.images("faces", [face_id])) or {}).get(face_id)
    cells = [_cell(original, "the face", "aligned, from the video", None)]
    shown = [None if strip is None else privacy.protect(p, privacy.mode()) for p in _pictures(strip, len(found.stops))]
    for row, picture in zip(found.stops.to_dict("records"), shown, strict=True):
        where = f"its code{quality}" if row["step"] == 0 else f"moved {row['distance_std']:.2g} std"
        cells.append(_cell(picture, f"{row['p_fake']:.3f} {row['verdict']}", where, row["verdict"]))
    gap = None if strip is None else privacy.protect(strip.difference, privacy.mode())
    gain = "" if strip is None else f" × {strip.gain}"
    change = "" if strip is None else f"{strip.mean_change:.1f} of 255 grey levels in the mean"
    cells.append(_cell(gap, f"|last − first|{gain}", change, None))
    st.html(f"<div style='{GRID}'>{''.join(cells)}</div>")
    st.caption(
        "Left, the face as it was cut from the video; then the generator's pictures of its code and of the stops, with "
        "P(fake) of each code and its verdict. What differs between the first two is what the code does not hold "
        "(distance: perceptual, low is good): where it is much, the walk says little about this face."
    )
    kept = [p for p in shown if p]
    if kept:
        st.download_button(
            "PNG of the walk",
            partial(_joined, kept),
            file_name="walk.png",
            mime="image/png",
            key="save_walk_png",
            on_click="ignore",
            type="tertiary",
            icon=":material/download:",
        )


def _pictures(strip: Strip | None, n: int) -> list[bytes | None]:
    return [None] * n if strip is None else list(strip.pictures)


def _cell(picture: bytes | None, name: str, detail: str, verdict: str | None) -> str:
    rgb = decode(picture)
    uri = None if rgb is None else data_uri(encode(rgb))
    colour = "transparent" if verdict is None else walk_figures.VERDICT_COLOURS[verdict]
    return (
        f"<div style='max-width:240px'>{widgets.picture_html(uri, alt=f'{name}, {detail}')}"
        f"<div style='height:4px;margin-top:2px;background:{colour}'></div>"
        f"<div><b>{html.escape(name)}</b></div><div style='{widgets.QUIET}'>{html.escape(detail)}</div></div>"
    )


def _joined(pictures: list[bytes]) -> bytes:
    tiles = [rgb for rgb in map(decode, pictures) if rgb is not None]
    return encode(np.concatenate(tiles, axis=1))
