"""Channels: how much each W+ channel tells, whether that can be relied on, and what a channel does to a face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data, figures, widgets
from dashboard.views import channel_effects
from pipeline.report import channel_section, summary
from pipeline.report.palette import measure_name
from pipeline.schemas import TABLES


def page() -> None:
    """Draw the page."""
    st.title("Channels")
    importance = widgets.need("importance")
    if importance is not None:
        _importance(importance)
    st.subheader("Coarse, middle and fine channels together")
    parts = widgets.attempt(lambda: data.table("channel_groups", columns=_all_columns("channel_groups")))
    if parts is not None:
        _table(channel_section.PART_COLUMNS, channel_section.part_rows(parts), "channel_groups", parts)
    st.subheader("Is the ranking of channels to be relied on?")
    agreement = widgets.need("agreement")
    if agreement is not None:
        rows = channel_section.agreement_rows(agreement)
        _table(channel_section.AGREEMENT_COLUMNS, rows, "agreement", agreement)
        st.caption(channel_section.AGREEMENT_NOTE)
    st.header("What a channel does")
    channel_effects.show()


def _all_columns(name: str) -> tuple[str, ...]:
    return tuple(TABLES[name].column_names)


def _table(columns: Sequence[str], rows: Sequence[tuple[Any, ...]], key: str, raw: pd.DataFrame) -> None:
    widgets.table(pd.DataFrame(rows, columns=list(columns)), key, raw=raw)


def _importance(importance: pd.DataFrame) -> None:
    pairs = sorted(set(zip(importance["space"], importance["method"], strict=True)))
    measures = {f"{space} · {measure_name(method)}": (space, method) for space, method in pairs}
    name = st.selectbox("Measure", list(measures), key="channel_measure", bind="query-params")
    space, method = measures[name]
    part = importance[importance["space"].eq(space) & importance["method"].eq(method)]
    widgets.show(figures.importance(part), "importance", alt=f"{name} of each W+ channel, with intervals and null")
    tell = ", ".join(map(str, summary.telling_channels(part))) or "none"
    st.caption(
        f"{MEANING['permuted' if '-permuted-' in method else 'alone']} Mean and 95 % interval; orange, the same "
        "without information (labels shuffled between videos; 0 for permutation); dotted, chance. A channel whose "
        "interval reaches either is not shown to tell anything; of many channels, one may clear both by luck. "
        f"Above both, with the whole interval: {tell}."
    )
    with st.expander("The numbers, of every measure"):
        widgets.table(
            importance.assign(method=importance["method"].map(measure_name)), "importance_numbers", raw=importance
        )


MEANING = {
    "alone": "How well the label is told from one W+ channel alone.",
    "permuted": "How much a model of all channels loses when one channel's numbers are replaced by another face's.",
}
