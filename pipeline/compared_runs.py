"""Two runs beside each other: what went in, and how metrics differ, item by item where both judged the same items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from classifiers.compare import Answers, paired_bootstrap
from pipeline.judged import own_answers
from pipeline.report.scores import model_rows

KEY = ["space", "model"]
N_BOOT = 1000
MAX_ITEMS = 20_000  # a thousand draws of so many answers take a second for each model
_SEED = 0


def changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> pd.DataFrame:
    """Names whose values differ: ``name, before, now``; None where a side lacks one."""
    names = [n for n in sorted({*before, *now}) if before.get(n) != now.get(n)]
    rows = [(n, before.get(n), now.get(n)) for n in names]
    return pd.DataFrame(rows, columns=["name", "before", "now"], dtype=object)


def metric_changes(before: pd.DataFrame, now: pd.DataFrame, *, level: str, split: str, metric: str) -> pd.DataFrame:
    """One metric of every model in either run.

    Returns
    -------
    DataFrame
        ``space, model``, ``value, ci_low, ci_high`` with suffixes ``_before`` and ``_now``, ``difference`` (now minus
        before) and ``apart``: whether the intervals do not overlap; None where an interval is missing.
    """
    sides = [_rows(table, level, split, metric) for table in (before, now)]
    out = sides[0].merge(sides[1], on=KEY, how="outer", suffixes=("_before", "_now"), sort=True)
    out["difference"] = out["value_now"] - out["value_before"]
    out["apart"] = [
        None
        if pd.isna([r["ci_low_before"], r["ci_high_before"], r["ci_low_now"], r["ci_high_now"]]).any()
        else bool(r["ci_low_now"] > r["ci_high_before"] or r["ci_low_before"] > r["ci_high_now"])
        for r in out.to_dict("records")
    ]
    return out


def _rows(metrics: pd.DataFrame, level: str, split: str, metric: str) -> pd.DataFrame:
    rows = model_rows(metrics)
    wanted = rows["level"].eq(level) & rows["split"].eq(split) & rows["metric"].eq(metric)
    return rows.loc[wanted, [*KEY, "value", "ci_low", "ci_high"]]


def paired(before: pd.DataFrame, now: pd.DataFrame, *, level: str, split: str) -> pd.DataFrame:
    """Now minus before for each model that both runs have, on the items that both judged under the same label.

    Whole source groups (of now) are drawn for both runs at once, so what makes an item hard for both cancels out.

    Returns
    -------
    DataFrame
        ``space, model, metric`` (roc_auc, log_loss, accuracy), ``difference, ci_low, ci_high, n_items, n_groups,
        reason``; no row of a model with no common items, or more than `MAX_ITEMS`.
    """
    sides = [t[t["level"].eq(level) & t["split"].eq(split) & t["label"].notna()] for t in (before, now)]
    sides = [side.assign(own=own_answers(side)) for side in sides]
    both = sides[0].merge(sides[1], on=["id", "label", *KEY], suffixes=("_before", "_now"))
    rows = []
    for (space, model), part in both.groupby(KEY, sort=True):
        if len(part) > MAX_ITEMS:
            continue
        a, b = (Answers(part[f"p_fake_{s}"].to_numpy(), part[f"own_{s}"].to_numpy()) for s in ("now", "before"))
        label = part["label"].to_numpy(dtype="int64")
        groups = part["source_group_now"].tolist()
        rows += [
            (space, model, c.metric, c.difference, c.ci_low, c.ci_high, c.n_items, c.n_groups, c.reason)
            for c in paired_bootstrap(label, a, b, groups, n_boot=N_BOOT, seed=_SEED)
        ]
    columns = [*KEY, "metric", "difference", "ci_low", "ci_high", "n_items", "n_groups", "reason"]
    return pd.DataFrame(rows, columns=columns)
