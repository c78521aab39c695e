"""The report's words on how far a clustering can be trusted: the condensed tree and the grid of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.report import blocks, charts
from pipeline.report.blocks import Block
from pipeline.report.inputs import ReportInput

# Our convention for words: an index from which clusters hold, and one below which they do not.
HOLDS_FROM, BREAKS_BELOW = 0.75, 0.4
COLUMNS = (
    "min_cluster_size", "min_samples", "shown above", "clusters", "noise", "stability (ARI)", "validity (DBCV)",
)  # fmt: skip


def trust_blocks(data: ReportInput, figs: Mapping[str, bytes], clustering_id: str) -> list[Block]:
    """Tree, verdict and grid of one HDBSCAN clustering; nothing for other methods."""
    if "-hdbscan-" not in clustering_id:
        return []
    out: list[Block] = []
    for name, tree_id, _ in charts.tree_parts(data):
        if tree_id == clustering_id:
            out.append(blocks.figure(figs.get(name), f"condensed tree of {tree_id}", TREE_CAPTION, reason="no figure."))
    out += [blocks.missing(data.why_missing(t)) for t in ("cluster_tree", "cluster_grid") if data.get(t) is None]
    grid = data.get("cluster_grid")
    if grid is None:
        return out
    rows = grid[grid["clustering_id"].map(family).eq(family(clustering_id))]
    rows = rows.sort_values(["min_cluster_size", "min_samples"])
    for used in rows[rows["clustering_id"] == clustering_id].to_dict("records"):
        out.append(blocks.text(verdict(used)))
    return [*out, _table(rows)] if len(rows) else out


TREE_CAPTION = (
    "HDBSCAN's tree from sparse (top) to dense: a branch is as wide as it has faces, a fork is a cluster that comes "
    "apart. Kept clusters are coloured and numbered; single faces that fall off narrow a branch. Long branches last."
)


def family(clustering_id: str) -> str:
    """A clustering's name without its settings."""
    return clustering_id.rsplit("-mcs", 1)[0]


def verdict(row: Mapping[Any, Any]) -> str:
    """Whether the clusters shown last when other source groups are looked at."""
    stability = row["stability"]
    if pd.isna(stability):
        return f"How stable these clusters are is not known: {row['reason']}."
    interval = _spread(row, "stability", "{:.2f}")
    if stability >= HOLDS_FROM:
        said = "they hold"
    elif stability < BREAKS_BELOW:
        said = "they hang on which footage is there, so a single cluster is no finding"
    else:
        said = "some hold and some do not"
    return (
        f"On {row['n_draws']} draws of 80 % of the source groups, clusters agree with those of all faces by {interval} "
        f"(adjusted Rand index, middle 95 % of draws; 0 is chance, 1 the same): {said}."
    )


def _table(rows: pd.DataFrame) -> Block:
    lines = [
        [
            int(row["min_cluster_size"]),
            int(row["min_samples"]),
            "yes" if row["in_use"] else "",
            _spread(row, "n_clusters", "{:.0f}"),
            _spread(row, "noise_share", "{:.2f}"),
            _spread(row, "stability", "{:.2f}"),
            _spread(row, "validity", "{:.2f}"),
        ]
        for row in rows.to_dict("records")
    ]
    first = rows.iloc[0]
    note = (
        f"Measured on {first['n_faces']:,} faces of {first['n_groups']:,} source groups. In brackets: the middle 95 % "
        "of draws of 80 % of the groups. Validity above 0: denser inside clusters than between; noise counts as 0."
    )
    return blocks.table(COLUMNS, lines, note=note)


def _spread(row: Mapping[Any, Any], name: str, form: str) -> str:
    """``0.42 [0.30, 0.55]``, a dash where there is no value."""
    values = [row[name], row[f"{name}_low"], row[f"{name}_high"]]
    if pd.isna(values[0]):
        return "—"
    told = [form.format(v) for v in values if not pd.isna(v)]
    return told[0] if len(told) < 3 else f"{told[0]} [{told[1]}, {told[2]}]"
