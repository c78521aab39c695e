"""Every face judged by a model that never saw its group, calibrated, and the model that is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers import calibrate
from classifiers.balance import balanced_rows
from classifiers.checks import IntArray, check_varies
from classifiers.crossval import ModelFactory, cross_validate, holdout
from classifiers.protocol import Classifier
from pipeline.params import Train
from pipeline.stages.features import Features


@dataclass(frozen=True)
class Judged:
    """What training gave.

    Attributes
    ----------
    model
        Kept for new material: of a hold-out the one that was judged, else one trained on everything.
    kept
        Its calibration.
    answers
        Faces it may be judged by: those of ``Features.faces`` with ``split, p_fake, p_fake_raw``.
    learned
        Ids of the videos the kept model was trained on.
    """

    model: Classifier
    kept: calibrate.Calibrator
    answers: pd.DataFrame
    learned: NDArray[np.object_]


def judge(inside: Features, placed: pd.DataFrame, factory: ModelFactory, settings: Train, *, seed: int) -> Judged:
    """Train and judge as ``train.protocol`` says.

    Parameters
    ----------
    inside, placed
        Faces with their vectors, and ``split, fold`` of each.

    Raises
    ------
    ConstantError
        All vectors are the same.
    """
    check_varies(inside.vectors)
    if settings.protocol == "cv":
        # Folds that leave a domain out leave videos out too (fold -1): they are neither judged nor trained on.
        judged = placed["fold"].to_numpy() >= 0
        inside, placed = inside.subset(judged), placed[judged]
    faces = inside.faces
    labels, groups = faces["label"].to_numpy(dtype=np.int64), faces["source_group"].to_numpy()
    videos, method = faces["video_id"].to_numpy(), settings.calibration

    def choose(rows: IntArray) -> IntArray:
        return rows[balanced_rows(labels[rows], videos[rows], seed=seed)] if settings.balance == "frames" else rows

    if settings.protocol == "cv":
        raw, fold = np.empty(len(labels)), placed["fold"].to_numpy()
        for part in cross_validate(inside.vectors, labels, groups, fold, model_factory=factory, choose_rows=choose):
            raw[part.rows] = part.p_fake
        split = np.full(len(labels), "cv", dtype=object)
        # The folds tell how good such a model is; the one kept for new material learns from everything.
        rows = choose(np.arange(len(labels)))
        matrix = inside.vectors if len(rows) == len(labels) else inside.vectors[rows]
        model = factory(0).fit(matrix, labels[rows], groups=groups[rows])
        share = _share_trained(model, labels[rows])
        done = calibrate.out_of_fold(raw, labels, groups, fold, method=method, share_trained=share)
        learned = videos
    else:
        split = placed["split"].to_numpy()
        result = holdout(inside.vectors, labels, groups, split, model=factory(0), choose_rows=choose)
        model, raw = result.model, result.p_fake
        share = _share_trained(model, labels[choose(np.flatnonzero(split == "train"))])
        done = calibrate.on_validation(raw, labels, groups, split, method=method, share_trained=share)
        learned = videos[split == "train"]
    unseen = split != "train"
    answers = faces[unseen].assign(split=split[unseen], p_fake=done.p_fake[unseen], p_fake_raw=raw[unseen])
    return Judged(model, done.kept, answers, learned)


def _share_trained(model: Classifier, labels: NDArray[np.int64]) -> float | None:
    """Share of fakes that a model trained on classes as they are has built into P(fake); None for balanced ones."""
    balanced = getattr(getattr(model, "settings", None), "balanced", True)
    return None if balanced else float(model.info.get("share_fake_train", labels.mean()))
