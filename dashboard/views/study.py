"""The reconstruction study on the page Inversions: projectors side by side, and quality against effort."""

from __future__ import annotations

import html
from functools import partial

import numpy as np
import streamlit as st

from dashboard import data, figures, widgets
from pipeline.report import study_section
from pipeline.report.images import data_uri, encode

_PICTURE_PX = 160


def show() -> None:
    """Draw both parts; what is missing is said."""
    with st.expander("Reconstruction study: every projector on the same faces"):
        table = widgets.need("study")
        if table is not None:
            widgets.table(study_section.study_table(table), "study", raw=table)
            st.caption(widgets.plain(study_section.study_note(table)))
            _sheet()
    with st.expander("Quality against effort"):
        effort = widgets.need("effort")
        if effort is not None and not study_section.has_curve(effort):
            st.caption(widgets.plain(f"No curve: {study_section.NO_CURVE}"))
        elif effort is not None:
            left, right = st.columns(2, gap="large")
            with left:
                widgets.show(figures.effort(effort, "step"), "effort_steps", alt="Perceptual distance against steps")
            with right:
                widgets.show(
                    figures.effort(effort, "seconds_per_face"),
                    "effort_seconds",
                    alt="Perceptual distance against seconds",
                )
            st.caption(widgets.plain(study_section.effort_caption()))


def _sheet() -> None:
    faces, names = study_section.compared_faces(data.optional("wplus"), data.optional("codes"))
    originals = widgets.attempt(lambda: data.images("faces", faces)) or {}
    made = {}
    for space, name in names:
        stored = "reconstructions" if space == "wplus" else "decoded"
        made[space, name] = widgets.attempt(partial(data.images, stored, faces, projector_id=name)) or {}
    cells = []
    for name, pictures in study_section.picture_rows(originals, made, faces):
        cells.append(f"<span>{html.escape(name)}</span>")
        cells += [widgets.picture_html(_uri(rgb), alt=name) for rgb in pictures]
    grid = f"display:grid;grid-template-columns:92px repeat({max(1, len(faces))},minmax(0,{_PICTURE_PX}px));gap:3px 4px"
    st.html(f"<div style='{grid};align-items:center;font-size:12.5px;{widgets.QUIET}'>{''.join(cells)}</div>")


def _uri(rgb: np.ndarray | None) -> str | None:
    return None if rgb is None else data_uri(encode(rgb, kind="JPEG", size_px=_PICTURE_PX), kind="jpeg")
