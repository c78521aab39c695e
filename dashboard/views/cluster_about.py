"""What the clusters are about: the verdict with its figures, and the faces their mean codes draw."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data, privacy, widgets
from dashboard.map_points import MapPoints
from pipeline.about_verdict import attribute_name, verdict
from pipeline.report.images import thumbnail_uri

PICTURE_PX = 132
NOTE = (
    "NMI: normalised mutual information of clusters (without noise) and attribute. It grows with the number of "
    "clusters where there is nothing, so it is read beside its null: the attribute shuffled by whole units. "
    "'About' is beyond chance, corrected for the number of attributes."
)


def panel(points: MapPoints) -> None:
    """Verdict, table and pictures of the clustering beside the map; nothing where there is none."""
    clustering_id = points.wanted.clustering_id
    if clustering_id is None:
        return
    st.subheader("What the clusters are about")
    rows = widgets.attempt(lambda: data.table("cluster_information", where=("clustering_id", clustering_id)))
    if rows is None:
        return
    st.markdown(widgets.plain(verdict(rows)))
    with st.expander("Mutual information with each attribute"):
        widgets.table(_shown(rows), "cluster_information", raw=rows)
        st.caption(NOTE)
    _pictures(clustering_id)


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    ranked = rows.sort_values("adjusted", ascending=False, na_position="last", kind="stable")
    null = [_null(row) for row in ranked.to_dict("records")]
    return pd.DataFrame(
        {
            "attribute": ranked["attribute"].map(attribute_name),
            "NMI": ranked["nmi"].round(3),
            "shuffled": null,
            "about": ranked["is_about"],
            "p (Holm)": ranked["p_holm"].round(3),
            "shuffled by": ranked["unit"],
            "remark": ranked["reason"].fillna(""),
        }
    )


def _null(row: Mapping[Any, Any]) -> str:
    if pd.isna(row["null_mean"]):
        return "—"
    return f"{row['null_mean']:.3f} [{row['null_low']:.3f}, {row['null_high']:.3f}]"


def _pictures(clustering_id: str) -> None:
    columns = ("clustering_id", "cluster", "kind", "to_cluster", "step", "image")
    drawn = widgets.attempt(
        lambda: data.table("cluster_faces", where=("clustering_id", clustering_id), columns=columns)
    )
    if drawn is None:
        return
    drawn = drawn[drawn["image"].notna()]
    means = [(f"cluster {r['cluster']}", r["image"]) for r in drawn[drawn["kind"] == "mean"].to_dict("records")]
    if means:
        st.markdown("**Mean faces**, drawn from the clusters' mean W+ codes: nobody looks like this.")
        _strip(means)
    for (start, goal), part in drawn[drawn["kind"] == "walk"].groupby(["cluster", "to_cluster"], sort=True):
        st.markdown(f"**Walk** from cluster {start} to the nearest one, {goal}.")
        steps = part.sort_values("step")
        _strip([(f"step {r['step']}", r["image"]) for r in steps.to_dict("records")])


def _strip(pictures: list[tuple[str, bytes]]) -> None:
    cells = []
    for name, image in pictures:
        uri = thumbnail_uri(privacy.protect(image, privacy.mode()), size_px=PICTURE_PX)
        cells.append(
            f"<div style='width:{PICTURE_PX}px'>{widgets.picture_html(uri, alt=name)}"
            f"<div style='font-size:11.5px;{widgets.QUIET}'>{html.escape(name)}</div></div>"
        )
    st.html(f"<div style='display:flex;flex-wrap:wrap;gap:8px'>{''.join(cells)}</div>")
