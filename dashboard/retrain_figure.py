"""The difference that tags make, metric by metric, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from dashboard.figures import layout
from pipeline.report.palette import ACCENT, MUTED, metric_name


def differences(rows: Sequence[dict[str, Any]]) -> go.Figure:
    """Points with 95 % intervals around a line at 0; rows without a difference are left out."""
    there = [r for r in rows if r["difference"] is not None]
    figure = go.Figure()
    figure.add_vline(x=0, line={"color": MUTED, "dash": "dash", "width": 1.5})
    figure.add_scatter(
        x=[r["difference"] for r in there],
        y=[_name(r["metric"]) for r in there],
        mode="markers",
        marker={"color": ACCENT, "size": 10},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [_end(r, "ci_high") - r["difference"] for r in there],
            "arrayminus": [r["difference"] - _end(r, "ci_low") for r in there],
            "color": ACCENT,
        },
        hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title="with tags minus without")
    figure.update_yaxes(autorange="reversed")
    return layout(figure, height=90 + 42 * max(1, len(there)))


def _name(metric: str) -> str:
    return f"{metric_name(metric)} ({'low' if metric == 'log_loss' else 'high'} is good)"


def _end(row: dict[str, Any], end: str) -> float:
    return float(row["difference"] if row[end] is None else row[end])
