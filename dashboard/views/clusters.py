"""Clusters: the map of faces, and what a cluster is made of."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from dashboard import data, map_figure, widgets
from pipeline.report import blocks, summary
from pipeline.report.palette import model_name

N_EXEMPLARS = 18
N_SELECTED = 48
SPATIAL = re.compile(r"-(tsne|umap|pca)3")  # how a map_id names a 3-D map
DRAWN = (5_000, 20_000, 50_000, 150_000)


@dataclass(frozen=True)
class Choice:
    """What the controls at the top of the page say."""

    map_id: str
    clustering_id: str | None
    judge: tuple[str, str] | None
    inverter_id: str | None


def page() -> None:
    """Draw the page."""
    st.title("Clusters")
    choice = _controls()
    if choice is None:
        return
    points = widgets.attempt(
        lambda: data.points(
            choice.map_id, clustering_id=choice.clustering_id, judge=choice.judge, inverter_id=choice.inverter_id
        )
    )
    if points is None:
        return
    wide, narrow = st.columns([5, 2], gap="medium")
    with narrow:
        cluster = _cluster_panel(points, choice)
    with wide:
        selected = _map(points, cluster)
    _faces(points, selected, cluster)
    _table(points, choice)


def _controls() -> Choice | None:
    maps = widgets.attempt(lambda: data.ids("map", "map_id"))
    if maps is None:
        return None
    columns = st.columns(3)
    # A 3-D map first where there is one: it is what a flat picture cannot replace.
    start = next((i for i, m in enumerate(maps) if SPATIAL.search(m)), 0)
    map_id = columns[0].selectbox("Map", maps, index=start, key="map_id")
    clusterings = widgets.attempt(lambda: data.ids("clusters", "clustering_id")) or []
    space = summary.space_of(map_id)
    same = next((i for i, c in enumerate(clusterings) if summary.space_of(c) == space), 0)
    clustering_id = None
    if clusterings:
        clustering_id = columns[1].selectbox("Clustering", clusterings, index=same, key=f"clustering_of_{map_id}")
    judges = {f"{s} · {model_name(m)}": (s, m) for s, m in data.judges()}
    judge = None
    if judges:
        first = next((i for i, j in enumerate(judges.values()) if j[0] == space), 0)
        judge = judges[columns[2].selectbox("P(fake) of model", list(judges), index=first, key=f"judge_for_{space}")]
    codes = data.optional("wplus")
    inverter_id = None if codes is None else summary.main_inverter(codes)
    return Choice(map_id, clustering_id, judge, inverter_id)


def _map(points: pd.DataFrame, cluster: int | None) -> list[str]:
    """The map itself; returns the ``face_id`` of the points a user marked on it."""
    options = map_figure.colourable(points)
    left, middle, right = st.columns([2, 1, 1], vertical_alignment="bottom")
    start = options.index("cluster") if "cluster" in options else 0
    colour = left.selectbox("Colour by", options, index=start, format_func=map_figure.column_name, key="colour")
    n_max = middle.selectbox("Points drawn", DRAWN, index=1, format_func=lambda n: f"up to {n:,}", key="drawn")
    fade = right.toggle("Fade other clusters", key="fade", disabled=cluster is None)
    drawn = map_figure.thin(points, n_max)
    faded = drawn["cluster"].ne(cluster) if fade and cluster is not None else None
    figure = map_figure.map_figure(drawn, colour=colour, faded=faded)
    flat = summary.is_flat(points)
    key, config = f"map_{points['map_id'].iloc[0]}", {"displaylogo": False, "scrollZoom": True}
    event = None
    if flat:
        event = st.plotly_chart(figure, key=key, theme=None, config=config, on_select="rerun")
    else:
        st.plotly_chart(figure, key=key, theme=None, config=config)
    note = (
        f"{len(drawn):,} of {len(points):,} faces drawn. " if len(drawn) < len(points) else f"{len(points):,} faces. "
    )
    how = (
        "Click a point, or mark some with box or lasso, to see the faces. "
        if flat
        else "Drag to rotate, scroll to zoom. "
    )
    st.caption(note + how + "Near points look alike to the network; far distances and sizes mean little.")
    chosen = event["selection"]["points"] if event else []
    return list(dict.fromkeys(str(p["customdata"][0]) for p in chosen if p.get("customdata")))


def _cluster_panel(points: pd.DataFrame, choice: Choice) -> int | None:
    """Choose a cluster and read its size and mix."""
    if choice.clustering_id is None or points["cluster"].isna().all():
        st.info("None of these faces is in a clustering.", icon=":material/info:")
        return None
    table = _cluster_table(points)
    numbers = [int(c) for c in table["cluster"]]
    sizes = dict(zip(numbers, table["n_faces"], strict=True))
    names = {c: f"{'noise' if c < 0 else f'cluster {c}'} ({sizes[c]:,} faces)" for c in numbers}
    cluster = int(
        st.selectbox("Cluster", numbers, format_func=names.__getitem__, key=f"cluster_of_{choice.clustering_id}")
    )
    row = table[table["cluster"] == cluster].iloc[0]
    left, right = st.columns(2)
    left.metric("Faces", f"{int(row['n_faces']):,}", border=True)
    right.metric("Fake", blocks.percent(row["share_fake"], digits=0), border=True)
    left.metric("Videos", f"{int(row['n_videos']):,}", border=True)
    right.metric("Source groups", f"{int(row['n_groups']):,}", border=True)
    members = points[points["cluster"] == cluster]
    for column, title in (("method", "Methods"), ("compression", "Compression")):
        counts = members[column].astype("object").fillna("unknown").value_counts()
        text = ", ".join(f"{widgets.plain(str(k))} {n:,}" for k, n in counts.head(6).items())
        st.markdown(f"**{title}** {text}")
    if cluster < 0:
        st.caption("Noise: faces that HDBSCAN finds in no dense group. Shown below are the most unusual ones.")
    return cluster


def _cluster_table(points: pd.DataFrame) -> pd.DataFrame:
    numeric = points.assign(label=points["label"].map({"real": 0.0, "fake": 1.0}))
    return summary.cluster_summary(numeric[numeric["cluster"].notna()], numeric)


def _faces(points: pd.DataFrame, selected: list[str], cluster: int | None) -> None:
    if selected:
        st.subheader("Faces marked on the map")
        rows = points[points["face_id"].isin(selected)]
        known = rows.loc[rows["label"] != "unknown", "label"]
        share = blocks.percent(known.eq("fake").mean() if len(known) else None, digits=0)
        what = (
            f"{blocks.plural(len(rows), 'face')} of {blocks.plural(rows['video_id'].nunique(), 'video')}, {share} fake"
        )
        st.caption(what + (f"; the first {N_SELECTED} are shown." if len(rows) > N_SELECTED else "."))
        widgets.face_grid(rows.head(N_SELECTED))
    if cluster is not None:
        st.subheader("Most unusual faces of the noise" if cluster < 0 else f"Most typical faces of cluster {cluster}")
        chosen = summary.exemplars(points[points["cluster"].notna()], cluster, N_EXEMPLARS)
        widgets.face_grid(points.set_index("face_id", drop=False).loc[chosen])


def _table(points: pd.DataFrame, choice: Choice) -> None:
    if choice.clustering_id is None or points["cluster"].isna().all():
        return
    st.subheader("All clusters")
    table = _cluster_table(points).rename(
        columns={"n_faces": "faces", "n_videos": "videos", "n_groups": "source groups", "share_fake": "fake"}
    )
    table["fake"] *= 100
    config = {
        "fake": st.column_config.ProgressColumn(format="%.0f %%", min_value=0.0, max_value=100.0),
        "membership": st.column_config.NumberColumn("median membership", format="%.2f"),
        "cluster": st.column_config.NumberColumn(help="-1 is noise"),
    }
    st.dataframe(table, hide_index=True, column_config=config)
