"""Overview: what went in, how it went, and how well real and fake were told apart."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data, figures, levels, widgets
from dashboard.views import changes
from pipeline.report import blocks, notes, scores, summary
from pipeline.report.palette import measure_name, metric_name, model_name

_WARNED_OF = ("videos", "faces", "leaks", "splits", "wplus", "metrics", "shortcuts")
N_TABLE_METRICS = 5  # the rest is in the figure's list of metrics


def page() -> None:
    """Draw the page."""
    st.title("Overview")
    _tiles()
    known = {name: data.optional(name) for name in _WARNED_OF}
    overtaken = changes.overtaken()
    widgets.warn(notes.all_warnings(known) + changes.warnings(overtaken))
    st.header("Material")
    _material()
    st.header("Faces")
    _faces()
    st.header("Inversion quality")
    _quality()
    st.header("Classifiers")
    _classifiers()
    changes.show(overtaken)
    st.header("W+ channels")
    _importance()


def _tiles() -> None:
    videos, faces, wplus, metrics = (data.optional(n) for n in ("videos", "faces", "wplus", "metrics"))
    tiles = []
    if videos is not None:
        n_ok = int(videos["status"].eq("ok").sum())
        tiles.append(("Videos", f"{n_ok:,}", f"usable, of {len(videos):,} catalogued"))
        tiles.append(("Source groups", f"{videos['source_group'].nunique():,}", "independent footage"))
    if faces is not None:
        found = summary.coverage(faces)
        tiles.append(("Face coverage", blocks.percent(found.share), f"of {found.n_frames:,} sampled frames"))
    if wplus is not None:
        tiles.append(("Faces inverted", f"{wplus['face_id'].nunique():,}", _distance_caption(wplus)))
    best = scores.best_model(metrics) if metrics is not None else None
    if best is not None:
        bounds = scores.format_interval((best.value, best.ci_low, best.ci_high), digits=2).partition(" ")[2]
        detail = f"{bounds}, {model_name(best.model)} on {best.space}; picked as best, so optimistic"
        tiles.append((f"Best {best.level} ROC-AUC", f"{best.value:.3f}", detail))
    for column, (name, value, detail) in zip(st.columns(len(tiles)) if tiles else [], tiles, strict=True):
        with column.container(border=True, height="stretch"):
            st.metric(name, value)
            st.caption(widgets.plain(detail))


def _distance_caption(wplus: pd.DataFrame) -> str:
    median = wplus["lpips"].median()
    return "no distance measured" if pd.isna(median) else f"median perceptual distance {median:.3g}"


def _material() -> None:
    videos = widgets.need("videos")
    if videos is None:
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**Videos by label, method and compression**")
        names = {"n_videos": "videos", "n_ok": "usable", "n_groups": "groups", "dataset": "data set"}
        config = {"minutes": st.column_config.NumberColumn(format="%.1f")}
        widgets.table(summary.material(videos).rename(columns=names), "material", config=config)
    with right:
        st.markdown("**Files by outcome**")
        widgets.table(summary.reasons(videos).rename(columns={"n": "files"}), "files_by_outcome")
        lost = videos[videos["status"] != "ok"]
        if not lost.empty:
            with st.expander(f"The {len(lost):,} files that gave nothing"):
                widgets.table(lost[["rel_path", "status", "reason"]], "files_that_gave_nothing")


def _faces() -> None:
    faces = widgets.need("faces")
    if faces is None:
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.markdown("**Coverage: sampled frames with a usable face**")
        by = st.segmented_control(
            "Coverage by", ["label", "method"], default="label", key="coverage_by", required=True, bind="query-params"
        )
        table = summary.coverage_by(faces, by).rename(
            columns={"n_frames": "frames", "n_ok": "with a face", "share": "coverage"}
        )
        table["coverage"] *= 100
        config = {"coverage": st.column_config.ProgressColumn(format="%.1f %%", min_value=0.0, max_value=100.0)}
        widgets.table(table, "coverage", config=config)
        if data.optional("overrides") is not None:
            st.caption("By the material's own labels and methods, without corrections made by hand.")
    with right:
        st.markdown("**Face rows by outcome**")
        widgets.table(summary.reasons(faces).rename(columns={"n": "rows"}), "faces_by_outcome")


def _quality() -> None:
    wplus = widgets.need("wplus")
    if wplus is None:
        return
    name = data.metadata("wplus").get("perceptual", "not named in the table")
    st.caption(
        widgets.plain(
            f"Measured on the full generator's image of the stored code. Perceptual distance: {name}; low is good. "
            "'good' and 'poor': a tenth of the faces are better and worse."
        )
    )
    left, right = st.columns(2, gap="large")
    with left:
        labelled = data.with_material(wplus[wplus["inverter_id"] == summary.main_inverter(wplus)])
        widgets.show(
            figures.quality_histogram(labelled, "lpips"),
            "quality_histogram",
            alt="Histogram of perceptual distance by label",
        )
    with right:
        table = summary.quality_summary(wplus)
        table["measure"] += table["unit"].map(lambda u: f" ({u})" if u else "")
        table = table.drop(columns="unit")
        if table["inverter_id"].nunique() == 1:
            st.caption(widgets.plain(f"Inverter {table['inverter_id'].iloc[0]}"))
            table = table.drop(columns="inverter_id")
        numbers = {c: st.column_config.NumberColumn(format="%.3g") for c in ("median", "good", "poor", "worst")}
        widgets.table(table, "quality", config=numbers)
        widgets.table(summary.reasons(wplus).rename(columns={"n": "codes"}), "codes_by_outcome")


def _classifiers() -> None:
    metrics = widgets.need("metrics")
    if metrics is None:
        return
    asked = levels.choose(metrics)
    if asked is None:
        return
    level, split = asked
    names = scores.metric_order(metrics)
    table = scores.metric_table(metrics, level=level, split=split, names=names)
    shown = table.drop(columns="reason").assign(model=table["model"].map(model_name))
    shown = shown.assign(**{n: table[n].map(scores.format_interval) for n in names})
    columns = ["space", "model", *names[:N_TABLE_METRICS], "n_groups", "n_items"]
    shown = shown[columns].rename(columns={n: metric_name(n) for n in names})
    widgets.table(
        shown.rename(columns={"n_groups": "groups", "n_items": f"{level}s"}),
        "scores",
        raw=metrics[metrics["level"].eq(level) & metrics["split"].eq(split)],
    )
    st.caption(
        f"Value [95 % group-bootstrap interval], split {widgets.plain(split)}; every item judged by a model that "
        f"never saw its source group. {scores.BASELINE_NOTE}"
    )
    if remarks := scores.remarks(table["reason"]):
        st.caption(widgets.plain(remarks))
    _forest(metrics, table, names, level, split)


def _forest(metrics: pd.DataFrame, table: pd.DataFrame, names: list[str], level: str, split: str) -> None:
    if not names:
        return
    metric = st.selectbox("Metric", names, format_func=metric_name, key="forest_metric", bind="query-params")
    baseline = scores.baseline_value(metrics, level=level, split=split, metric=metric)
    widgets.show(
        figures.forest(table, metric, baseline=baseline),
        "forest",
        alt=f"{metric_name(metric)} of each model with its interval",
    )


def _importance() -> None:
    importance = widgets.need("importance")
    if importance is None:
        return
    for (space, method), part in importance.groupby(["space", "method"], sort=True):
        tell = ", ".join(map(str, summary.telling_channels(part))) or "none"
        st.markdown(f"- {widgets.plain(f'{space} · {measure_name(str(method))}')}: **{tell}**")
    st.caption(
        "Channels shown to tell real from fake: their whole interval lies above chance and above the same measure with "
        "labels shuffled between videos. Of many channels, one may clear both by luck. More on the page Channels."
    )
