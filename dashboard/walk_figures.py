"""Plotly figures of a walk: its scores beside those of other moves, and the channels that moved."""

from __future__ import annotations

from typing import TYPE_CHECKING

import plotly.graph_objects as go

from dashboard.figures import layout
from dashboard.theme import rgb
from pipeline.report.palette import ACCENT, CATEGORIES, FAKE, INK, MUTED, REAL, UNKNOWN

if TYPE_CHECKING:
    from pipeline.counterfactual import Walked

VERDICT_COLOURS = {"real": REAL, "fake": FAKE, "uncertain": UNKNOWN}
PART_COLOURS = {"coarse": CATEGORIES[2], "middle": CATEGORIES[4], "fine": CATEGORIES[8]}
UNIT = "standard deviations"


def scores(walked: Walked, *, threshold: float, band: tuple[float, float]) -> go.Figure:
    """P(fake) along the walk, with threshold and band, and the range that other moves of the same length reach."""
    stops, curve = walked.stops, walked.curve
    figure = go.Figure()
    _range(figure, walked, "faces")
    for side in ("low", "high"):
        figure.add_scatter(
            x=stops["distance_std"],
            y=stops[f"random_{side}"],
            mode="lines",
            line={"color": MUTED, "dash": "dot", "width": 1.5},
            name=f"{walked.nulls['random'].n} random directions",
            legendgroup="random",
            showlegend=side == "low",
            hoverinfo="skip",
        )
    figure.add_scatter(
        x=curve["distance_std"],
        y=curve["p_fake"],
        mode="lines",
        line={"color": ACCENT, "width": 3},
        name="this walk",
        hovertemplate="%{y:.3f} after %{x:.3f}<extra></extra>",
    )
    figure.add_scatter(
        x=stops["distance_std"],
        y=stops["p_fake"],
        mode="markers",
        marker={
            "color": [VERDICT_COLOURS[v] for v in stops["verdict"]],
            "size": 11,
            "line": {"color": INK, "width": 1},
        },
        name="stops",
        customdata=stops["verdict"],
        hovertemplate="%{customdata}: P(fake) %{y:.3f} after %{x:.3f}<extra></extra>",
        showlegend=False,
    )
    # Named in the legend: a note beside a line would lie on the walk, which begins and ends near both.
    named = {"showlegend": True, "layer": "below"}
    name = f"uncertain, {band[0]:.2f} to {band[1]:.2f}"
    figure.add_hrect(y0=band[0], y1=band[1], fillcolor=MUTED, opacity=0.12, line_width=0, name=name, **named)
    line = {"color": MUTED, "dash": "dash", "width": 1.5}
    figure.add_hline(y=threshold, line=line, name=f"threshold {threshold:.2f}", **named)
    for x in (walked.walk.crossing, walked.walk.flip):
        if x is not None:
            figure.add_vline(x=x, line={"color": MUTED, "width": 1})
    ends = [stops[c] for c in ("p_fake", "faces_low", "faces_high")]
    low, high = min(band[0], *(e.min() for e in ends)), max(band[1], *(e.max() for e in ends))
    pad = 0.06 * (high - low)
    figure.update_yaxes(title="P(fake) of the code", range=[max(-0.02, low - pad), min(1.02, high + pad)])
    figure.update_xaxes(title=f"moved by ({UNIT})", rangemode="tozero")
    return layout(figure, height=380)


def _range(figure: go.Figure, walked: Walked, kind: str) -> None:
    rows = walked.stops
    figure.add_scatter(
        x=[*rows["distance_std"], *rows["distance_std"][::-1]],
        y=[*rows[f"{kind}_high"], *rows[f"{kind}_low"][::-1]],
        mode="lines",
        fill="toself",
        fillcolor=f"rgba{(*rgb(CATEGORIES[2]), 0.35)}",
        line={"width": 0, "color": CATEGORIES[2]},
        name=f"towards {walked.nulls[kind].n} other faces",
        hoverinfo="skip",
    )


def channels(walked: Walked) -> go.Figure:
    """How far each channel moved over the whole walk, by part; dotted: the code as a whole."""
    figure = go.Figure()
    for part, rows in walked.channels.groupby("part", sort=False):
        figure.add_bar(
            x=rows["channel"],
            y=rows["moved_std"],
            marker={"color": PART_COLOURS[str(part)]},
            name=f"{part}: {rows['share'].sum():.0%} in {len(rows)} channels",
            customdata=rows["share"],
            hovertemplate="channel %{x}: %{y:.3f}, %{customdata:.1%} of the whole<extra></extra>",
        )
    whole = float(walked.walk.distances[-1])
    line = {"color": MUTED, "dash": "dot", "width": 1.5}
    figure.add_hline(y=whole, line=line, name=f"whole code: {whole:.3g}", showlegend=True)
    figure.update_xaxes(title="W+ channel", dtick=1)
    figure.update_yaxes(title=f"moved by ({UNIT})", rangemode="tozero")
    return layout(figure, height=380)
