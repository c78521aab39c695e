"""On the page Overview: tables that settings have overtaken, and what the last run changed beside an earlier one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data, widgets
from pipeline import history, params
from pipeline.errors import UserError
from pipeline.report import load, scores
from pipeline.report.palette import lower_is_better, metric_name, model_name
from pipeline.stale import Stale, order, stale

N_NAMED = 6


def warnings(overtaken: list[Stale]) -> list[str]:
    """A sentence where tables are older than the settings, or than what they were made from."""
    if not overtaken:
        return []
    names = sorted({name for one in overtaken for name, _, _ in one.changes})
    more = f" and {len(names) - N_NAMED} more" if len(names) > N_NAMED else ""
    why = f"params.yaml ({', '.join(names[:N_NAMED])}{more} changed since)" if names else "what they were made from"
    many = f"{len(overtaken)} tables are" if len(overtaken) > 1 else f"The table {overtaken[0].table} is"
    return [f"{many} older than {why}: run `dvc repro`. The section Since the previous run lists which."]


def overtaken() -> list[Stale]:
    """Tables that a new run would change, as far as settings and DVC's notes tell; none where settings are missing."""
    project = data.project()
    try:
        settings = params.load(project.params)
    except UserError:
        return []  # said in `show`
    return stale(settings, load.recorded(project), order(project.root), set(data.judges()))


def show(overtaken: list[Stale]) -> None:
    """Draw the section."""
    st.header("Since the previous run")
    _overtaken(overtaken)
    project = data.project()
    root = str(project.root.resolve())
    found = _history(root, _version(history.cache_folder(project.root)))
    if found is None:
        widgets.tell(
            "There is no earlier run to compare with: DVC notes each run in its cache, and this folder has none. Run "
            "the pipeline by `dvc repro`."
        )
        return
    current = history.file_md5(project.table("metrics"))
    runs = found.runs()
    now = next((r for r in runs if r.note.came_out[history.METRICS] == current), None)
    earlier = [r for r in runs if r is not now]
    if current is None or not earlier:
        widgets.tell("There is no earlier run to compare with: DVC's cache knows of no other metrics than these.")
        return
    names = {f"{r.made:%Y-%m-%d %H:%M:%S}": r for r in earlier}
    name = st.selectbox("Compared with the run of", list(names), key="previous_run", bind="query-params")
    before = names[name]
    _inputs(before, now)
    _metrics(found, before)


def _overtaken(found: list[Stale]) -> None:
    if widgets.attempt(lambda: params.load(data.project().params)) is None or not found:
        return
    st.markdown("**Tables that are out of date**")
    rows: list[tuple[str, str, str, str]] = []
    for one in found:
        rows += [(one.table, name, _text(then), _text(now)) for name, then, now in one.changes]
        if one.made_from:
            rows.append((one.table, f"made from an earlier version of {', '.join(one.made_from)}", "", ""))
    widgets.table(pd.DataFrame(rows, columns=["table", "why", "made with", "params.yaml has"]), "overtaken")


@st.cache_resource(max_entries=4, show_spinner="Reading what DVC noted of earlier runs")
def _history(root: str, version: tuple[int, int]) -> history.History | None:
    return history.read(Path(root))


def _version(cache: Path) -> tuple[int, int]:
    """Changes with every run that DVC notes."""
    folders = [*cache.glob("runs/*/*"), *cache.glob("runs/*")]
    return len(folders), max((f.stat().st_mtime_ns for f in folders), default=0)


def _inputs(before: history.Run, now: history.Run | None) -> None:
    from pipeline.compared_runs import changed

    st.markdown("**Settings behind the metrics**")
    if now is None:
        widgets.tell("The metrics shown here were not made by `dvc repro`, so what went into them is not noted.")
        return
    settings = changed(before.settings, now.settings)
    if settings.empty:
        st.caption("The same in both runs.")
    else:
        shown = settings.assign(**{c: settings[c].map(_text) for c in ("before", "now")})
        widgets.table(shown.rename(columns={"name": "setting", "before": "then"}), "changed_settings")
    files = changed(before.inputs, now.inputs)["name"].tolist()
    roots = {run.settings.get("data.root") for run in (before, now)}
    code, material = ([f for f in files if (f in roots) is wanted] for wanted in (False, True))
    if code:
        named = ", ".join(code[:N_NAMED]) + (f" and {len(code) - N_NAMED} more" if len(code) > N_NAMED else "")
        st.caption(widgets.plain(f"The program differs too: {named}."))
    if material:
        st.caption(widgets.plain(f"So does the material: {', '.join(material[:N_NAMED])}."))


