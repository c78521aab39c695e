"""Curves of all models of one level beside each other: ROC, precision and recall, risk and coverage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from classifiers.risk import risk_coverage
from pipeline.report import scores
from pipeline.report.palette import CATEGORIES, MUTED
from pipeline.report.plot_style import new_axes, short_name, styled

MAX_CURVES = 8


@dataclass(frozen=True)
class Judged:
    """One model's answers: [n] 0/1 labels, P(fake), and the score that ranks items."""

    name: str
    label: np.ndarray
    p_fake: np.ndarray
    score: np.ndarray


@styled
def curves_figure(models: Sequence[Judged]) -> Figure:
    """ROC, precision-recall and risk-coverage curves of up to ``MAX_CURVES`` models, the first drawn strongest."""
    figure, axes = new_axes(9.6, 3.9, 3)
    shown = models[:MAX_CURVES]
    axes[0].plot([0, 1], [0, 1], color=MUTED, ls="--", lw=1)
    for rank in reversed(range(len(shown))):  # the first lies on top
        model = shown[rank]
        colour, width = CATEGORIES[rank % len(CATEGORIES)], 2.2 if rank == 0 else 1.1
        if (roc := scores.roc(model.label, model.score)) is not None:
            axes[0].plot(*roc, label=short_name(model.name), color=colour, lw=width)
            axes[1].plot(*_steps(*scores.precision_recall(model.label, model.score)), color=colour, lw=width)
        curve = risk_coverage(model.label, model.p_fake)
        axes[2].plot(curve.coverage, curve.risk, drawstyle="steps-pre", color=colour, lw=width)
    if shown:
        label = shown[0].label
        axes[1].axhline(label.mean(), color=MUTED, ls="--", lw=1)
        axes[2].axhline(min(label.mean(), 1 - label.mean()), color=MUTED, ls="--", lw=1)
    _dress(axes[0], "ROC", "share of reals called fake", "share of fakes found")
    _dress(axes[1], "Precision and recall", "share of fakes found", "fakes among those called fake")
    _dress(axes[2], "Risk and coverage", "share answered, surest first", "wrong among those answered")
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=4, fontsize=8)
    return figure


def _steps(recall: np.ndarray, precision: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Corners of the precision-recall curve as average precision counts it: precision holds back to the last recall."""
    return np.repeat(np.append(0.0, recall), 2)[1:-1], np.repeat(precision, 2)


def _dress(ax: Axes, title: str, x: str, y: str) -> None:
    ax.set(title=title, xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.set_aspect("equal")
    ax.grid()
