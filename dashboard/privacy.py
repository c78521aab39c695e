"""The switch that blurs or hides every face: pictures are changed on the server, so no face reaches the browser."""

from __future__ import annotations

from typing import Literal

import numpy as np
import streamlit as st
from PIL import Image

from pipeline.report.images import decode, encode

Mode = Literal["shown", "blurred", "hidden"]
MODES: tuple[Mode, ...] = ("shown", "blurred", "hidden")
KEY = "faces"
N_CELLS = 8  # per side: enough to tell light from dark and where the face is, too few to know anybody


def switch() -> None:
    """The control, for the sidebar; its state stands in the address, so a view that is sent on stays blurred.

    Streamlit's own binding would take a mistyped mode out of the address, and a reload would show faces.
    """
    if KEY not in st.session_state:
        asked = st.query_params.get(KEY, "shown")
        st.session_state[KEY] = asked if asked in MODES else "hidden"
    st.segmented_control(
        "Faces",
        MODES,
        required=True,
        key=KEY,
        help=f"Blurred: {N_CELLS} x {N_CELLS} cells of a picture are sent. Hidden: no picture is sent. On every page.",
    )
    if mode() != "shown":
        st.query_params[KEY] = mode()
    elif KEY in st.query_params:
        del st.query_params[KEY]


def mode() -> Mode:
    """What the reader chose; pictures are hidden where the choice is none that is known."""
    chosen = st.session_state.get(KEY, "shown")
    return chosen if chosen in MODES else "hidden"


def protect(picture: bytes | None, how: Mode) -> bytes | None:
    """An encoded picture as ``how`` lets it be seen: itself, a blurred PNG, or None."""
    if how == "shown" or not picture:
        return picture
    rgb = decode(picture) if how == "blurred" else None
    return None if rgb is None else encode(blur(rgb))


def blur(rgb: np.ndarray) -> np.ndarray:
    """A picture (uint8 [H, W, 3]) of which `N_CELLS` x `N_CELLS` mean colours are left, smoothly joined."""
    picture = Image.fromarray(np.ascontiguousarray(rgb))
    few = picture.resize((N_CELLS, N_CELLS), Image.Resampling.BOX)
    return np.asarray(few.resize(picture.size, Image.Resampling.BICUBIC))
