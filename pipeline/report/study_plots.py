"""The effort curve with matplotlib: the table ``effort`` in, a `Figure` out."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pipeline.report.palette import category_style
from pipeline.report.plot_style import new_axes, short_name, styled


@styled
def effort_figure(effort: pd.DataFrame) -> Figure:
    """Mean perceptual distance and its interval against steps and against seconds per face, a line per inverter."""
    figure, axes = new_axes(9.6, 3.1, 2)
    for index, (inverter_id, part) in enumerate(effort.groupby("inverter_id", sort=True)):
        part = part.sort_values("step")
        colour, _ = category_style(index)
        for ax, x in zip(axes, ("step", "seconds_per_face"), strict=True):
            ax.fill_between(part[x], part["ci_low"], part["ci_high"], color=colour, alpha=0.15, lw=0)
            ax.plot(part[x], part["lpips"], "o-", color=colour, ms=4, lw=1.8, label=short_name(inverter_id, n_chars=44))
    axes[0].set(xlabel="steps", ylabel="mean perceptual distance (low is good)")
    axes[1].set(xlabel="seconds per face")
    for ax in axes:
        ax.set_xlim(left=0)
        ax.set_ylim(bottom=0)
        ax.grid()
    axes[0].legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    return figure
