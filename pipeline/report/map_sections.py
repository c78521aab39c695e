"""The report's chapters on W+ channels, maps and clusters: tables in, `Section`s out."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from pipeline.errors import UserError
from pipeline.report import blocks, channel_section, charts, cluster_trust, summary
from pipeline.report.blocks import Block, Section
from pipeline.report.images import thumbnail_uri
from pipeline.report.inputs import ReportInput
from pipeline.report.palette import measure_name

Figures = Mapping[str, bytes]
THUMBNAIL_PX = 112
MAX_CLUSTERS = 12  # per clustering; the page stays small and says how many it leaves out
N_EXEMPLARS = 8


def importance_section(data: ReportInput, figs: Figures) -> Section:
    """How much each W+ channel tells."""
    if data.get("importance") is None:
        return Section("importance", "W+ channels", blocks=[blocks.missing(data.why_missing("importance"))])
    intro = (
        "How well the label can be told from one W+ channel alone, and what a model of all channels loses when one "
        "comes from another person's face. Dots are means with 95 % intervals; the dash is the same measure with "
        "labels shuffled between videos, or no loss. A channel whose interval reaches its dash or chance (dotted) is "
        "not shown to tell anything; of many channels, one may clear both by luck."
    )
    out: list[Block] = []
    for name, space, method, part in charts.importance_parts(data):
        repeats = f"{int(part['n_repeats'].max())} repetitions" if part["n_repeats"].notna().any() else ""
        tell = ", ".join(map(str, summary.telling_channels(part))) or "none"
        caption = f"{space}: {measure_name(method)}, {repeats}. Channels above both, with their whole interval: {tell}."
        out.append(blocks.figure(figs.get(name), "importance per channel", caption, reason="no values."))
    out += channel_section.more_on_channels(data, figs)
    return Section("importance", "W+ channels", intro, out)


def map_section(data: ReportInput) -> Section:
    """2-D maps; the figures are put in by `add_map_figures`."""
    if data.get("map") is None:
        return Section("map", "Maps", blocks=[blocks.missing(data.why_missing("map"))])
    return Section(
        "map", "Maps", "Each point is a face. Near points look alike to the network; far distances mean little."
    )


def add_map_figures(section: Section, data: ReportInput, figs: Figures) -> Section:
    """The map section with one figure per feature space."""
    if section.blocks:
        return section
    out: list[Block] = []
    for name, map_id, clustering_id, points in charts.map_parts(data):
        parts = f"{len(points):,} faces, {int((points['label'] == 'fake').sum()):,} of them fake."
        clusters = f" Clusters from {clustering_id}." if clustering_id else f" {data.why_missing('clusters')}"
        out.append(blocks.figure(figs.get(name), f"map {map_id}", f"{map_id}. {parts}{clusters}", reason="no figure."))
    out = out or [blocks.missing("table 'map' holds no 2-D map.")]
    return Section(section.id, section.title, section.intro, [*out, *_kept(data)])


def _kept(data: ReportInput) -> list[Block]:
    """What each map keeps of the space it was made from."""
    quality = data.get("map_quality")
    if quality is None:
        return [blocks.missing(data.why_missing("map_quality"))]
    measures = ["trustworthiness", "continuity", "knn_recall", "distance_spearman"]
    rows = [
        (row["map_id"], *(blocks.cell(None if pd.isna(row[m]) else row[m]) for m in measures), row["reason"] or "")
        for row in quality.sort_values("map_id").to_dict("records")
    ]
    columns = ["map", "trustworthiness", "continuity", "neighbours kept", "far distances", "remark"]
    n_neighbors = int(quality["n_neighbors"].max())
    note = (
        f"What each map keeps of the components it was made from. Of {n_neighbors} neighbours (fewer on small maps): "
        "near 1, neighbours on the map are neighbours in the data (trustworthiness), neighbours in the data are "
        "on the map (continuity), and the share of nearest ones that stay nearest; then the rank correlation of all "
        "distances. A PCA map is the yardstick: it keeps far distances and loses neighbours."
    )
    return [blocks.table(columns, rows, note=note)]


def cluster_section(data: ReportInput, figs: Figures) -> Section:
    """Each large cluster's size, mix and most typical faces, and how far clusters can be trusted."""
    clusters, faces = data.get("clusters"), data.get("faces")
    if clusters is None or faces is None:
        name = "clusters" if clusters is None else "faces"
        return Section("clusters", "Clusters", blocks=[blocks.missing(data.why_missing(name))])
    intro = (
        "HDBSCAN groups by density and leaves faces that belong nowhere as noise. Shown are each cluster's most "
        "typical faces; a blue bar is a real face, an orange bar a fake one."
    )
    out: list[Block] = []
    for clustering_id, part in clusters.groupby("clustering_id", sort=True):
        out += _clustering(data, str(clustering_id), part, faces)
        out += cluster_trust.trust_blocks(data, figs, str(clustering_id))
    return Section("clusters", "Clusters", intro, out)


def _clustering(data: ReportInput, clustering_id: str, part: pd.DataFrame, faces: pd.DataFrame) -> list[Block]:
    table = summary.cluster_summary(part, faces)
    real = table[table["cluster"] >= 0]
    n_noise = int(table.loc[table["cluster"] < 0, "n_faces"].sum())
    share = blocks.percent(n_noise / len(part), digits=0)
    sentence = f"{clustering_id}: {len(real)} clusters of {len(part):,} faces; {n_noise:,} faces ({share}) are noise."
    if n_single := int(real["n_groups"].eq(1).sum()):
        sentence += f" {n_single} of them come from one source group each, which is footage that looks like itself."
    if len(real) > MAX_CLUSTERS:
        sentence += f" The {MAX_CLUSTERS} largest are shown."
    out: list[Block] = [
        blocks.heading(f"Space {summary.space_of(clustering_id) or clustering_id}"),
        blocks.text(sentence),
    ]
    if real.empty:
        return [*out, blocks.missing("every face is noise: no group is dense enough at this min_cluster_size.")]
    shown = real.head(MAX_CLUSTERS)
    chosen = {int(c): summary.exemplars(part, int(c), N_EXEMPLARS) for c in shown["cluster"]}
    try:
        images = data.face_images([face for ids in chosen.values() for face in ids])
    except UserError as error:
        return [*out, blocks.missing(str(error))]
    labels = dict(summary.named_labels(faces)[["face_id", "label"]].itertuples(index=False, name=None))
    for row in shown.to_dict("records"):
        tiles = [
            {
                "uri": thumbnail_uri(images.get(f), size_px=THUMBNAIL_PX),
                "label": labels.get(f, "unknown"),
                "caption": f"face {f}",
            }
            for f in chosen[int(row["cluster"])]
        ]
        counts = [(row["n_faces"], "face"), (row["n_videos"], "video"), (row["n_groups"], "source group")]
        detail = (
            ", ".join(blocks.plural(n, what) for n, what in counts)
            + f" · {blocks.percent(row['share_fake'], digits=0)} fake · membership {blocks.cell(row['membership'])}"
        )
        out.append({"kind": "cluster", "title": f"Cluster {int(row['cluster'])}", "detail": detail, "faces": tiles})
    return out
