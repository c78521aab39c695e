"""More on W+ channels: parts of them together, whether methods agree, and where in the image each acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.report import blocks, scores
from pipeline.report.blocks import Block
from pipeline.report.inputs import ReportInput
from pipeline.report.palette import measure_name

KINDS = {"seeds": "other seeds", "folds": "other folds", "methods": "another method"}
PART_COLUMNS = ["measure", "part", "channels", "value", "without information"]
AGREEMENT_COLUMNS = ["ranking by", "against", "which is", "Spearman", "remark"]
AGREEMENT_NOTE = "Rank correlation of the channels' values: 1 is the same ranking, 0 no relation. Near 0, rank nothing."
EFFECTS_CAPTION = (
    "Mean absolute change of the full generator's image when a channel alone is moved by one standard deviation of W "
    "to either side, mean over faces. The number is the mean over the image on the [-1, 1] scale; each map has its own."
)


def more_on_channels(data: ReportInput, figs: Mapping[str, bytes]) -> list[Block]:
    """Blocks below the figures of single channels."""
    out: list[Block] = []
    parts, agreement = data.get("channel_groups"), data.get("agreement")
    out.append(blocks.heading("Coarse, middle and fine channels together"))
    if parts is None:
        out.append(blocks.missing(data.why_missing("channel_groups")))
    else:
        out.append(blocks.table(PART_COLUMNS, part_rows(parts)))
    out.append(blocks.heading("Is the ranking of channels to be relied on?"))
    if agreement is None:
        out.append(blocks.missing(data.why_missing("agreement")))
    else:
        out.append(blocks.table(AGREEMENT_COLUMNS, agreement_rows(agreement), note=AGREEMENT_NOTE))
    out.append(blocks.heading("Where in the image a channel acts"))
    why = data.why_missing("channel_effects")
    out.append(blocks.figure(figs.get("channel-effects"), "change per channel", EFFECTS_CAPTION, reason=why))
    return out


def part_rows(parts: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Table ``channel_groups`` as `PART_COLUMNS` name it, coarse channels first."""
    order = {"coarse": 0, "middle": 1, "fine": 2}
    ranked = parts.assign(order=parts["part"].map(order)).sort_values(["method", "order"])
    return [
        (measure_name(r["method"]), r["part"], _channels(r["channels"]), _interval(r, "value"), r["null_value"])
        for r in ranked.to_dict("records")
    ]


def agreement_rows(agreement: pd.DataFrame) -> list[tuple[Any, ...]]:
    """Table ``agreement`` as `AGREEMENT_COLUMNS` name it."""
    return [
        (
            measure_name(r["first"]), KINDS.get(r["kind"], r["kind"]),
            measure_name(r["second"]) if r["kind"] == "methods" else "",
            _interval(r, "spearman"), "" if pd.isna(r["reason"]) else r["reason"],
        )
        for r in agreement.to_dict("records")
    ]  # fmt: skip


def _channels(channels: list[int]) -> str:
    numbers = sorted(int(c) for c in channels)
    return f"{numbers[0]}" if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _interval(row: Mapping[Any, Any], name: str) -> str:
    values = [None if pd.isna(row[n]) else float(row[n]) for n in (name, "ci_low", "ci_high")]
    return scores.format_interval((values[0], values[1], values[2]))
