"""What a figure says on its axes, and that hostile names do not break it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import rcParams

from pipeline.report import plots
from pipeline.report.plot_style import png
from tests.report.material import HOSTILE


def texts(figure: plots.Figure) -> list[tuple[str, str]]:
    """Axis labels of every panel."""
    return [(ax.get_xlabel(), ax.get_ylabel()) for ax in figure.axes]


@pytest.mark.parametrize("values", [[0.1, 0.2, 0.4], [0.3], [np.nan, np.nan]])
def test_quality_is_labelled_with_its_measure(values: list[float]) -> None:
    table = pd.DataFrame({"lpips": values, "psnr_db": values, "label": "fake"})
    figure = plots.quality_figure(table)
    if np.isfinite(values).any():
        assert texts(figure) == [("perceptual distance (low is good)", "faces"), ("PSNR (dB)", "faces")]
    assert png(figure).startswith(b"\x89PNG")


def test_names_with_mathematics_and_markup_are_drawn_as_text() -> None:
    table = pd.DataFrame({"space": [HOSTILE], "model": ["$\\frac{"], "roc_auc": [(0.7, 0.6, 0.8)]})
    before = dict(rcParams)
    assert png(plots.forest_figure(table, "roc_auc", baseline=None, title="$x")).startswith(b"\x89PNG")
    assert dict(rcParams) == before  # the style stays inside


def test_importance_without_intervals_or_null_is_still_drawn() -> None:
    table = pd.DataFrame({"channel": [1, 0], "value": [0.5, 0.6], "method": "rf-alone-accuracy"})
    table = table.assign(ci_low=np.nan, ci_high=np.nan, null_value=np.nan)
    assert texts(plots.importance_figure(table))[0][1] == "Accuracy, one-channel forest"


def test_map_takes_many_clusters_and_faces_without_one() -> None:
    n = 200
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"x": rng.normal(size=n), "y": rng.normal(size=n), "label": "real"})
    table["cluster"] = [np.nan, -1.0] + [float(i % 60) for i in range(n - 2)]
    figure = plots.map_figure(table)
    legend = figure.axes[1].get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 15  # noise and the 14 largest clusters
    assert len(png(figure)) < 300_000
