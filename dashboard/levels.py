"""The choice between videos, tracks and frames, on every page that shows how models were judged."""

from __future__ import annotations

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import data, widgets
from pipeline.report import scores


def choose(metrics: pd.DataFrame, place: DeltaGenerator | None = None) -> tuple[str, str] | None:
    """Ask in ``place`` (the page itself where it is None) for the level.

    Returns
    -------
    (level, split) or None
        The split is the most honest one of that level; None, and a sentence on the page, where nothing was judged.
    """
    pairs = scores.judged(metrics)
    if not pairs:
        widgets.tell(f"No classifier was judged: {scores.why_unjudged(metrics, data.metadata('metrics'))}.")
        return None
    levels = [level for level, _ in pairs]
    level = (place or st).segmented_control(
        "Judged per", levels, default=levels[0], key="level", required=True, bind="query-params"
    )
    return level, dict(pairs)[level]
