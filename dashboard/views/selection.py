"""The selection: its faces, what it is made of beside others, tags on it, and files to take away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard import choosing, exports, privacy, tags, widgets
from dashboard.colouring import NUMBERS, column_name
from dashboard.map_points import MapPoints
from dashboard.profiles import Sizes, profile, sizes
from pipeline.errors import UserError
from pipeline.report import blocks
from pipeline.schemas import TAG_KINDS

PAGE_FACES = 48
KINDS = {"label": "Label", "exclusion": "Exclusion", "note": "Note"}
LIMITS = (
    "Intervals are 95 % over source groups, one by one: of twenty figures that do not differ, one is marked by chance."
)


def panel(points: MapPoints, inside: NDArray[np.bool_] | None) -> None:
    """Draw what is chosen; a hint where nothing is."""
    st.subheader("Selection")
    picked = choosing.chosen()
    if picked is None:
        st.caption("Nothing is selected. Draw a lasso, click a point or a name in the legend, or search.")
        return
    rows = points.find(picked.faces)
    there = f"{blocks.plural(len(picked.faces), 'face')}, {picked.how}"
    if len(rows) < len(picked.faces):
        there += f"; {len(rows):,} of them on this map"
    left, middle, right = st.columns([5, 1.4, 1], vertical_alignment="center")
    left.markdown(f"**{widgets.plain(there)}**")
    middle.button("Set aside to compare", key="keep", on_click=choosing.keep, width="stretch")
    right.button("Clear", key="clear", on_click=choosing.clear, width="stretch")
    if not len(rows):
        return
    views = {"Faces": _faces, "Profile": _profile, "Tag": _tag, "Export": _export}
    view = st.segmented_control(
        "Show", list(views), default="Faces", key="selection_view", label_visibility="collapsed",
        bind="query-params",
    )  # fmt: skip
    if view == "Profile":
        _profile(points, rows, inside)
    else:
        views[view or "Faces"](points, rows)  # type: ignore[operator]


def _faces(points: MapPoints, rows: NDArray[np.int64]) -> None:
    frame = points.frame.iloc[rows]
    left, middle, right = st.columns([2, 1, 2], vertical_alignment="bottom")
    measures = [c for c in NUMBERS if c in frame.columns and frame[c].notna().any()]
    order = left.selectbox(
        "Order",
        [None, *measures],
        format_func=lambda c: "as selected" if c is None else f"{column_name(c)}, high first",
        key="selection_order",
        bind="query-params",
    )
    if order is not None:
        frame = frame.sort_values(order, ascending=False, kind="stable")
    n_pages = -(-len(frame) // PAGE_FACES)
    number = 1
    if n_pages > 1:
        number = int(middle.number_input(f"Page, of {n_pages:,}", 1, n_pages, key=f"page_of_{n_pages}"))
    shown = frame.iloc[(number - 1) * PAGE_FACES : number * PAGE_FACES]
    one = right.selectbox("One of these alone", shown["face_id"].tolist(), index=None, key="one", placeholder="face id")
    if one is not None:
        right.button("Select this face alone", key="one_go", on_click=choosing.choose, args=([one], "one face"))
    widgets.face_grid(shown)


def _profile(points: MapPoints, rows: NDArray[np.int64], inside: NDArray[np.bool_] | None) -> None:
    n = len(points.frame)
    a = _mask(n, rows)
    set_aside = choosing.kept()
    others = {"others": "all other faces of the map"}
    if inside is not None:
        others["filtered"] = "all other faces that pass the filter"
    if set_aside is not None:
        others["kept"] = "the selection set aside"  # its name stands in the address, so it does not say how it was made
    against = st.selectbox(
        "Compare with", list(others), format_func=others.__getitem__, key="compare_with", bind="query-params"
    )
    b = ~a
    if against == "filtered" and inside is not None:
        b &= inside
    elif against == "kept" and set_aside is not None:
        b = _mask(n, points.find(set_aside.faces))
        st.caption(widgets.plain(f"Set aside: {blocks.plural(len(set_aside.faces), 'face')}, {set_aside.how}."))
    if not b.any():
        st.info("There are no faces to compare with.", icon=":material/info:")
        return
    _tiles(sizes(points.frame, a), sizes(points.frame, b))
    table = profile(points.frame, points.groups, a, b)
    if table.empty:
        st.info("Nothing is known of these faces that could be compared.", icon=":material/info:")
        return
    shown = pd.DataFrame(
        {
            "what": table["part"].where(table["part"] != "mean", "") + " " + table["what"],
            "selection": [_interval(r, "a") for r in table.to_dict("records")],
            "compared with": [_interval(r, "b") for r in table.to_dict("records")],
            "difference": [_interval(r, "") for r in table.to_dict("records")],
            "differs": ["differs" if d else "" for d in table["differs"]],
        }
    )
    widgets.table(shown, "profile", raw=table, height="content" if len(shown) < 25 else 700)
    groups = int(table["n_groups"].max())
    st.caption(f"{LIMITS} The selection holds {blocks.plural(groups, 'source group')}.")
    if groups < 2:
        st.info("All these faces share one source group, so there is no interval.", icon=":material/info:")


def _tiles(a: Sizes, b: Sizes) -> None:
    columns = st.columns(4)
    for column, name, one, other in (
        (columns[0], "Faces", a.n_faces, b.n_faces),
        (columns[1], "Videos", a.n_videos, b.n_videos),
        (columns[2], "Source groups", a.n_groups, b.n_groups),
        (columns[3], "People", a.n_identities, b.n_identities),
    ):
        column.metric(name, "—" if one is None else f"{one:,}", border=True)
        column.caption("not told" if other is None else f"compared with {other:,}")


def _interval(row: dict[Any, Any], side: str) -> str:
    """``31 % [20, 45]`` for shares, ``0.12 [0.10, 0.15]`` for means."""
    names = (side, f"{side}_low", f"{side}_high") if side else ("difference", "low", "high")
    value, low, high = (float(row[name]) for name in names)
    if not np.isfinite(value):
        return "—"
    scale, unit, form = (100, " %", ".1f") if row["is_share"] else (1, "", ".3g")
    text = f"{value * scale:{form}}{unit}"
    return f"{text} [{low * scale:{form}}, {high * scale:{form}}]" if np.isfinite(low) else text


def _tag(points: MapPoints, rows: NDArray[np.int64]) -> None:
    faces = points.frame["face_id"].iloc[rows].tolist()
    with st.form("tag_form", border=False):
        left, middle, right = st.columns([1, 2, 2])
        kind = left.selectbox("Kind", TAG_KINDS, format_func=KINDS.__getitem__, key="tag_kind")
        tag = middle.text_input("Tag", key="tag_name", max_chars=tags.MAX_CHARS, placeholder="checked")
        value = right.text_input(
            "Value",
            key="tag_value",
            placeholder="real or fake for a label; else a remark",
            max_chars=4 * tags.MAX_CHARS,
        )
        done = st.form_submit_button(f"Tag {blocks.plural(len(faces), 'face')}")
    if done:
        try:
            n = tags.put(faces, tag, kind=kind, value=value)
        except UserError as error:
            st.error(widgets.plain(str(error)[:1].upper() + str(error)[1:]))
        else:
            st.session_state["tagged_now"] = f"{blocks.plural(len(faces), 'face')} tagged; {n:,} tags in all."
            st.rerun()
    if (said := st.session_state.pop("tagged_now", None)) is not None:
        st.success(said)
    st.caption("Tags are kept in `tags/tags.parquet` of the project folder. No stage changes that file.")
    every = widgets.attempt(tags.read)
    if every is None:
        return
    mine = every[every["face_id"].isin(set(faces))]
    if mine.empty:
        return
    counts = mine.groupby(["tag", "kind", "value"], dropna=False, sort=True).size().rename("faces").reset_index()
    widgets.table(counts, "tags_of_selection")
    gone = st.selectbox("Take off", sorted(mine["tag"].unique()), index=None, key="untag", placeholder="a tag")
    if gone is not None and st.button(
        f"Take it off {blocks.plural(int((mine['tag'] == gone).sum()), 'face')}", key="untag_go"
    ):
        try:
            tags.remove(faces, gone)
        except UserError as error:
            st.error(widgets.plain(str(error)))
        else:
            st.rerun()


def _export(points: MapPoints, rows: NDArray[np.int64]) -> None:
    frame = points.frame.iloc[rows]
    every = widgets.attempt(tags.read)
    if every is None:
        return
    columns = st.columns(4)
    columns[0].download_button("Parquet", lambda: exports.parquet(frame), "selection.parquet", key="to_parquet")
    columns[0].caption("All columns of the map's table.")
    columns[1].download_button("Ids (CSV)", lambda: exports.ids_csv(frame), "selection.csv", "text/csv", key="to_csv")
    columns[1].caption("Face, video and frame.")
    # A file's line speaks for all of its faces, so those that are not selected have their say.
    whole = points.frame[points.frame["video_id"].isin(frame["video_id"].unique())]
    labels = exports.labels_csv(whole, every, by="video")
    columns[2].download_button(
        "labels.csv", labels.text, "labels.csv", "text/csv", key="to_labels", disabled=not labels.n_files
    )
    columns[2].caption(
        f"{blocks.plural(labels.n_files, 'source file')}, labels and exclusions of tags folded in; goes beside the "
        f"files of a `crops` or `folder` data set. {labels.remarks()}"
    )
    if privacy.mode() != "shown":
        columns[3].caption("Face crops can be taken away while faces are shown (the switch in the sidebar).")
        return
    if len(frame) > exports.MAX_PICTURES:
        columns[3].caption(f"A data set of face crops holds at most {exports.MAX_PICTURES:,} faces; select fewer.")
        return
    columns[3].download_button("Face crops (ZIP)", lambda: exports.crops_zip(frame, every), "crops.zip", key="to_zip")
    columns[3].caption(
        "A data set of its own: unpack it, `dvc add` it, and set `data.source: crops`, `faces.crop: whole`."
    )


def _mask(n: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    out = np.zeros(n, dtype=bool)
    out[rows] = True
    return out
