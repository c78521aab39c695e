"""Clusters: the map of faces, and what is chosen on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard import address, choosing, colouring, data, filters, map_points, point_map, privacy, theme, widgets
from dashboard.map_points import MapPoints, Wanted
from dashboard.views import cluster_about, clustering, finding, selection
from pipeline.report import summary
from pipeline.report.palette import model_name

SPATIAL = re.compile(r"-(tsne|umap|pca)3")  # how a map_id names a 3-D map
HINT_FLAT = "Drag moves, scroll zooms, Shift and drag draws a lasso. "
HINT_DEEP = "Drag turns, scroll zooms, right drag moves, Shift and drag draws a lasso. "


def page() -> None:
    """Draw the page."""
    st.title("Clusters")
    wanted = _controls()
    if wanted is None:
        return
    points = widgets.attempt(lambda: map_points.load(wanted))
    if points is None:
        return
    widgets.warn(points.warnings)
    wide, narrow = st.columns([5, 2], gap="medium")
    first, second, third = (narrow.container() for _ in range(3))
    with third:
        inside = filters.controls(points.frame)
    address.restore(points, inside)
    _follow(points, inside)  # before the panels, which show what is chosen
    with first:
        cluster = clustering.panel(points)
    with second:
        finding.panel(points)
    with wide:
        _map(points, inside)
    selection.panel(points, inside)
    clustering.faces(points, cluster)
    cluster_about.panel(points)
    clustering.table(points)
    address.write(points, inside)


def _controls() -> Wanted | None:
    maps = widgets.attempt(lambda: data.ids("map", "map_id"))
    if maps is None:
        return None
    columns = st.columns(3)
    # A flat map first where there is one: a lasso takes what it shows, in space also what stands behind. Of flat ones
    # t-SNE's, which keeps most neighbours.
    flat = [i for i, m in enumerate(maps) if not SPATIAL.search(m)]
    start = next((i for i in flat if "-tsne" in maps[i]), flat[0] if flat else 0)
    map_id = columns[0].selectbox("Map", maps, index=start, key="map_id", bind="query-params")
    clusterings = widgets.attempt(lambda: data.ids("clusters", "clustering_id")) or []
    space = summary.space_of(map_id)
    same = next((i for i, c in enumerate(clusterings) if summary.space_of(c) == space), 0)
    clustering_id = None
    if clusterings:
        clustering_id = columns[1].selectbox(
            "Clustering", clusterings, index=same, key=f"clustering_of_{map_id}", bind="query-params"
        )
    judges = {f"{s} · {model_name(m)}": (s, m) for s, m in map_points.judges()}
    judge = None
    if judges:
        first = next((i for i, j in enumerate(judges.values()) if j[0] == space), 0)
        key = f"judge_for_{space}"
        judge = judges[
            columns[2].selectbox("P(fake) of model", list(judges), index=first, key=key, bind="query-params")
        ]
    return Wanted(map_id, clustering_id, judge, map_points.main_inverter())


def _map(points: MapPoints, inside: NDArray[np.bool_] | None) -> None:
    options = colouring.colourable(points.frame)
    left, right = st.columns([3, 2], vertical_alignment="bottom")
    start = options.index("cluster") if "cluster" in options else 0
    column = left.selectbox(
        "Colour by", options, index=start, format_func=colouring.column_name, key="colour", bind="query-params"
    )
    right.segmented_control(
        "A new selection", list(choosing.MODES), default="replace", format_func=choosing.MODES.__getitem__, key="mode"
    )
    look = colouring.colouring(points.frame, column)
    title = colouring.column_name(column)
    picked = choosing.chosen()
    marked = points.find(picked.faces) if picked is not None else None
    flags = point_map.flags(len(points.frame), outside=None if inside is None else ~inside, marked=marked)
    header: dict[str, Any] = {"version": points.version, "view": points.view, "column": column, "title": title}
    header |= {"file": f"{points.wanted.map_id}-{column}", "on_dark": theme.ON_DARK, "faces": privacy.mode()}
    point_map.point_map(point_map.pack(points.xyz, look, flags, header), on_event=_note)
    _card(points)
    n = len(points.frame)
    count = f"{n:,} faces. " if inside is None else f"{int(inside.sum()):,} of {n:,} faces pass the filter. "
    st.caption(
        count + (HINT_FLAT if points.flat else HINT_DEEP) + "A click on a point or on a name in the legend selects it. "
        f"Near points look alike to the network; far distances and sizes mean little.{_kept(points.wanted.map_id)}"
    )


def _kept(map_id: str) -> str:
    """How many of a face's nearest neighbours this map keeps, where that was measured."""
    quality = data.optional("map_quality", where=("map_id", map_id))
    if quality is None or pd.isna(quality["knn_recall"].iloc[0]):
        return ""
    row = quality.iloc[0]
    return f" This map keeps {row['knn_recall']:.0%} of the {row['n_neighbors']} nearest neighbours."


def _note() -> None:
    """Keep what was done on the map until the page knows its points again."""
    st.session_state["map_event"] = point_map.asked()


def _follow(points: MapPoints, inside: NDArray[np.bool_] | None) -> None:
    event = st.session_state.pop("map_event", None)
    asked = choosing.answer(event, points, inside) if event else None
    if asked is not None:
        mode = st.session_state.get("mode") or "replace"
        choosing.choose(*asked, mode=mode, recipe=address.recipe_of_event(event), under=address.under(points, inside))


@st.fragment
def _card(points: MapPoints) -> None:
    """Answers who is under the pointer; runs alone, so that moving the pointer redraws nothing else."""

    def describe(version: str, row: int) -> Mapping[str, Any] | None:
        if version != points.version or not 0 <= row < len(points.frame):
            return None
        face = points.frame.iloc[row]
        pictures = widgets.attempt(lambda: data.thumbnails([str(face["face_id"])], size_px=96))
        uri = (pictures or {}).get(str(face["face_id"]))
        return {"version": version, "index": row, "uri": uri, "text": text_of(face)}

    point_map.face_card(describe)


def text_of(face: pd.Series) -> str:
    """What is told of a face beside its picture, on a few lines."""

    def known(column: str, form: str = "{}") -> str:
        value = face.get(column)
        return "—" if value is None or pd.isna(value) else form.format(value)

    lines = [f"{known('label')}, {known('method')}", f"{known('rel_path')}, frame {known('frame_index', '{:.0f}')}"]
    lines.append(f"group {known('source_group')}")
    if not pd.isna(face.get("cluster")):
        lines.append("noise" if face["cluster"] < 0 else f"cluster {face['cluster']}")
    if not pd.isna(face.get("p_fake")):
        lines.append(f"P(fake) {face['p_fake']:.2f}")
    lines.append(f"face {face['face_id']}")
    return "\n".join(line if len(line) <= 90 else line[:89] + "…" for line in lines)
