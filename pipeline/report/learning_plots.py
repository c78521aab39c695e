"""Learning curves with matplotlib: the table ``learning`` in, a `Figure` out."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from pipeline.report.palette import MUTED, category_style, chance_level, metric_name
from pipeline.report.plot_style import new_axes, styled

# Sizes closer than this (as a factor) would print over each other; the larger one is labelled.
_LABEL_APART = 1.45


@styled
def learning_figure(learning: pd.DataFrame) -> Figure:
    """ROC-AUC and log-loss of frames against the number of training groups, a line and a band per space."""
    frames = learning[learning["level"] == "frame"]
    figure, axes = new_axes(9.6, 3.3, 2)
    for ax, metric in zip(axes, ("roc_auc", "log_loss"), strict=True):
        part = frames[frames["metric"] == metric]
        for index, (space, line) in enumerate(part.groupby("space", sort=True)):
            line = line.sort_values("n_groups")
            colour, _ = category_style(2 * index)
            ax.fill_between(line["n_groups"], line["ci_low"], line["ci_high"], color=colour, alpha=0.13, lw=0)
            ax.plot(line["n_groups"], line["value"], "o-", color=colour, ms=4, lw=1.8, label=str(space))
        ax.set_xscale("log")
        sizes = np.unique(part["n_groups"])
        ax.xaxis.set_major_locator(FixedLocator(_apart(sizes)))
        ax.xaxis.set_minor_locator(NullLocator())
        ax.xaxis.set_major_formatter(lambda n, _: f"{n:,.0f}")
        ax.set(xlabel="source groups trained on", ylabel=f"{metric_name(metric)} of frames")
        ax.grid()
    reference = chance_level("roc_auc")
    if reference is not None:
        axes[0].axhline(reference, color=MUTED, ls="--", lw=1.2, label="chance")
    axes[1].axhline(float(np.log(2)), color=MUTED, ls="--", lw=1.2, label="P(fake) = 0.5 for all")
    for ax in axes:
        ax.legend(fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    return figure


def _apart(sizes: np.ndarray) -> list[float]:
    kept: list[float] = []
    for size in reversed(sizes.tolist()):
        if not kept or kept[-1] >= _LABEL_APART * size:
            kept.append(float(size))
    return kept[::-1]
