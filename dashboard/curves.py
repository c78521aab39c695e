"""Plotly figures of models over each other, of a threshold's cost, and of learning curves: arrays in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.decisions import PER_ITEMS, Terms, rates, risk_coverage, shift_prior
from dashboard.figures import band, layout, safe
from pipeline.report import scores
from pipeline.report.palette import ACCENT, FAKE, MUTED, category_style, chance_level, metric_name

MAX_CURVES = 8
# Lines differ by dash as well as by hue, so that they are told apart in grey too.
DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_TITLES = ("ROC", "Precision and recall", "Calibration", "Risk and coverage")
_AXES = (
    ("share of reals called fake", "share of fakes found"),
    ("share of fakes found", "fakes among those called fake"),
    ("P(fake) for this share of fakes", "share of fakes"),
    ("share answered, surest first", "wrong among those answered"),
)


@dataclass(frozen=True)
class Judged:
    """One model's answers: [n] 0/1 labels, P(fake), what ranks items, and their source groups."""

    name: str
    style: int  # which of the categories' colours it has, whatever else is shown
    label: np.ndarray
    p_fake: np.ndarray
    score: np.ndarray
    groups: np.ndarray


def curves(models: Sequence[Judged]) -> go.Figure:
    """ROC, precision-recall, calibration and risk-coverage curves of some models over each other."""
    figure = make_subplots(rows=2, cols=2, subplot_titles=_TITLES, horizontal_spacing=0.1, vertical_spacing=0.14)
    for place in ((1, 1), (2, 1)):
        _reference(figure, [0, 1], [0, 1], place)
    share = float(models[0].label.mean())
    _reference(figure, [0, 1], [share, share], (1, 2))
    _reference(figure, [0, 1], [min(share, 1 - share)] * 2, (2, 2))
    for model in models:
        _add_model(figure, model)
    layout(figure, height=760)
    figure.update_layout(legend={"y": 1.07}, margin={"t": 90})
    for index, (x, y) in enumerate(_AXES):
        row, col = index // 2 + 1, index % 2 + 1
        figure.update_xaxes(title=x, range=[-0.02, 1.02], row=row, col=col)
        figure.update_yaxes(title=y, range=[-0.02, 1.02], row=row, col=col)
    return figure


def _reference(figure: go.Figure, x: list[float], y: list[float], place: tuple[int, int]) -> None:
    line = {"color": MUTED, "dash": "dot", "width": 1}
    figure.add_scatter(
        x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False, row=place[0], col=place[1]
    )


def _add_model(figure: go.Figure, model: Judged) -> None:
    colour, _ = category_style(model.style)
    name = safe(model.name)
    line = {"color": colour, "width": 2, "dash": DASHES[model.style % len(DASHES)]}
    common = {"mode": "lines", "name": name, "legendgroup": name, "line": line, "showlegend": False}
    hover = {"hovertemplate": "%{y:.2f} at %{x:.2f}<extra>%{fullData.name}</extra>"}
    roc = scores.roc(model.label, model.score)
    if roc is not None:
        figure.add_scatter(x=roc[0], y=roc[1], **common, **hover, row=1, col=1)
        recall, precision = scores.precision_recall(model.label, model.score)
        # Corners as average precision counts them: precision holds back to the last recall.
        corners = np.repeat(np.append(0.0, recall), 2)[1:-1]
        figure.add_scatter(x=corners, y=np.repeat(precision, 2), **common, **hover, row=1, col=2)
    share = float(model.label.mean())
    bins = scores.calibration(model.label, shift_prior(model.p_fake, to=share) if 0 < share < 1 else model.p_fake)
    gaps = {"array": bins["high"] - bins["share_fake"], "arrayminus": bins["share_fake"] - bins["low"]}
    dots = common | {"mode": "lines+markers", "error_y": gaps | {"color": colour, "thickness": 1.2, "width": 0}}
    figure.add_scatter(x=bins["p_mean"], y=bins["share_fake"], **dots, **hover, row=2, col=1)
    covered, risk = risk_coverage(model.label, model.p_fake)
    stepped = common | {"line": line | {"shape": "vh"}, "showlegend": True}
    figure.add_scatter(x=covered, y=risk, **stepped, **hover, row=2, col=2)


def cost(model: Judged, terms: Terms, *, chosen: float, unit: str) -> go.Figure:
    """Expected cost per 1,000 items against the threshold, with the chosen one and decision theory's."""
    thresholds = np.unique(np.concatenate([model.p_fake, np.linspace(0, 1, 101)]))
    alarms, misses = rates(model.label, model.p_fake, thresholds)
    figure = go.Figure(
        go.Scatter(
            x=thresholds,
            y=terms.cost(alarms, misses),
            mode="lines",
            line={"color": ACCENT, "width": 2, "shape": "vh"},
            hovertemplate="cost %{y:.1f} from P(fake) = %{x:.2f} on<extra></extra>",
            showlegend=False,
        )
    )
    for value, name, dash in (
        (terms.cost_all_real, "all called real", "dash"),
        (terms.cost_all_fake, "all fake", "dot"),
    ):
        note = {"text": f"{name}: {value:.3g}", "font": {"color": MUTED}, "xanchor": "right", "x": 1}
        figure.add_hline(y=value, line={"color": MUTED, "dash": dash, "width": 1}, annotation=note)
    for x, name, colour, y in ((terms.threshold, "theory", MUTED, 1.08), (chosen, "chosen", FAKE, 1.0)):
        note = {"text": f"{name} {x:.2f}", "font": {"color": colour}, "yref": "paper", "y": y, "yanchor": "bottom"}
        figure.add_vline(x=x, line={"color": colour, "width": 1.5}, annotation=note)
    figure.update_xaxes(title="threshold on P(fake)", range=[-0.02, 1.02])
    figure.update_yaxes(title=f"expected cost per {PER_ITEMS:,} {unit}s", rangemode="tozero")
    figure = layout(figure, height=340)
    return figure.update_layout(margin={"t": 60})


def learning(table: pd.DataFrame, *, metric: str, level: str) -> go.Figure:
    """One metric against the source groups trained on, a line and a band per space; rows of one metric and level."""
    figure = go.Figure()
    for index, (space, part) in enumerate(table.groupby("space", sort=True)):
        part = part.sort_values("n_groups")
        colour, symbol = category_style(2 * index)
        band(figure, part, "n_groups", colour)
        figure.add_scatter(
            x=part["n_groups"],
            y=part["value"],
            mode="lines+markers",
            name=safe(space),
            line={"color": colour, "width": 2, "dash": DASHES[index % len(DASHES)]},
            marker={"symbol": symbol, "size": 8},
            customdata=part[["ci_low", "ci_high", "n_draws"]],
            hovertemplate="%{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}] with %{x} groups, "
            "%{customdata[2]} draws<extra>%{fullData.name}</extra>",
            showlegend=True,
        )
    reference = float(np.log(2)) if metric == "log_loss" else chance_level(metric)
    if reference is not None:
        figure.add_hline(y=reference, line={"color": MUTED, "dash": "dot", "width": 1.5})
    sizes = sorted(table["n_groups"].unique())
    figure.update_xaxes(
        title="source groups trained on", type="log", tickvals=sizes, ticktext=[f"{n:,}" for n in sizes]
    )
    figure.update_yaxes(title=f"{metric_name(metric)} of {level}s")
    return layout(figure, height=360)
