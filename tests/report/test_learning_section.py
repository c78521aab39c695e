"""What the report says of a learning curve."""

from __future__ import annotations

import pandas as pd
import pytest

from pipeline.report.learning_plots import learning_figure
from pipeline.report.learning_section import groups_to_reach, verdict
from tests.report import material


def curve(**changes) -> pd.DataFrame:
    rows = pd.DataFrame(material.learning(**changes))
    return rows[(rows["level"] == "frame") & (rows["metric"] == "roc_auc")]


def test_groups_needed_are_read_off_the_curve() -> None:
    line = pd.DataFrame({"n_groups": [10, 100, 1000], "value": [0.6, 0.7, 0.9]})
    assert groups_to_reach(line, 0.5) == 10
    assert groups_to_reach(line, 0.65) == 32, "halfway on a logarithmic scale"
    assert groups_to_reach(line, 0.8) == 316
    assert groups_to_reach(line, 0.95) is None


@pytest.mark.parametrize(
    ("gains", "expected"),
    [
        ((0.05, 0.21), "still rises: +0.130 [+0.050, +0.210] from 20 to 80 groups. More material"),
        ((-0.02, 0.21), "Whether it still rises cannot be told"),
        ((-0.3, -0.1), "It falls"),
    ],
)
def test_the_verdict_follows_the_interval_of_the_last_change(gains: tuple[float, float], expected: str) -> None:
    text = verdict(curve(gains=gains))
    assert expected in text
    assert "0.780 [0.680, 0.880] with 80 groups" in text
    assert "0.6 at about 10, 0.7 at about 34; 0.8 is not reached." in text


def test_one_size_alone_tells_nothing_of_a_rise() -> None:
    assert "nothing tells whether it rises" in verdict(curve().iloc[:1])


def test_the_figure_draws_both_metrics_against_a_logarithmic_axis() -> None:
    left, right = learning_figure(pd.DataFrame(material.learning())).axes
    assert left.get_xscale() == right.get_xscale() == "log"
    assert list(left.lines[0].get_ydata()) == [0.55, 0.65, 0.78]
    assert "ROC-AUC" in left.get_ylabel()
    assert "Log-loss" in right.get_ylabel()