def _text(value: Any) -> str:
    return "—" if value is None else value if isinstance(value, str) else json.dumps(value)


def _metrics(found: history.History, before: history.Run) -> None:
    st.markdown("**Metrics, then and now**")
    metrics = widgets.need("metrics")
    stored = found.stored(before, history.METRICS)
    if metrics is None or stored is None:
        if stored is None:
            widgets.tell("The metrics of that run are no longer in DVC's cache (`dvc gc` removes them).")
        return
    then = widgets.attempt(lambda: load.read_light(stored, "metrics"))
    pairs = dict(scores.judged(metrics))
    if then is None or not pairs:
        return
    level = st.session_state.get("level")
    level = level if level in pairs else next(iter(pairs))
    names = scores.metric_order(metrics)
    metric = st.selectbox("Compared metric", names, format_func=metric_name, key="change_metric", bind="query-params")
    _table(found, before, metrics, then, level, pairs[level], metric)


def _table(
    found: history.History, before: history.Run, metrics: pd.DataFrame, then: pd.DataFrame, level: str, split: str,
    metric: str,
) -> None:  # fmt: skip
    from pipeline.compared_runs import KEY, metric_changes

    rows = metric_changes(then, metrics, level=level, split=split, metric=metric)
    pairs = _paired(found, before, level, split)
    own = None if pairs is None else pairs[pairs["metric"].eq(metric)].drop(columns="metric")
    if own is not None:
        rows = rows.merge(own, on=KEY, how="left", suffixes=("", "_paired"))
    shown = pd.DataFrame(
        {
            "model": [f"{r['space']} · {model_name(r['model'])}" for r in rows.to_dict("records")],
            "then": [_cell(r, "_before") for r in rows.to_dict("records")],
            "now": [_cell(r, "_now") for r in rows.to_dict("records")],
            "now - then": rows["difference"],
            "intervals": rows["apart"].map({True: "apart", False: "overlap"}).fillna("—"),
        }
    )
    if own is not None and not own.empty:
        shown["on the same items"] = [
            scores.format_interval(tuple(scores.optional(r[c]) for c in ("difference_paired", "ci_low", "ci_high")))  # type: ignore[arg-type]
            for r in rows.to_dict("records")
        ]
    numbers = {"now - then": st.column_config.NumberColumn(format="%+.3f")}
    widgets.table(shown, "changed_metrics", raw=rows, config=numbers)
    good = "low" if lower_is_better(metric) else "high"
    st.caption(
        widgets.plain(
            f"{level}s of split {split}; {good} is good. 'On the same items': difference with its 95 % interval, the "
            "same source groups drawn for both runs; an interval without 0 shows a change. Intervals that overlap do "
            "not show that nothing changed."
        )
    )


def _cell(row: dict[Any, Any], side: str) -> str:
    value, low, high = (scores.optional(row[f"{c}{side}"]) for c in ("value", "ci_low", "ci_high"))
    return scores.format_interval((value, low, high))


def _paired(found: history.History, before: history.Run, level: str, split: str) -> pd.DataFrame | None:
    stored = found.stored(before, history.PREDICTIONS)
    predictions = data.optional("predictions")
    if stored is None or predictions is None:
        return None
    path = data.project().table("predictions")
    try:
        return _differences(str(stored), str(path), data.signature(path), level, split)
    except UserError:
        return None


@st.cache_data(max_entries=16, show_spinner="Comparing both runs item by item")
def _differences(then: str, now: str, files: data.Signature, level: str, split: str) -> pd.DataFrame:
    from pipeline.compared_runs import paired

    before, after = (load.read_light(Path(p), "predictions") for p in (then, now))
    return paired(before, after, level=level, split=split)
