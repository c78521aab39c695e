"""Which figures a report has, each under the name it is stored by."""

from __future__ import annotations

import re

import pandas as pd
from matplotlib.figure import Figure

from pipeline.judged import own_answers
from pipeline.report import (
    about_section,
    cluster_plots,
    curve_plots,
    learning_plots,
    plots,
    scores,
    slices_plot,
    study_plots,
    summary,
)
from pipeline.report.inputs import ReportInput
from pipeline.report.palette import model_name
from pipeline.report.plot_style import png
from pipeline.report.study_section import has_curve

MAX_IMPORTANCE = 6


def slug(text: str) -> str:
    """A part of a file name: letters, digits and hyphens, at most 60 characters."""
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-").lower()[:60] or "unnamed"


def labelled_wplus(data: ReportInput) -> pd.DataFrame | None:
    """Codes of the main inverter with the face's label by name (unknown where the faces table is missing)."""
    wplus, faces = data.get("wplus"), data.get("faces")
    if wplus is None:
        return None
    part = wplus[wplus["inverter_id"] == summary.main_inverter(wplus)]
    if faces is None:
        return part.assign(label="unknown", video_id="", method=None, frame_index=-1)
    return summary.named_labels(summary.with_faces(part, faces, ["label", "video_id", "method", "frame_index"]))


def importance_parts(data: ReportInput) -> list[tuple[str, str, str, pd.DataFrame]]:
    """``(figure name, space, method, rows)`` of each importance measure."""
    table = data.get("importance")
    if table is None:
        return []
    pairs = sorted(set(zip(table["space"], table["method"], strict=True)))[:MAX_IMPORTANCE]
    parts = [(s, m, table[table["space"].eq(s) & table["method"].eq(m)]) for s, m in pairs]
    return [(f"importance-{slug(f'{s}-{m}')}", s, m, part) for s, m, part in parts]


def map_parts(data: ReportInput) -> list[tuple[str, str, str, pd.DataFrame]]:
    """``(figure name, map_id, clustering_id, points)``: one 2-D map per feature space, t-SNE where there is one.

    ``points`` has ``x, y``, ``label`` by name, and ``cluster`` (NaN where no clustering of that space exists).
    """
    maps, faces, clusters = data.get("map"), data.get("faces"), data.get("clusters")
    if maps is None:
        return []
    flat = [str(i) for i, part in maps.groupby("map_id", sort=True) if summary.is_flat(part)]
    out = []
    for space in dict.fromkeys(summary.space_of(i) for i in flat):
        map_id = summary.first_id(flat, space=space, word="tsne")
        if map_id is None:
            continue
        points = maps[maps["map_id"] == map_id][["face_id", "x", "y"]]
        if faces is not None:
            points = summary.named_labels(summary.with_faces(points, faces, ["label"]))
        else:
            points = points.assign(label="unknown")
        clustering_id = None
        if clusters is not None:
            clustering_id = summary.main_clustering(clusters["clustering_id"].unique(), space=space)
            part = clusters[clusters["clustering_id"] == clustering_id][["face_id", "cluster"]]
            points = points.merge(part, on="face_id", how="left")
        points["cluster"] = points.get("cluster", pd.Series(index=points.index, dtype="float64")).astype("float64")
        out.append((f"map-{slug(map_id)}", map_id, clustering_id or "", points))
    return out


def tree_parts(data: ReportInput) -> list[tuple[str, str, pd.DataFrame]]:
    """``(figure name, clustering_id, rows)`` of each condensed tree."""
    table = data.get("cluster_tree")
    if table is None:
        return []
    return [(f"tree-{slug(str(i))}", str(i), part) for i, part in table.groupby("clustering_id", sort=True)]


def _score_figures(data: ReportInput, metrics: pd.DataFrame) -> dict[str, Figure]:
    out: dict[str, Figure] = {}
    name = next((m for m in scores.metric_order(metrics) if m in scores.HEADLINE), None)
    for level, split in scores.judged(metrics):
        if name is None:
            break
        table = scores.metric_table(metrics, level=level, split=split, names=[name])
        baseline = scores.baseline_value(metrics, level=level, split=split, metric=name)
        out[f"metrics-{level}"] = plots.forest_figure(
            table, name, baseline=baseline, title=f"{level} level, split {split}"
        )
    best, predictions = scores.best_model(metrics), data.get("predictions")
    if best is not None and predictions is not None:
        rows = scores.select(predictions, level=best.level, space=best.space, model=best.model, split=best.split)
        if not rows.empty:
            text = "AUC " + scores.format_interval((best.value, best.ci_low, best.ci_high))
            label, p_fake = rows["label"].to_numpy(dtype="int64"), rows["p_fake"].to_numpy(dtype="float64")
            score = own_answers(rows)
            out["best-model"] = plots.model_figure(label, p_fake, score=score, auc_text=text)
            out["curves"] = curve_plots.curves_figure(_ranked_models(metrics, predictions, best))
    return out


def _ranked_models(metrics: pd.DataFrame, predictions: pd.DataFrame, best: scores.Choice) -> list[curve_plots.Judged]:
    """Every model judged where the best one was, by falling ROC-AUC."""
    table = scores.metric_table(metrics, level=best.level, split=best.split, names=[scores.AUC])
    out = []
    for _, row in table[table["space"].ne("baseline")].iterrows():
        rows = scores.select(predictions, level=best.level, space=row["space"], model=row["model"], split=best.split)
        if not rows.empty:
            label, p_fake = rows["label"].to_numpy(dtype="int64"), rows["p_fake"].to_numpy(dtype="float64")
            name = f"{row['space']} · {model_name(row['model'])}"
            out.append(curve_plots.Judged(name, label, p_fake, own_answers(rows)))
    return out


def _drawings(data: ReportInput) -> dict[str, Figure]:
    out: dict[str, Figure] = {}
    wplus, metrics, effort = labelled_wplus(data), data.get("metrics"), data.get("effort")
    if wplus is not None:
        out["quality"] = plots.quality_figure(wplus)
    if effort is not None and has_curve(effort):
        out["effort"] = study_plots.effort_figure(effort)
    if metrics is not None:
        out |= _score_figures(data, metrics)
    slices, effects = data.get("slices"), data.get("channel_effects")
    if slices is not None and len(rows := slices_plot.drawable(slices)):
        out["slices"] = slices_plot.slices_figure(rows)
    if effects is not None:
        out["channel-effects"] = slices_plot.effects_figure(effects)
    if (learning := data.get("learning")) is not None:
        out["learning"] = learning_plots.learning_figure(learning)
    for name, _, _, part in importance_parts(data):
        out[name] = plots.importance_figure(part)
    for name, _, _, points in map_parts(data):
        out[name] = plots.map_figure(points)
    for name, _, part in tree_parts(data):
        out[name] = cluster_plots.tree_figure(part)
    return out | about_section.drawings(data)


def figures(data: ReportInput) -> dict[str, bytes]:
    """Every figure the tables allow, as PNG.

        Returns
        -------
        dict
            Name without ending (``quality``, ``effort``, ``metrics-video``, ``metrics-frame``, ``best-model``,
    from pipeline.report import curve_plots, learning_plots, plots, scores, slices_plot, study_plots, summary
    """
    return {name: png(figure) for name, figure in _drawings(data).items()}
