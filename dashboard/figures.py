"""Plotly figures of scores and quality: DataFrames and arrays in, a figure out."""

from __future__ import annotations

import html
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.theme import rgb
from pipeline.report.palette import (
    ACCENT,
    FAKE,
    INK,
    MUTED,
    category_style,
    chance_level,
    importance_chance,
    label_colour,
    measure_name,
    metric_name,
    model_name,
)

_FONT = "Source Sans, Source Sans Pro, system-ui, sans-serif"


def safe(text: object, *, n_chars: int = 60) -> str:
    """Text from a file for plotly, which reads some tags: escaped and of bounded length."""
    clean = str(text)
    return html.escape(clean if len(clean) <= n_chars else clean[: n_chars - 1] + "…")


def layout(figure: go.Figure, *, height: int, **more: Any) -> go.Figure:
    """Give a figure the dashboard's plain look; background, text and grid are the reader's theme's (`theme`)."""
    figure.update_layout(
        height=height,
        margin={"l": 10, "r": 10, "t": 34, "b": 10},
        font={"size": 13, "family": _FONT},
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "title": None},
        modebar={"bgcolor": "rgba(0,0,0,0)", "color": MUTED, "activecolor": ACCENT},
        **more,
    )
    axis = {"linecolor": MUTED, "zeroline": False, "automargin": True, "title_font_size": 13}
    figure.update_xaxes(showline=True, **axis)
    figure.update_yaxes(**axis)
    return figure


def quality_histogram(table: pd.DataFrame, column: str) -> go.Figure:
    """Histogram of one quality column by label (``label`` holds real, fake or unknown)."""
    names = {
        "lpips": "perceptual distance (low is good)",
        "mse_unit": "mean squared error, [-1, 1] scale",
        "psnr_db": "PSNR (dB)",
    }
    figure = go.Figure()
    values = table[column].dropna()
    edges = np.histogram_bin_edges(values.to_numpy(dtype=np.float64), bins=30) if not values.empty else np.zeros(2)
    for label in ("real", "fake", "unknown"):
        part = table.loc[table["label"] == label, column].dropna()
        if not part.empty:
            counts, _ = np.histogram(part, bins=edges)
            # A stepped line with a faint fill: two overlaid sets of bars would mix into a third colour.
            figure.add_scatter(
                x=edges,
                y=np.append(counts, counts[-1]),
                mode="lines",
                line={"shape": "hv", "color": label_colour(label), "width": 2},
                fill="tozeroy",
                fillcolor=f"rgba{(*rgb(label_colour(label)), 0.15)}",
                name=f"{label} ({len(part):,})",
                hovertemplate="%{x:.3g}: %{y} faces",
            )
    if not values.empty:
        figure.add_vline(x=float(values.median()), line={"color": INK, "dash": "dash", "width": 1.5})
    figure.update_xaxes(title=f"{names[column]}; dashed: median")
    figure.update_yaxes(title="faces", rangemode="tozero")
    return layout(figure, height=320)


def band(figure: go.Figure, rows: pd.DataFrame, x: str, colour: str) -> None:
    """Shade from ``ci_low`` to ``ci_high`` over column ``x``, by which rows are sorted."""
    figure.add_scatter(
        x=[*rows[x], *rows[x][::-1]],
        y=[*rows["ci_high"], *rows["ci_low"][::-1]],
        mode="lines",
        fill="toself",
        fillcolor=f"rgba{(*rgb(colour), 0.15)}",
        line={"width": 0},
        hoverinfo="skip",
        showlegend=False,
    )


def effort(table: pd.DataFrame, x: str) -> go.Figure:
    """Mean perceptual distance with its interval against ``step`` or ``seconds_per_face``, a line per inverter."""
    figure = go.Figure()
    for index, (inverter_id, part) in enumerate(table.groupby("inverter_id", sort=True)):
        part = part.sort_values("step")
        colour, _ = category_style(index)
        if part["ci_low"].notna().all():
            band(figure, part, x, colour)
        figure.add_scatter(
            x=part[x],
            y=part["lpips"],
            mode="lines+markers",
            line={"color": colour, "width": 2},
            name=safe(inverter_id),
            showlegend=True,
            customdata=part[["step", "seconds_per_face", "n_left", "n_faces"]],
            hovertemplate="%{y:.3f} after %{customdata[0]} steps, %{customdata[1]:.2f} s per face; "
            "%{customdata[2]} of %{customdata[3]} faces had left<extra></extra>",
        )
    figure.update_xaxes(title={"step": "steps", "seconds_per_face": "seconds per face"}[x], rangemode="tozero")
    figure.update_yaxes(title="mean perceptual distance (low is good)", rangemode="tozero")
    return layout(figure, height=340)


