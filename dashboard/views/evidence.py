"""On the page Models: tables per manipulation method and per slice, and learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import curves, widgets
from pipeline.report import learning_section, scores, slices_section
from pipeline.report.palette import metric_name, model_name

METHOD_METRICS = ("roc_auc", "average_precision", "balanced_accuracy", "recall", "eer")
MEASURES = {
    "error_rate": "error rate", "balanced_accuracy": "balanced accuracy", "roc_auc": "ROC-AUC", "coverage": "coverage",
    "lpips": "reconstruction distance",
}  # fmt: skip


def _of(table: pd.DataFrame, pairs: list[tuple[str, str]]) -> pd.DataFrame:
    """Rows of some ``(space, model)``."""
    return table[[pair in pairs for pair in zip(table["space"], table["model"], strict=True)]]


def by_method(pairs: list[tuple[str, str]], *, level: str, split: str) -> None:
    """Each manipulation method's fakes against all reals, for some models."""
    table = widgets.need("method_metrics")
    if table is None:
        return
    part = _of(table, pairs)
    part = part[part["level"].eq(level) & part["split"].eq(split)]
    if part.empty:
        widgets.tell(f"No model chosen above was judged by method for {level}s.")
        return
    lines = []
    for (method, space, model), rows in part.groupby(["method", "space", "model"], sort=True):
        cells = {r["metric"]: _interval(r, "value", "ci_low", "ci_high") for r in rows.to_dict("records")}
        line = {"method": method, "space": space, "model": model_name(str(model))}
        line |= {metric_name(n): cells.get(n, "—") for n in METHOD_METRICS}
        lines.append(line | {"fakes": rows["n_fakes"].iloc[0], "reals": rows["n_reals"].iloc[0]})
    widgets.table(pd.DataFrame(lines), "by_method", raw=part)
    st.caption(
        widgets.plain(
            "Value [95 % interval over source groups]. Each method's fakes are held against all reals of the same "
            f"split.{scores.remarks(part['reason'].dropna())}"
        )
    )


def slices(pairs: list[tuple[str, str]]) -> None:
    """How often some classifiers, the detector and the inversion fail per slice, worst first."""
    table = widgets.need("slices")
    if table is None:
        return
    present = [m for m in MEASURES if m in set(table["measure"])]
    left, right = st.columns(2)
    measure = left.selectbox(
        "Measure", present, format_func=MEASURES.__getitem__, key="slice_measure", bind="query-params"
    )
    part = table[table["measure"].eq(measure)]
    if measure not in ("coverage", "lpips"):  # these two judge no classifier
        part = _of(part, pairs)
    by = right.selectbox(
        "Sliced by",
        ["all", *sorted(part["attribute"].unique())],
        format_func=lambda a: "everything" if a == "all" else slices_section.attribute_name(a),
        key="sliced_by",
        bind="query-params",
    )
    part = part if by == "all" else part[part["attribute"].eq(by)]
    if part.empty:
        judged = sorted({f"{s} · {model_name(m)}" for s, m in zip(table["space"], table["model"], strict=True)})
        widgets.tell(
            f"No model chosen above was sliced; there are slices of {', '.join(judged)}. "
            "`slices.classifiers: all` in params.yaml slices every model at the next `dvc repro`."
        )
        return
    worst_first = part.sort_values("diff_low", ascending=False, na_position="last", kind="stable")
    widgets.table(_slice_lines(worst_first), "slices", raw=worst_first)
    st.caption(
        "Value and difference from the rest (at the slice's own mix of real and fake), each [95 % interval over source "
        "groups]; p is corrected for all comparisons (Holm). Surest to be worse first. A slice that is not shown to "
        "differ may still do so: few groups show little."
    )
    if "skin_tone" in set(part["attribute"]):
        st.caption(slices_section.ITA_NOTE)


def _slice_lines(part: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "by": slices_section.attribute_name(r["attribute"]), "slice": r["slice"],
                "classifier": f"{r['space']} · {model_name(r['model'])}",
                "value": _interval(r, "value", "ci_low", "ci_high"),
                "difference": _interval(r, "difference", "diff_low", "diff_high"),
                "p (Holm)": r["p_holm"], "faces": r["n_faces"], "groups": r["n_groups"],
                "remark": "" if pd.isna(r["reason"]) else r["reason"],
            }
            for r in part.to_dict("records")
        ]
    )  # fmt: skip


def _interval(row: Mapping[Any, Any], *names: str) -> str:
    value, low, high = (None if pd.isna(row[n]) else float(row[n]) for n in names)
    return scores.format_interval((value, low, high))


def learning() -> None:
    """Scores against the number of source groups trained on, in a figure and in words."""
    table = widgets.need("learning")
    if table is None:
        return
    left, right = st.columns(2)
    metrics = [m for m in ("roc_auc", "log_loss") if m in set(table["metric"])]
    metric = left.selectbox("Metric", metrics, format_func=metric_name, key="learning_metric", bind="query-params")
    levels = [v for v in ("frame", "video") if v in set(table["level"])]
    level = right.segmented_control(
        "Measured per", levels, default=levels[0], key="learning_level", required=True, bind="query-params"
    )
    part = table[table["metric"].eq(metric) & table["level"].eq(level)]
    if part.empty:
        widgets.tell(f"No learning curve of {metric_name(metric)} for {level}s.")
        return
    alt = f"{metric_name(metric)} of {level}s against the number of source groups trained on"
    widgets.show(curves.learning(part, metric=metric, level=level), "learning", alt=alt)
    for sentence in learning_section.verdicts(table):
        st.markdown(f"- {widgets.plain(sentence)}")
    model = model_name(str(table["model"].iloc[0]))
    st.caption(widgets.plain(f"Model: {model}. {learning_section.INTRO}{scores.remarks(part['reason'].dropna())}"))
    with st.expander("The numbers"):
        widgets.table(part, "learning_curves")
