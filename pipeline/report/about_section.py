"""The report's chapter on what clusters are about: a verdict, its figures, a table of clusters, and their faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from pipeline.about_verdict import verdict
from pipeline.errors import UserError
from pipeline.report import blocks, scores, summary
from pipeline.report.about_plots import information_figure, measured
from pipeline.report.blocks import Block, Section
from pipeline.report.images import thumbnail_uri
from pipeline.report.inputs import ReportInput

Figures = Mapping[str, bytes]
MAX_ROWS = 12
MAX_CLUSTERINGS = 6
N_EXEMPLARS = 6
N_NAMED = 2
N_CHANNELS = 3
THUMBNAIL_PX = 132
INTRO = (
    "Clusters collect faces that look alike to the network, for whatever reason. The mutual information says how much "
    "of each attribute they share; it grows with the number of clusters even where there is nothing, so it counts only "
    "beside its null: the same with whole source groups of attributes exchanged, or videos and faces where the "
    "attribute names the group or the video."
)
CAPTION = (
    "Dots: clusters and attribute as they are; filled where chance is ruled out, corrected for their number (Holm). "
    "Grey: 95 % of shuffled values and their mean. Noise is left out."
)
NOTE = (
    "Intervals of the share of fakes take source groups as the sample. 'Nearest' gives the distance of centroids in "
    "units of the clusters' spread: about 1 lies within, 3 stands apart. 'Channels' are the W+ channels in which the "
    "cluster differs most from all other faces, of those beyond what clusters shuffled by source group reach."
)


def figure_name(number: int) -> str:
    """Name of the figure of the clustering that comes as `number`-th."""
    return f"cluster-information-{number}"


def drawings(data: ReportInput) -> dict[str, Any]:
    """The figure of each clustering that has something measured."""
    parts = [measured(rows) for _, rows in _clusterings(data.get("cluster_information"))]
    return {figure_name(i): information_figure(rows) for i, rows in enumerate(parts) if len(rows)}


def about_section(data: ReportInput, figs: Figures) -> Section:
    """Each clustering's verdict, figure, table of clusters, and mean faces beside typical ones."""
    info, profiles = data.get("cluster_information"), data.get("cluster_profiles")
    out: list[Block] = []
    for name, table in (("cluster_information", info), ("cluster_profiles", profiles)):
        if table is None:
            out.append(blocks.missing(data.why_missing(name)))
    channels = data.get("cluster_channels")
    if channels is None:
        out.append(blocks.missing(data.why_missing("cluster_channels")))
    for i, (clustering_id, rows) in enumerate(_clusterings(info)):
        out += [blocks.heading(clustering_id), blocks.text(verdict(rows))]
        reason = "; ".join(dict.fromkeys(rows["reason"].dropna())) or "nothing was measured."
        out.append(blocks.figure(figs.get(figure_name(i)), "mutual information", CAPTION, reason=reason))
        if profiles is not None:
            mine = profiles[profiles["clustering_id"] == clustering_id]
            out.append(_table(mine, _of(channels, clustering_id)))
            out += _faces(data, clustering_id, mine)
    if data.get("cluster_faces") is None:
        out.append(blocks.missing(data.why_missing("cluster_faces")))
    return Section("about", "What clusters are about", INTRO, out)


def _clusterings(table: pd.DataFrame | None) -> list[tuple[str, pd.DataFrame]]:
    if table is None:
        return []
    return [(str(name), part) for name, part in table.groupby("clustering_id", sort=True)][:MAX_CLUSTERINGS]


def _of(table: pd.DataFrame | None, clustering_id: str) -> pd.DataFrame | None:
    return None if table is None else table[table["clustering_id"] == clustering_id]


