"""Models: curves of chosen models over each other, what a threshold costs, and where each model fails."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import curves, levels, widgets
from dashboard.views import evidence, thresholds
from pipeline.judged import own_answers
from pipeline.report import scores
from pipeline.report.palette import metric_name, model_name


def page() -> None:
    """Draw the page."""
    st.title("Models")
    _judged()
    st.header("Learning curves")
    evidence.learning()


def _judged() -> None:
    metrics = widgets.need("metrics")
    if metrics is None:
        return
    left, right = st.columns([1, 4])
    asked = levels.choose(metrics, left)
    if asked is None:
        return
    level, split = asked
    table = scores.metric_table(metrics, level=level, split=split, names=scores.metric_order(metrics))
    table = table[table["space"].ne("baseline")]
    named = {f"{r['space']} · {model_name(r['model'])}": (r["space"], r["model"]) for r in table.to_dict("records")}
    best = table.drop_duplicates("space")  # the table is sorted, the best of each space comes first
    first = [n for n, pair in named.items() if pair in set(zip(best["space"], best["model"], strict=True))]
    chosen = right.multiselect(
        "Models, the best first",
        list(named),
        default=first[: curves.MAX_CURVES],
        max_selections=curves.MAX_CURVES,
        key="models",
        bind="query-params",
    )
    if not chosen:
        widgets.tell("Choose a model above.")
        return
    pairs_chosen = [named[name] for name in chosen]
    _metrics(table, pairs_chosen, level, split, metrics)
    judged = _answers(named, chosen, level, split)
    if judged:
        _curves(judged, level)
        st.header("Threshold and cost")
        thresholds.show(judged, level)
    st.header("By manipulation method")
    evidence.by_method(pairs_chosen, level=level, split=split)
    st.header("By slice of the faces")
    evidence.slices(pairs_chosen)


def _metrics(table: pd.DataFrame, pairs: list[tuple[str, str]], level: str, split: str, metrics: pd.DataFrame) -> None:
    names = [c for c in table.columns if c not in ("space", "model", "n_groups", "n_items", "reason")]
    rows = table.set_index(["space", "model"], drop=False).loc[pairs]
    lines = [
        {"metric": metric_name(n)}
        | {f"{r['space']} · {model_name(r['model'])}": scores.format_interval(r[n]) for r in rows.to_dict("records")}
        for n in names
    ]
    is_chosen = pd.Series(list(zip(metrics["space"], metrics["model"], strict=True)), index=metrics.index).isin(pairs)
    raw = metrics[is_chosen & metrics["level"].eq(level) & metrics["split"].eq(split)]
    with st.expander("All metrics of the chosen models"):
        widgets.table(pd.DataFrame(lines), "all_metrics", raw=raw)
        st.caption(
            widgets.plain(
                f"Value [95 % group-bootstrap interval], {level}s of split {split}.{scores.remarks(rows['reason'])}"
            )
        )


def _answers(named: dict[str, tuple[str, str]], chosen: list[str], level: str, split: str) -> list[curves.Judged]:
    predictions = widgets.need("predictions")
    if predictions is None:
        return []
    styles = {name: index for index, name in enumerate(sorted(named))}
    out = []
    for name in chosen:
        space, model = named[name]
        rows = scores.select(predictions, level=level, space=space, model=model, split=split)
        if rows.empty:
            widgets.tell(f"No labelled predictions of {name} for {level}s.")
            continue
        label, p_fake = rows["label"].to_numpy(dtype="int64"), rows["p_fake"].to_numpy(dtype="float64")
        groups = rows["source_group"].to_numpy(dtype=object)
        out.append(curves.Judged(name, styles[name], label, p_fake, own_answers(rows), groups))
    return out


def _curves(judged: list[curves.Judged], level: str) -> None:
    alt = "ROC, precision-recall, calibration and risk-coverage curves of " + ", ".join(m.name for m in judged)
    widgets.show(curves.curves(judged), "curves", alt=alt)
    st.caption(
        "Dotted: chance, the share of fakes, perfect calibration, and the errors of always answering the majority "
        "class. Calibration: P(fake) moved from equal shares to the share of fakes here; 95 % Wilson intervals that "
        f"take {level}s as independent. Where risk falls to the left, unsure answers are the wrong ones."
    )
    if any("pca" in m.name.partition(" ")[0].split("+") for m in judged):
        st.caption("Components of 'pca' were fitted on all faces, the judged ones among them: new faces may do worse.")
