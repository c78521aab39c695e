"""Search on the page *Clusters*: by id or file name, by likeness, by tag."""

from __future__ import annotations

import streamlit as st

from dashboard import choosing, similar, tags, widgets
from dashboard.map_points import MapPoints
from pipeline import spaces
from pipeline.errors import UserError
from pipeline.report import summary

N_LIKE = (12, 48, 200)


def panel(points: MapPoints) -> None:
    """Draw the search box and what follows from it; what is found becomes the selection."""
    text = st.text_input(
        "Find faces",
        key="find",
        placeholder="face id, video id or file name",
        help="The start of an id, or any part of a file name",
    )
    if st.button("Select what is found", key="find_go", disabled=not text.strip(), width="stretch"):
        found = choosing.find(points.frame, text)
        faces = points.frame["face_id"].to_numpy()[found].tolist()
        if faces:
            choosing.choose([str(f) for f in faces], f"found by “{text.strip()[:60]}”")
        else:
            st.info(widgets.plain(f"No face on this map has an id or file name like '{text.strip()[:60]}'."))
    _like(points)
    _tagged()


def _like(points: MapPoints) -> None:
    picked = choosing.chosen()
    bases = [s for s in spaces.STORED if s == summary.space_of(points.wanted.map_id)]
    if picked is None or len(picked.faces) != 1 or not bases:
        st.caption("Select a single face to search for faces like it.")
        return
    face, base = picked.faces[0], bases[0]
    left, right = st.columns([1, 2], vertical_alignment="bottom")
    k = left.selectbox("How many", N_LIKE, index=1, key="like_k")
    if right.button("Faces like this one", key="like_go", width="stretch", help=f"Nearest in the space {base}"):
        found = widgets.attempt(lambda: similar.like(face, base, k=int(k)))
        if found:
            choosing.choose([face, *found[0]], f"{len(found[0])} faces like {face}, by {base}")


def _tagged() -> None:
    try:
        every = tags.read()
    except UserError:
        return  # the map says why
    if every.empty:
        return
    counts = every["tag"].value_counts()
    tag = st.selectbox(
        "Tagged faces", counts.index.tolist(), index=None, key="tagged", placeholder="choose a tag",
        format_func=lambda t: f"{t} ({counts[t]:,})",
    )  # fmt: skip
    if tag is not None and st.button("Select tagged faces", key="tagged_go", width="stretch"):
        choosing.choose(every.loc[every["tag"] == tag, "face_id"].tolist(), f"tagged “{tag}”")