def _table(profiles: pd.DataFrame, channels: pd.DataFrame | None) -> Block:
    ranked = profiles.assign(noise=profiles["cluster"] < 0).sort_values(
        ["noise", "n_faces", "cluster"], ascending=[True, False, True]
    )
    rows = []
    for r in ranked.to_dict("records"):
        share = scores.format_interval(
            (_number(r["share_fake"]), _number(r["ci_low"]), _number(r["ci_high"])), digits=2
        )
        rows.append(
            (
                "noise" if r["cluster"] < 0 else str(r["cluster"]),
                r["n_faces"],
                r["n_videos"],
                r["n_groups"],
                _number(r["n_identities"]),
                share,
                _shares(r["methods"], r["method_shares"]),
                _shares(r["compressions"], r["compression_shares"]),
                _number(r["face_width_px"]),
                _number(r["blur"]),
                _number(r["ita_deg"]),
                f"{r['nearest'][0]} ({r['nearest_distance'][0]:.1f})" if len(r["nearest"]) else "—",
                _channels(channels, int(r["cluster"])),
            )
        )
    columns = [
        "cluster", "faces", "videos", "groups", "people", "share of fakes", "methods", "compression", "face px",
        "sharpness", "tone °", "nearest", "channels",
    ]  # fmt: skip
    return blocks.table(columns, rows, max_rows=MAX_ROWS, note=NOTE)


def _shares(names: Sequence[str], shares: Sequence[float]) -> str:
    """The largest shares, and how many values there are beside."""
    said = [f"{name} {share:.0%}" for name, share in zip(names, shares, strict=True)][:N_NAMED]
    more = len(names) - len(said)
    return ", ".join(said + ([f"{more} more"] if more else [])) or "—"


def _channels(channels: pd.DataFrame | None, cluster: int) -> str:
    mine = None if channels is None else channels[channels["cluster"] == cluster].dropna(subset=["null_high"])
    if mine is None or mine.empty:
        return "—"
    top = mine[mine["distance"] > mine["null_high"]].sort_values(["distance", "channel"], ascending=[False, True])
    return ", ".join(str(c) for c in top["channel"].head(N_CHANNELS)) or "none"


def _faces(data: ReportInput, clustering_id: str, profiles: pd.DataFrame) -> list[Block]:
    """Mean faces beside the clusters' typical faces, then walks."""
    drawn = _of(data.get("cluster_faces"), clustering_id)
    if drawn is None or drawn.empty:
        return []
    out: list[Block] = []
    means = drawn[drawn["kind"] == "mean"]
    try:
        typical = _typical(data, clustering_id, means["cluster"].tolist())
    except UserError as error:
        return [blocks.missing(str(error))]
    sizes = dict(zip(profiles["cluster"], profiles["n_faces"], strict=True))
    for r in means.to_dict("records"):
        if r["image"] is None:
            out.append(blocks.missing(f"mean face of cluster {r['cluster']}: {r['reason']}."))
            continue
        n = int(sizes.get(r["cluster"], 0))
        out.append(
            {
                "kind": "neighbours",
                "title": f"Cluster {r['cluster']}, mean face of {blocks.plural(n, 'face')}",
                "alt": "mean face of the cluster",
                "uri": thumbnail_uri(r["image"], size_px=THUMBNAIL_PX),
                "faces": typical.get(r["cluster"], []),
            }
        )
    walks = drawn[(drawn["kind"] == "walk") & drawn["image"].notna()].sort_values("step", kind="stable")
    lines = [
        {
            "name": f"{start} to {goal}",
            "images": [thumbnail_uri(png, size_px=THUMBNAIL_PX) for png in part["image"]],
        }
        for (start, goal), part in walks.groupby(["cluster", "to_cluster"], sort=True)
    ]
    if lines:
        title = "Walks from a cluster's mean code to that of the nearest cluster"
        out.append({"kind": "compare", "title": title, "n": int(walks["step"].max()) + 1, "rows": lines})
    return out


def _typical(data: ReportInput, clustering_id: str, wanted: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Tiles of each cluster's most typical faces; none where the tables that tell are missing."""
    clusters, faces = _of(data.get("clusters"), clustering_id), data.get("faces")
    if clusters is None or faces is None:
        return {}
    chosen = {c: summary.exemplars(clusters, c, N_EXEMPLARS) for c in wanted}
    images = data.face_images([face for ids in chosen.values() for face in ids])
    labels = dict(summary.named_labels(faces)[["face_id", "label"]].itertuples(index=False, name=None))
    return {
        c: [
            {
                "uri": thumbnail_uri(images.get(face), size_px=THUMBNAIL_PX),
                "label": labels.get(face, "unknown"),
                "caption": labels.get(face, "unknown"),
            }
            for face in ids
        ]
        for c, ids in chosen.items()
    }


def _number(value: Any) -> float | None:
    return None if pd.isna(value) else value
