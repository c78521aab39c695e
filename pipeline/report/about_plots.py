"""The figure on what clusters are about: mutual information of each clustering beside its null."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pipeline.about_verdict import attribute_name
from pipeline.report.palette import ACCENT, MUTED
from pipeline.report.plot_style import new_axes, short_name, styled


def measured(rows: pd.DataFrame) -> pd.DataFrame:
    """Attributes with a value and a null, the most shared last: what the figure draws."""
    known = rows[rows["nmi"].notna() & rows["null_mean"].notna()]
    return known.sort_values(["adjusted", "nmi"], kind="stable", ignore_index=True)


@styled
def information_figure(rows: pd.DataFrame) -> Figure:
    """NMI per attribute of one clustering, the shuffled values' interval beside; ``rows`` as `measured` has them."""
    figure, (ax,) = new_axes(8.6, 0.9 + 0.26 * len(rows))
    for y, row in enumerate(rows.to_dict("records")):
        ax.plot([row["null_low"], row["null_high"]], [y, y], color=MUTED, lw=7, alpha=0.45, solid_capstyle="butt")
        ax.plot([row["null_mean"]] * 2, [y - 0.3, y + 0.3], color=MUTED, lw=1.4)
        filled = ACCENT if row["is_about"] else "white"
        ax.plot(row["nmi"], y, "o", color=ACCENT, mfc=filled, ms=6.5)
    ax.set_yticks(range(len(rows)), [short_name(attribute_name(a), n_chars=40) for a in rows["attribute"]])
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(-0.7, len(rows) - 0.3)
    ax.set_xlim(-0.02, 1.02)
    ax.set_xlabel("normalised mutual information of clusters and attribute")
    ax.grid(axis="x")
    return figure