def forest(table: pd.DataFrame, metric: str, *, baseline: float | None) -> go.Figure:
    """Value and interval of a metric per model; ``table`` as `scores.metric_table` makes it."""
    rows = [r for r in table.to_dict("records") if r["space"] != "baseline" and r[metric][0] is not None][::-1]
    values = np.array([r[metric][0] for r in rows], dtype=np.float64)
    low = np.array([np.nan if r[metric][1] is None else r[metric][1] for r in rows], dtype=np.float64)
    high = np.array([np.nan if r[metric][2] is None else r[metric][2] for r in rows], dtype=np.float64)
    figure = go.Figure(
        go.Scatter(
            x=values,
            y=[f"{safe(r['space'])} · {safe(model_name(r['model']))}" for r in rows],
            mode="markers",
            marker={"size": 10, "color": ACCENT},
            error_x={"array": high - values, "arrayminus": values - low, "color": ACCENT, "thickness": 2, "width": 0},
            customdata=np.column_stack([low, high]),
            hovertemplate="%{y}: %{x:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra></extra>",
            showlegend=False,
        )
    )
    chance = chance_level(metric)
    reference = baseline if chance is None else chance
    if reference is not None:
        name = "majority class" if chance is None else "chance"
        figure.add_vline(
            x=reference,
            line={"color": MUTED, "dash": "dash"},
            annotation={
                "text": f"{name} {reference:.3g}",
                "font": {"color": MUTED},
                "yref": "paper",
                "y": 1.1,
                "showarrow": False,
            },
        )
    ends = np.concatenate([values, low, high, [np.nan if reference is None else reference]])
    if np.isfinite(ends).any():
        pad = 0.04 * max(np.nanmax(ends) - np.nanmin(ends), 0.05)
        figure.update_xaxes(range=[np.nanmin(ends) - pad, np.nanmax(ends) + pad])
    figure.update_xaxes(title=metric_name(metric))
    return layout(figure, height=120 + 34 * max(1, len(rows)))


def confusion(counts: np.ndarray, *, title: str) -> go.Figure:
    """Confusion matrix ([2, 2], rows the label) with counts and shares of each label."""
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    text = [[f"{counts[i, j]:,}<br>{shares[i, j]:.0%}" for j in range(2)] for i in range(2)]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=["called real", "called fake"],
            y=["real", "fake"],
            text=text,
            texttemplate="%{text}",
            textfont={"size": 15},
            colorscale="Blues",
            zmin=0,
            zmax=1,
            showscale=False,
            hoverinfo="skip",
        )
    )
    figure.update_yaxes(autorange="reversed")
    return layout(figure, height=310, title={"text": title, "font": {"size": 14}, "x": 0})


def importance(rows: pd.DataFrame) -> go.Figure:
    """Importance per W+ channel with its interval and its value under shuffled labels."""
    rows = rows.sort_values("channel")
    figure = go.Figure(
        go.Scatter(
            x=rows["channel"],
            y=rows["value"],
            mode="markers",
            name="labels as given",
            marker={"size": 9, "color": ACCENT},
            error_y={
                "array": rows["ci_high"] - rows["value"],
                "arrayminus": rows["value"] - rows["ci_low"],
                "color": ACCENT,
                "thickness": 2,
                "width": 3,
            },
            hovertemplate="channel %{x}: %{y:.3f}<extra></extra>",
        )
    )
    if rows["null_value"].notna().any():
        figure.add_scatter(
            x=rows["channel"],
            y=rows["null_value"],
            mode="markers",
            name="labels shuffled between videos",
            marker={"symbol": "line-ew", "size": 20, "line": {"width": 3, "color": FAKE}, "color": FAKE},
            hovertemplate="channel %{x}, shuffled: %{y:.3f}<extra></extra>",
        )
    chance = importance_chance(str(rows["method"].iloc[0]))
    if chance is not None:
        figure.add_hline(y=chance, line={"color": MUTED, "dash": "dot", "width": 1.5})
    title = "W+ channel, from pose and shape (0) to colour"
    figure.update_xaxes(title=title, dtick=1, range=[rows["channel"].min() - 0.6, rows["channel"].max() + 0.6])
    figure.update_yaxes(title=safe(measure_name(str(rows["method"].iloc[0]))))
    return layout(figure, height=360)


def change_map(cells: np.ndarray, *, title: str) -> go.Figure:
    """Where in the image a channel acts: mean absolute change [k, k] on the [-1, 1] scale, the top row first."""
    bar = {"thickness": 12, "title": {"text": "change", "side": "right"}}
    heat = go.Heatmap(z=cells, colorscale="Cividis", zmin=0, colorbar=bar, hovertemplate="%{z:.3f}<extra></extra>")
    figure = layout(go.Figure(heat), height=330, title={"text": title, "font": {"size": 14}, "x": 0})
    figure.update_xaxes(visible=False, constrain="domain")
    return figure.update_yaxes(visible=False, autorange="reversed", scaleanchor="x", constrain="domain")


def change_per_channel(effects: pd.DataFrame, *, chosen: int) -> go.Figure:
    """Mean change of the image per channel over the faces of ``channel_effects``; the chosen channel stands out."""
    means = effects.groupby("channel")[["mean_change", "inner_share"]].mean()
    figure = go.Figure(
        go.Bar(
            x=means.index,
            y=means["mean_change"],
            marker={"color": [ACCENT if c == chosen else MUTED for c in means.index]},
            customdata=means["inner_share"],
            hovertemplate="channel %{x}: %{y:.3f}; %{customdata:.0%} of it in the image's inner half<extra></extra>",
        )
    )
    figure.update_xaxes(title="W+ channel", dtick=1)
    figure.update_yaxes(title="mean change, [-1, 1] scale")
    return layout(figure, height=330, title={"text": "Every channel", "font": {"size": 14}, "x": 0})
