"""Blocks of the classifier chapter beyond the main table: baselines, decisions, methods, comparisons."""

from __future__ import annotations

import pandas as pd

from pipeline.report import blocks, scores
from pipeline.report.blocks import Block
from pipeline.report.inputs import ReportInput
from pipeline.report.palette import metric_name, model_name

Cell = tuple[float | None, float | None, float | None]

DECISIONS = ("ece", "tpr_at_fpr_01", "band_coverage", "band_risk", "aurc", "accuracy_at_prior", "precision_at_prior")
BASELINES = ("accuracy", "accuracy_over_majority", "accuracy_reversed", "roc_auc", "roc_auc_reversed")
METHOD_COLUMNS = ("roc_auc", "average_precision", "recall", "eer")
VERDICTS = {1: "better", 0: "not shown", -1: "worse"}


def baselines(metrics: pd.DataFrame, *, level: str, split: str) -> list[Block]:
    """Accuracy and ROC-AUC beside what the majority class and the reversed score reach."""
    table = scores.metric_table(metrics, level=level, split=split, names=list(BASELINES))
    rows = [
        (
            r["space"],
            model_name(r["model"]),
            *[scores.format_interval(r[n]) for n in BASELINES],
            _beats(r["accuracy_over_majority"]),
        )
        for _, r in table.iterrows()
        if r["space"] != "baseline"
    ]
    columns = ["space", "model", *[metric_name(n) for n in BASELINES], "than majority"]
    note = (
        "Accuracy over majority is the accuracy minus that of always answering the more frequent class, on the same "
        "draws of groups; 'better' or 'worse' where its interval leaves out 0. Reversed: what calling the low scores "
        "fake would reach."
    )
    return [
        blocks.heading("Against looking at nothing, and against the reversed score"),
        blocks.table(columns, rows, note=note),
    ]


def _beats(cell: Cell) -> str:
    _, low, high = cell
    if low is None or high is None:
        return "—"
    return VERDICTS[int(low > 0) - int(high < 0)]


def decisions(metrics: pd.DataFrame, *, level: str, split: str) -> list[Block]:
    """Calibration, abstention and decisions at the prior."""
    names = [n for n in DECISIONS if n in set(metrics["metric"])]
    if not names:
        return []
    table = scores.metric_table(metrics, level=level, split=split, names=names)
    rows = [
        (r["space"], model_name(r["model"]), *[scores.format_interval(r[n]) for n in names])
        for _, r in table.iterrows()
        if r["space"] != "baseline"
    ]
    note = (
        "Band: items outside train.uncertain_band are answered; risk is the share of these answered wrongly. At prior: "
        "decisions at the threshold that evaluate.prior_fake and the costs call for."
    )
    return [
        blocks.heading("Calibration, abstention and decisions"),
        blocks.table(["space", "model", *[metric_name(n) for n in names]], rows, note=note),
    ]


def _cell(row: pd.Series, value: str) -> Cell:
    """A number of a row with its interval."""
    return scores.optional(row[value]), scores.optional(row["ci_low"]), scores.optional(row["ci_high"])


def by_method(data: ReportInput, *, level: str, split: str) -> list[Block]:
    """Each manipulation method's fakes against all reals, of every model."""
    table = data.get("method_metrics")
    title = blocks.heading("By manipulation method")
    if table is None:
        return [title, blocks.missing(data.why_missing("method_metrics"))]
    part = table[table["level"].eq(level) & table["split"].eq(split)]
    rows = []
    for (method, space, model), of_model in part.groupby(["method", "space", "model"], sort=True):
        cells = {r["metric"]: _cell(r, "value") for _, r in of_model.iterrows()}
        shown = [scores.format_interval(cells.get(n, (None, None, None))) for n in METHOD_COLUMNS]
        first = of_model.iloc[0]
        rows.append((method, space, model_name(str(model)), *shown, int(first["n_fakes"]), int(first["n_reals"])))
    columns = ["method", "space", "model", *[metric_name(n) for n in METHOD_COLUMNS], "fakes", "reals"]
    note = "Each method's fakes are held against all reals of the same split."
    return [title, blocks.table(columns, rows, note=note)]


def comparisons(data: ReportInput, *, level: str, split: str) -> list[Block]:
    """The best model against every other, on the same items."""
    table = data.get("comparisons")
    title = blocks.heading("The best model against the others")
    if table is None:
        return [title, blocks.missing(data.why_missing("comparisons"))]
    part = table[table["level"].eq(level) & table["split"].eq(split)]
    rows = [
        (
            f"{r['space_a']} · {model_name(r['model_a'])}",
            f"{r['space_b']} · {model_name(r['model_b'])}",
            metric_name(r["metric"]),
            r["method"],
            scores.format_interval(_cell(r, "difference")),
            "—" if pd.isna(r["p_value"]) else f"{r['p_value']:.3f}",
        )
        for _, r in part.iterrows()
    ]
    note = (
        "Differences (first minus second) on the same items with 95 % intervals. The first model was picked as the "
        "best on these rows, so its lead and the p-values flatter it. DeLong's test takes items as independent."
    )
    return [title, blocks.table(["model", "against", "metric", "method", "difference", "p"], rows, note=note)]
