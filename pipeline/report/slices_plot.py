"""Figures on slices and on where channels act."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pipeline.report.palette import ACCENT, FAKE, INK, MUTED
from pipeline.report.plot_style import new_axes, short_name, styled
from pipeline.report.slices_section import SIGNIFICANT, attribute_name, shown_classifier

MAX_MAPS = 18


def drawable(slices: pd.DataFrame) -> pd.DataFrame:
    """Error rates of the classifier the figure shows, without clusters, by attribute."""
    errors = slices[slices["measure"].eq("error_rate") & ~slices["attribute"].str.startswith("cluster:")]
    chosen = shown_classifier(slices[slices["measure"].eq("error_rate")])
    if chosen is None:
        return errors
    return errors[errors["space"].eq(chosen[0]) & errors["model"].eq(chosen[1])]


@styled
def slices_figure(rows: pd.DataFrame) -> Figure:
    """Error rate per slice with interval, the rest beside it; ``rows`` as `drawable` gives them, not empty."""
    lines: list[tuple[str, pd.Series | None]] = []
    for attribute, part in rows.groupby("attribute", sort=False):
        lines.append((attribute_name(str(attribute)), None))
        lines += [(f"{r['slice']} ({r['n_faces']})", r) for _, r in part.iterrows()]
    figure, (ax,) = new_axes(8.6, 0.7 + 0.2 * len(lines))
    ticks, names, heads = [], [], []
    for y, (name, row) in zip(range(len(lines), 0, -1), lines, strict=True):
        ticks.append(y)
        names.append(short_name(name, n_chars=40))
        if row is None:
            heads.append(len(names) - 1)
            continue
        sure = pd.notna(row["p_holm"]) and row["p_holm"] < SIGNIFICANT
        colour = FAKE if sure and row["difference"] > 0 else ACCENT
        if pd.notna(row["ci_low"]):
            ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=colour, lw=2, solid_capstyle="butt")
        ax.plot(row["value"], y, "o", color=colour, mfc=colour if sure else "white", ms=5.5)
        if pd.notna(row["rest"]):
            ax.plot([row["rest"], row["rest"]], [y - 0.38, y + 0.38], color=INK, lw=1.4)
    ax.set_yticks(ticks, names)
    for index in heads:
        ax.get_yticklabels()[index].set_fontweight("bold")
    ax.tick_params(axis="y", length=0, labelsize=8)
    ax.set_ylim(0.3, len(lines) + 0.7)
    ax.set_xlim(left=min(0.0, ax.get_xlim()[0]))
    ax.set_xlabel("error rate at P(fake) = 0.5 (number of faces in brackets)")
    ax.grid(axis="x")
    return figure


@styled
def effects_figure(effects: pd.DataFrame) -> Figure:
    """A heat map per channel of where the image changes, mean over faces, each on its own scale (stated above it)."""
    channels: Sequence[int] = sorted(effects["channel"].unique())[:MAX_MAPS]
    n_columns = min(8, len(channels))
    n_rows = -(-len(channels) // n_columns)
    figure = Figure(figsize=(9.6, 1.45 * n_rows), layout=ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03))
    axes = figure.subplots(n_rows, n_columns, squeeze=False).ravel()
    for ax in axes:
        ax.set_axis_off()
    for ax, channel in zip(axes, channels, strict=False):
        part = effects[effects["channel"] == channel]
        cells = np.stack([np.asarray(m, dtype=np.float64) for m in part["change_map"]]).mean(axis=0)
        side = round(len(cells) ** 0.5)
        ax.imshow(cells.reshape(side, side), cmap="magma", vmin=0)
        ax.set_title(f"{channel}: {part['mean_change'].mean():.3f}", fontsize=8, color=MUTED, pad=3)
    return figure
