"""Whether 95 % intervals hold the truth on simulated grouped data: the small version of `lf bench coverage`."""

from __future__ import annotations

import pytest

from benchmarks.coverage import METRICS, measure
from classifiers.bootstrap import expanded_tail


def test_intervals_of_few_groups_hold_the_truth_and_plain_percentiles_do_not():
    shares = measure(10, n_studies=250, n_boot=250, seed=7, methods=("product", "percentile"))
    for metric in METRICS:
        if metric == "ece":  # chance adds to it: its row says that it does not hold
            continue
        # 92 to 95 % with 1,000 studies (docs/decisions.md); 250 studies have a deviation of 1.7 %.
        assert 0.88 <= shares["product", metric] <= 0.985, metric
        assert shares["product", metric] > shares["percentile", metric] + 0.01, metric


def test_expanded_tail_by_hand():
    # t(9) at 97.5 % is 2.2622, times sqrt(10 / 9) is 2.3845; the normal share beyond is 0.0085.
    assert expanded_tail(10) == pytest.approx(0.00855, abs=2e-5)
    assert expanded_tail(100_000) == pytest.approx(0.025, abs=1e-5)
