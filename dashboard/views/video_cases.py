"""On the page Video: clips that ``lf predict`` judged, or that were uploaded and kept."""

from __future__ import annotations

import streamlit as st

from dashboard import cases, data, widgets
from dashboard.views import video_case


def show() -> None:
    """Ask for a judged clip and draw it."""
    folder = data.project().cases
    names = cases.names(folder)
    if not names:
        widgets.tell(
            f"No judged clip lies in {folder}: run `lf predict CLIP --out cases` in the project's folder, "
            "or upload one."
        )
        return
    name = st.selectbox(f"Judged clip, of {len(names):,}, the newest first", names, key="case", bind="query-params")
    case = widgets.attempt(lambda: cases.read(folder / name))
    if case is not None:
        video_case.draw(case, "case")
