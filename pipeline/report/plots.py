"""Figures of the report with matplotlib: arrays and DataFrames in, a `Figure` out. No global state, no window."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from classifiers.prior import shift_prior
from pipeline.report import scores
from pipeline.report.palette import (
    ACCENT,
    FAKE,
    INK,
    MATPLOTLIB_MARKERS,
    MUTED,
    NOISE,
    category_style,
    chance_level,
    importance_chance,
    label_colour,
    measure_name,
    metric_name,
    model_name,
)
from pipeline.report.plot_style import new_axes, short_name, styled

_N_LEGEND_CLUSTERS = 14


@styled
def quality_figure(wplus: pd.DataFrame) -> Figure:
    """Histograms of perceptual distance and PSNR of one inverter; column ``label`` holds real, fake or unknown."""
    figure, axes = new_axes(9.6, 2.7, 2)
    for ax, column, title in (
        (axes[0], "lpips", "perceptual distance (low is good)"),
        (axes[1], "psnr_db", "PSNR (dB)"),
    ):
        values = wplus[column].to_numpy(dtype=np.float64)
        finite = values[np.isfinite(values)]
        if finite.size == 0:
            ax.text(0.5, 0.5, "no values", ha="center", va="center", transform=ax.transAxes, color=MUTED)
            continue
        edges = np.histogram_bin_edges(finite, bins=min(30, max(5, int(np.sqrt(finite.size)) + 1)))
        for label in ("real", "fake", "unknown"):
            part = values[(wplus["label"] == label).to_numpy() & np.isfinite(values)]
            if part.size:
                name = f"{label} (n = {part.size})"
                colour = label_colour(label)
                ax.hist(
                    part,
                    bins=edges.tolist(),
                    color=(colour, 0.22),
                    edgecolor=colour,
                    lw=1.4,
                    histtype="stepfilled",
                    label=name,
                )
        ax.axvline(float(np.median(finite)), color=INK, lw=1.2, ls="--", label=f"median {np.median(finite):.3g}")
        ax.set(xlabel=title, ylabel="faces")
        ax.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
        ax.grid(axis="y")
        ax.legend(fontsize=8)
    return figure


@styled
def forest_figure(table: pd.DataFrame, metric: str, *, baseline: float | None, title: str) -> Figure:
    """Value and interval of one metric per model; ``table`` as `scores.metric_table` makes it."""
    rows = [r for _, r in table.iterrows() if r["space"] != "baseline" and r[metric][0] is not None]
    figure, (ax,) = new_axes(8.0, 1.0 + 0.26 * max(1, len(rows)))
    for y, row in enumerate(reversed(rows)):
        value, low, high = row[metric]
        if low is not None and high is not None:
            ax.plot([low, high], [y, y], color=ACCENT, lw=2, solid_capstyle="butt")
        ax.plot(value, y, "o", color=ACCENT, ms=6)
    ax.set_yticks(
        range(len(rows)), [f"{short_name(r['space'])} · {short_name(model_name(r['model']))}" for r in reversed(rows)]
    )
    ax.set_ylim(-0.7, max(0.7, len(rows) - 0.3))
    reference = chance_level(metric) if chance_level(metric) is not None else baseline
    if reference is not None:
        name = "chance" if chance_level(metric) is not None else "majority class"
        ax.axvline(reference, color=MUTED, ls="--", lw=1.2, label=f"{name} ({reference:.3g})")
        ax.legend(fontsize=8, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    ax.set_xlabel(f"{metric_name(metric)}, {title}")
    ax.grid(axis="x")
    return figure


@styled
def model_figure(label: np.ndarray, p_fake: np.ndarray, *, score: np.ndarray, auc_text: str) -> Figure:
    """ROC curve, calibration and confusion matrix of one model's predictions.

    Parameters
    ----------
    label, p_fake, score : [n] 0/1 labels, P(fake), and what ranks items in the ROC curve.
    """
    figure, axes = new_axes(9.6, 3.1, 3)
    _draw_roc(axes[0], label, score, auc_text)
    _draw_calibration(axes[1], label, p_fake)
    _draw_confusion(axes[2], scores.confusion(label, p_fake))
    return figure


def _draw_roc(ax: Axes, label: np.ndarray, p_fake: np.ndarray, auc_text: str) -> None:
    curve = scores.roc(label, p_fake)
    ax.plot([0, 1], [0, 1], color=MUTED, ls="--", lw=1)
    if curve is None:
        ax.text(0.5, 0.5, "one class only:\nno curve", ha="center", va="center", color=MUTED)
    else:
        ax.plot(*curve, color=ACCENT, lw=2)
        ax.text(0.98, 0.04, auc_text, ha="right", va="bottom", fontsize=8.5, color=INK)
    ax.set(
        xlabel="share of reals called fake",
        ylabel="share of fakes found",
        title="ROC",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    ax.set_aspect("equal")
    ax.grid()


def _draw_calibration(ax: Axes, label: np.ndarray, p_fake: np.ndarray) -> None:
    # P(fake) speaks for as many fakes as reals; beside the share of fakes among these items it has to speak for them.
    share = float(np.mean(label))
    bins = scores.calibration(label, shift_prior(p_fake, to=share) if 0 < share < 1 else p_fake)
    ax.plot([0, 1], [0, 1], color=MUTED, ls="--", lw=1)
    if not bins.empty:
        gaps = np.abs(bins[["low", "high"]].to_numpy().T - bins["share_fake"].to_numpy())
        ax.errorbar(bins["p_mean"], bins["share_fake"], yerr=gaps, fmt="o", color=ACCENT, ms=5, elinewidth=1.2)
    ax.set(
        xlabel="P(fake) for this share of fakes",
        ylabel="share of fakes",
        title="Calibration",
        xlim=(-0.02, 1.02),
        ylim=(-0.02, 1.02),
    )
    ax.set_aspect("equal")
    ax.grid()


def _draw_confusion(ax: Axes, counts: np.ndarray) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(2, 2):
        colour = "white" if shares[i, j] > 0.55 else INK
        ax.text(j, i, f"{counts[i, j]:,}\n{shares[i, j]:.0%}", ha="center", va="center", color=colour, fontsize=11)
    ax.set_xticks([0, 1], ["called real", "called fake"])
    ax.set_yticks([0, 1], ["real", "fake"])
    ax.tick_params(length=0)
    ax.set_title("Confusion at P(fake) = 0.5")
    ax.spines[:].set_visible(False)


@styled
def importance_figure(importance: pd.DataFrame) -> Figure:
    """Importance per W+ channel of one space and method, with interval and the measure under shuffled labels."""
    rows = importance.sort_values("channel")
    x = rows["channel"].to_numpy()
    figure, (ax,) = new_axes(9.6, 3.0)
    value = rows["value"].to_numpy(dtype=np.float64)
    gaps = np.vstack(
        [value - rows["ci_low"].to_numpy(dtype=np.float64), rows["ci_high"].to_numpy(dtype=np.float64) - value]
    )
    ax.errorbar(
        x,
        value,
        yerr=np.nan_to_num(np.maximum(gaps, 0)),
        fmt="o",
        color=ACCENT,
        ms=5,
        capsize=2,
        label="labels as given",
    )
    null = rows["null_value"].to_numpy(dtype=np.float64)
    if np.isfinite(null).any():
        ax.plot(x, null, "_", color=FAKE, ms=13, mew=2, label="labels shuffled between videos")
    chance = importance_chance(str(rows["method"].iloc[0]))
    if chance is not None:
        ax.axhline(chance, color=MUTED, ls=":", lw=1.2, label=f"chance ({chance:g})")
    ax.set_xticks(x)
    ax.set(
        xlabel="W+ channel (0 coarse: pose and shape; high: colour and fine texture)",
        ylabel=textwrap.fill(short_name(measure_name(rows["method"].iloc[0]), n_chars=60), 32),
    )
    ax.grid(axis="y")
    ax.legend(fontsize=8, ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    return figure


@styled
def map_figure(points: pd.DataFrame) -> Figure:
    """A 2-D map twice: by label and by cluster.

    Parameters
    ----------
    points : DataFrame
        ``x, y``, ``label`` (real, fake, unknown) and ``cluster`` (int, -1 noise; NaN where the face has none).
    """
    figure, axes = new_axes(9.6, 4.3, 2)
    size = float(np.clip(6000 / max(1, len(points)), 2, 26))
    groups = [(n, points["label"].eq(n), label_colour(n), "o") for n in ("unknown", "real", "fake")]
    _scatter(axes[0], points, groups, size)
    axes[0].set_title("by label")
    _scatter(axes[1], points, _cluster_groups(points["cluster"]), size)
    axes[1].set_title("by cluster")
    for ax in axes:
        ax.set(
            xlabel="first coordinate (no unit)",
            ylabel="second coordinate (no unit)",
            aspect="equal",
            adjustable="datalim",
        )
        ax.tick_params(labelsize=8)
        ax.grid(lw=0.5)
        if ax.get_legend_handles_labels()[0]:
            ax.legend(
                fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=5, markerscale=1.2, handletextpad=0.1
            )
    return figure


def _cluster_groups(cluster: pd.Series) -> list[tuple[str, pd.Series, str, str]]:
    """Noise first (lowest), then clusters; only the largest get a legend entry."""
    sizes = cluster[cluster >= 0].value_counts()
    shown = set(sizes.index[:_N_LEGEND_CLUSTERS])
    noise = cluster.isna() | (cluster < 0)
    groups = [(f"noise ({int(noise.sum())})", noise, NOISE, "o")] if noise.any() else []
    for number in sorted(sizes.index):
        colour, symbol = category_style(int(number))
        name = f"{int(number)}" if number in shown else f"_{int(number)}"
        groups.append((name, cluster.eq(number), colour, MATPLOTLIB_MARKERS[symbol]))
    return groups


def _scatter(ax: Axes, points: pd.DataFrame, groups: Sequence[tuple[str, pd.Series, str, str]], size: float) -> None:
    for name, mask, colour, marker in groups:
        part = points[mask]
        if not part.empty:
            ax.scatter(
                part["x"], part["y"], s=size, c=colour, marker=marker, lw=0, alpha=0.8, label=name, rasterized=True
            )
