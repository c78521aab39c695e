"""Curves, intervals and picks against independent implementations and counts by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest
from sklearn.metrics import auc, confusion_matrix, roc_auc_score

from pipeline.report import scores


@pytest.fixture
def answers() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 200)
    return label, np.round(np.clip(0.5 + 0.2 * (label - 0.5) + rng.normal(0, 0.2, 200), 0, 1), 1)  # rounded: many ties


def test_roc_encloses_the_area_scikit_learn_finds(answers: tuple[np.ndarray, np.ndarray]) -> None:
    label, p_fake = answers
    curve = scores.roc(label, p_fake)
    assert curve is not None
    # Both are sums of some hundred double-precision trapezia: equal but for rounding.
    assert auc(*curve) == pytest.approx(roc_auc_score(label, p_fake), abs=1e-12)
    assert (curve[0][0], curve[1][0], curve[0][-1], curve[1][-1]) == (0, 0, 1, 1)
    assert len(curve[0]) == len(np.unique(p_fake)) + 1


@pytest.mark.parametrize("label", [[], [0], [1, 1, 1]])
def test_no_roc_without_both_classes(label: list[int]) -> None:
    assert scores.roc(np.array(label, dtype=int), np.full(len(label), 0.5)) is None


def test_confusion_counts_as_scikit_learn_does(answers: tuple[np.ndarray, np.ndarray]) -> None:
    label, p_fake = answers
    assert (scores.confusion(label, p_fake) == confusion_matrix(label, p_fake >= 0.5)).all()
    assert scores.confusion(np.array([], dtype=int), np.array([])).tolist() == [[0, 0], [0, 0]]


@pytest.mark.parametrize(("k", "n"), [(0, 5), (5, 5), (3, 17), (60, 100)])
def test_wilson_interval_is_scipys(k: int, n: int) -> None:
    interval = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert scores.wilson(k, n) == pytest.approx((interval.low, interval.high), abs=1e-12)


def test_calibration_bins_partition_the_items(answers: tuple[np.ndarray, np.ndarray]) -> None:
    label, p_fake = answers
    bins = scores.calibration(label, p_fake)
    assert len(bins) == 10
    assert bins["n"].sum() == 200
    assert (bins["n"] * bins["share_fake"]).sum() == pytest.approx(label.sum())
    assert bins["p_mean"].is_monotonic_increasing
    assert len(scores.calibration(label[:25], p_fake[:25])) == 2  # at least ten items a bin
    assert len(scores.calibration(label[:1], p_fake[:1])) == 1
    assert scores.calibration(label[:0], p_fake[:0]).empty


def metrics(*rows: tuple[str, str, str, str, float | None]) -> pd.DataFrame:
    """Rows of ``(level, space, model, split, roc_auc)``."""
    table = pd.DataFrame(rows, columns=["level", "space", "model", "split", "value"])
    return table.assign(metric="roc_auc", ci_low=None, ci_high=None, n_groups=3, n_items=9, reason=None)


def test_best_model_prefers_video_level_and_ignores_the_baseline() -> None:
    table = metrics(
        ("frame", "wplus", "rf", "cv", 0.99),
        ("video", "wplus", "rf", "cv", 0.7),
        ("video", "efficientnet", "logistic", "cv", 0.8),
        ("video", "baseline", "majority", "cv", 1.0),
        ("video", "pca", "rf", "train", 1.0),
    )
    best = scores.best_model(table)
    assert best is not None
    assert (best.level, best.space, best.split, best.value, best.ci_low) == ("video", "efficientnet", "cv", 0.8, None)


def test_best_model_falls_back_to_frames_and_to_none() -> None:
    table = metrics(("frame", "wplus", "rf", "cv", 0.6), ("video", "wplus", "rf", "cv", None))
    best = scores.best_model(table)
    assert best is not None
    assert best.level == "frame"
    assert scores.best_model(table[table["level"] == "video"]) is None


def test_metric_table_sorts_by_auc_with_baselines_last() -> None:
    table = metrics(
        ("video", "baseline", "majority", "cv", 0.5),
        ("video", "wplus", "rf", "cv", None),
        ("video", "wplus", "logistic", "cv", 0.6),
        ("video", "efficientnet", "rf", "cv", 0.9),
    )
    made = scores.metric_table(table, level="video", split="cv", names=["roc_auc"])
    assert made["space"].tolist() == ["efficientnet", "wplus", "wplus", "baseline"]
    assert made["model"].tolist() == ["rf", "logistic", "rf", "majority"]


def test_format_interval_shows_what_there_is() -> None:
    assert scores.format_interval((0.8125, 0.7, 0.9)) == "0.812 [0.700, 0.900]"
    assert scores.format_interval((0.8125, None, None), digits=1) == "0.8"
    assert scores.format_interval((None, None, None)) == "—"


def test_remarks_are_said_once_and_counts_become_the_largest() -> None:
    said = scores.remarks(
        ["12 of 2000 draws lack a class; 1 % of 24 reals is less than one", "267 of 2000 draws lack a class", None, ""]
    )
    assert said == " Remarks: up to 267 of 2000 draws lack a class; 1 % of 24 reals is less than one."
    assert scores.remarks(["3 draws; dim", "3 draws"]) == " Remarks: 3 draws; dim."
    assert scores.remarks([None]) == ""
