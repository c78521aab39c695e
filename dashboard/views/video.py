"""Video: one clip's P(fake) over its seconds: of this project, judged by ``lf predict``, or uploaded."""

from __future__ import annotations

import streamlit as st

from dashboard.views import video_cases, video_project, video_upload

SOURCES = {
    "project": ("In this project", video_project.show),
    "cases": ("Judged by lf predict", video_cases.show),
    "upload": ("Upload a clip", video_upload.show),
}


def page() -> None:
    """Draw the page."""
    st.title("Video")
    chosen = st.segmented_control(
        "Clip",
        list(SOURCES),
        default="project",
        format_func=lambda name: SOURCES[name][0],
        required=True,
        key="clip_from",
        bind="query-params",
    )
    SOURCES[chosen][1]()
