"""Retraining with corrections: a planted error is mended and seen, and no correction gives no difference at all."""

from __future__ import annotations

import numpy as np
import pytest

from classifiers.models import model_factory
from classifiers.retrain import METRICS, Material, compare, judge

N_GROUPS, PER_GROUP = 40, 6


def planted(seed: int = 0) -> tuple[Material, np.ndarray, np.ndarray]:
    """Real and fake videos in every group; a cluster of fakes, far off, is labelled real. Truth and labels."""
    rng = np.random.default_rng(seed)
    groups = np.repeat([f"g{i:02d}" for i in range(N_GROUPS)], PER_GROUP)
    truth = np.tile([0, 0, 0, 1, 1, 1], N_GROUPS)
    X = rng.normal(size=(len(truth), 12)).astype(np.float32)
    X[:, 0] += 1.2 * truth
    wrong = (truth == 1) & (np.arange(len(truth)) // PER_GROUP % 2 == 0)
    X[wrong, 1] += 4
    labels = np.where(wrong, 0, truth)
    videos = np.array([f"{g}-{t}" for g, t in zip(groups, truth, strict=True)], dtype=object)
    fold = np.repeat(np.arange(N_GROUPS) % 4, PER_GROUP)
    return Material(X, groups.astype(object), videos, fold, "cv"), truth, labels


FACTORY = model_factory("logistic", profile="quick", seed=0, device="cpu", n_jobs=1, blocks=(), overrides={})


def test_mending_a_mislabelled_cluster_is_seen() -> None:
    material, truth, labels = planted()
    nothing = np.zeros(len(truth), dtype=bool)
    before = judge(material, labels, nothing, model_factory=FACTORY)
    after = judge(material, truth, nothing, model_factory=FACTORY)
    for level in ("frame", "video"):
        found = {row.metric: row for row, _, _ in compare(before, after, material, truth, ~nothing, level=level)}
        assert set(found) == set(METRICS)
        assert found["roc_auc"].ci_low > 0.1
        assert found["balanced_accuracy"].ci_low > 0
        assert found["log_loss"].ci_high < -0.1
    # Against the labels as they were the same models look the other way round: both are shown.
    assert compare(before, after, material, labels, ~nothing, level="frame")[0][0].difference < 0


@pytest.mark.parametrize("protocol", ["cv", "holdout"])
def test_without_a_correction_nothing_differs(protocol: str) -> None:
    material, _, labels = planted()
    if protocol == "holdout":
        split = np.array(["train", "train", "val", "test"])[material.place.astype(int)]
        material = Material(material.X, material.groups, material.videos, split, "holdout")
    nothing = np.zeros(len(labels), dtype=bool)
    both = [judge(material, labels, nothing, model_factory=FACTORY) for _ in range(2)]
    for level in ("frame", "video"):
        for row, old, new in compare(*both, material, labels, ~nothing, level=level):
            assert (row.difference, row.ci_low, row.ci_high, old) == (0, 0, 0, new)
    if protocol == "holdout":
        assert material.judged.sum() == len(labels) / 4


def test_excluded_items_are_judged_but_teach_nothing() -> None:
    material, _, labels = planted()
    out = np.arange(len(labels)) % PER_GROUP == 0
    answers = judge(material, labels, out, model_factory=FACTORY)
    assert np.isfinite(answers.p_fake).all()
    flipped = np.where(out, 1 - labels, labels)  # what nobody learns from may say anything
    again = judge(material, flipped, out, model_factory=FACTORY)
    assert np.array_equal(answers.p_fake, again.p_fake)
    kept = compare(answers, again, material, labels, ~out, level="frame")
    assert kept[0][0].n_items == (~out).sum()


def test_one_class_left_is_said() -> None:
    material, _, labels = planted()
    with pytest.raises(ValueError, match="needs real and fake items"):
        judge(material, labels, labels == 1, model_factory=FACTORY)
