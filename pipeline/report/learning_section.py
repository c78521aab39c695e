"""The report's chapter on learning curves: what the number of source groups gives, and whether more would help."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import pandas as pd

from pipeline.report import blocks, scores
from pipeline.report.blocks import Block, Section
from pipeline.report.inputs import ReportInput
from pipeline.report.palette import metric_name, model_name

TARGETS = (0.6, 0.7, 0.8, 0.9)  # values of the ROC-AUC for which the number of groups is stated
INTRO = (
    "The classifier is trained on growing numbers of source groups (footage that belongs together) and judged on "
    "groups that never train. Dots are means over nested random draws. Bands are 95 % prediction intervals for one "
    "more such draw, what somebody with so many groups of this kind may meet: they cover which groups trained and "
    "which were measured, and are wide where draws are few, as their spread is then hardly known. Where one draw took "
    "all groups, the band covers the measured groups alone. Intervals of changes are for the mean change."
)


def learning_section(data: ReportInput, figs: Mapping[str, bytes]) -> Section:
    """The curves, their numbers, groups needed for given values, and whether the curves still rise."""
    learning = data.get("learning")
    if learning is None:
        return Section("learning", "Learning curves", blocks=[blocks.missing(data.why_missing("learning"))])
    model = model_name(str(learning["model"].iloc[0]))
    measured = learning["n_groups_measured"].max()
    caption = f"Model: {model}. Frame level, measured on {measured:,} source groups that never train."
    out: list[Block] = [
        blocks.figure(figs.get("learning"), "learning curves", caption, reason="the table holds no frames."),
        blocks.heading("Would more material help?"),
        blocks.bullets(verdicts(learning)),
    ]
    for level in ("frame", "video"):
        out += [blocks.heading(f"{level.capitalize()} level"), _table(learning[learning["level"] == level], level)]
    return Section("learning", "Learning curves", INTRO, out)


def verdicts(learning: pd.DataFrame) -> list[str]:
    """`verdict` for each space of the table ``learning``."""
    return [verdict(part) for _, part in _curves(learning)]


def _curves(learning: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    rows = learning[(learning["level"] == "frame") & (learning["metric"] == "roc_auc")]
    return [(str(space), part.sort_values("n_groups")) for space, part in rows.groupby("space", sort=True)]


def verdict(curve: pd.DataFrame) -> str:
    """One space's frame-level ROC-AUC in words: where it passes `TARGETS`, and what the last added groups gave."""
    last = curve.iloc[-1]
    start = f"{last['space']}: ROC-AUC of frames is {scores.format_interval(_triple(last))} with {last['n_groups']:,} "
    start += f"groups; {_reached(curve)}"
    if len(curve) < 2:
        return f"{start} One size alone was trained, so nothing tells whether it rises."
    step = f"from {curve.iloc[-2]['n_groups']:,} to {last['n_groups']:,} groups"
    gain, low, high = (float(last[c]) for c in ("gain", "gain_low", "gain_high"))
    change = f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]"
    if not np.isfinite([gain, low, high]).all():
        return f"{start} The change {step} has no interval."
    if low > 0:
        return f"{start} It still rises: {change} {step}. More material of this kind should help."
    if high < 0:
        return f"{start} It falls: {change} {step}."
    return f"{start} Whether it still rises cannot be told: {change} {step}."


def _reached(curve: pd.DataFrame) -> str:
    """Where the mean curve passes the targets, between sizes on a logarithmic scale."""
    passed = [f"{value:g} at about {n:,}" for value in TARGETS if (n := groups_to_reach(curve, value)) is not None]
    missed = [f"{value:g}" for value in TARGETS if groups_to_reach(curve, value) is None]
    text = f"it reaches {', '.join(passed)}" if passed else ""
    text += "; " if passed and missed else ""
    return f"{text}{f'{missed[0]} is not reached' if missed else ''}."


def groups_to_reach(curve: pd.DataFrame, value: float) -> int | None:
    """Training groups at which the mean curve first is at ``value``; None where it never is.

    Parameters
    ----------
    curve : DataFrame
        Columns ``n_groups`` (rising) and ``value``. Between two sizes the value runs straight over log(n_groups).
    """
    sizes = curve["n_groups"].to_numpy(dtype=np.float64)
    values = curve["value"].to_numpy(dtype=np.float64)
    above = np.flatnonzero(values >= value)
    if not len(above):
        return None
    i = int(above[0])
    if i == 0:
        return int(sizes[0])
    share = (value - values[i - 1]) / (values[i] - values[i - 1])
    return round(float(np.exp(np.log(sizes[i - 1]) + share * np.log(sizes[i] / sizes[i - 1]))))


def _triple(row: pd.Series) -> tuple[float | None, float | None, float | None]:
    value, low, high = (None if pd.isna(row[c]) else float(row[c]) for c in ("value", "ci_low", "ci_high"))
    return value, low, high


def _table(rows: pd.DataFrame, level: str) -> Block:
    metrics = [m for m in ("roc_auc", "log_loss") if m in set(rows["metric"])]
    columns = ["space", "groups trained on", "faces", "draws", *[f"{metric_name(m)} of {level}s" for m in metrics]]
    lines = []
    for (space, n_groups), part in rows.groupby(["space", "n_groups"], sort=True):
        by = part.set_index("metric")
        first = part.iloc[0]
        cells = [scores.format_interval(_triple(cast(pd.Series, by.loc[m]))) if m in by.index else "—" for m in metrics]
        lines.append([space, n_groups, round(float(first["n_train_items"])), int(first["n_draws"]), *cells])
    measured = f"Measured on {rows['n_groups_measured'].max():,} groups, {rows['n_items_measured'].max():,} {level}s."
    return blocks.table(columns, lines, note=measured + scores.remarks(rows["reason"].dropna()))
