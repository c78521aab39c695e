"""The clustering beside the map: one cluster's size and mix, its most typical faces, and all clusters."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import address, choosing, widgets
from dashboard.map_points import MapPoints
from pipeline.report import blocks, summary

N_EXEMPLARS = 18


def panel(points: MapPoints) -> int | None:
    """Choose a cluster and read its size and mix."""
    table = _table(points.version, points)
    if table.empty:
        st.info("None of these faces is in a clustering.", icon=":material/info:")
        return None
    numbers = [int(c) for c in table["cluster"]]
    if numbers == [-1]:
        st.info("All faces are noise: HDBSCAN found no dense group in this space.", icon=":material/info:")
    sizes = dict(zip(numbers, table["n_faces"], strict=True))
    names = {c: f"{'noise' if c < 0 else f'cluster {c}'} ({sizes[c]:,} faces)" for c in numbers}
    key = f"cluster_of_{points.wanted.clustering_id}"
    cluster = int(st.selectbox("Cluster", numbers, format_func=names.__getitem__, key=key))
    row = table[table["cluster"] == cluster].to_dict("records")[0]  # a row of the frame would turn NaN into NA
    left, right = st.columns(2)
    left.metric("Faces", f"{int(row['n_faces']):,}", border=True)
    right.metric("Fake", blocks.percent(row["share_fake"], digits=0), border=True)
    left.metric("Videos", f"{int(row['n_videos']):,}", border=True)
    right.metric("Source groups", f"{int(row['n_groups']):,}", border=True)
    if st.button("Select this cluster", key="select_cluster", width="stretch"):
        members = points.frame.loc[points.frame["cluster"].eq(cluster).fillna(False), "face_id"]
        how = "noise" if cluster < 0 else f"cluster {cluster}"
        recipe = address.recipe_of_value("cluster", cluster)
        choosing.choose(members.tolist(), how, recipe=recipe, under=address.under(points, None))
    return cluster


def faces(points: MapPoints, cluster: int | None) -> None:
    """The cluster's most typical faces; of noise, the most unusual ones."""
    if cluster is None:
        return
    st.subheader("Most unusual faces of the noise" if cluster < 0 else f"Most typical faces of cluster {cluster}")
    inside = points.frame[points.frame["cluster"].notna()]
    chosen = summary.exemplars(inside, cluster, N_EXEMPLARS)
    widgets.face_grid(points.frame.iloc[points.find(chosen)])


def table(points: MapPoints) -> None:
    """All clusters of the clustering."""
    rows = _table(points.version, points)
    if rows.empty:
        return
    st.subheader("All clusters")
    names = {"n_faces": "faces", "n_videos": "videos", "n_groups": "source groups", "share_fake": "fake"}
    config = {
        "fake": st.column_config.ProgressColumn(format="%.0f %%", min_value=0.0, max_value=100.0),
        "membership": st.column_config.NumberColumn("median membership", format="%.2f"),
        "cluster": st.column_config.NumberColumn(help="-1 is noise"),
    }
    shown = rows.assign(share_fake=rows["share_fake"] * 100).rename(columns=names)
    widgets.table(shown, "all_clusters", raw=rows, config=config)


@st.cache_data(max_entries=4, show_spinner=False)
def _table(version: str, _points: MapPoints) -> pd.DataFrame:
    columns = ["face_id", "cluster", "video_id", "source_group", "membership"]
    inside = _points.frame.loc[_points.frame["cluster"].notna(), [*columns, "label"]]
    label = inside["label"].astype(object).map({"real": 0.0, "fake": 1.0}).astype("float64")
    inside = inside.assign(label=label)
    return summary.cluster_summary(inside, inside)
