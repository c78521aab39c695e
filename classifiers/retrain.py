"""Train one kind of model twice, with labels as they were and as people corrected them, and compare both.

Folds, seed and settings are the same on both sides, and every item is judged by a model that never saw its source
group, so the two differ by the corrections alone. Excluded items do not train; both sides still judge them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from classifiers import calibrate
from classifiers.aggregate import Aggregation, aggregate_p_fake
from classifiers.balance import balanced_rows
from classifiers.checks import FAKE, Float32Array, Float64Array, IntArray
from classifiers.compare import Answers, Comparison, paired_bootstrap, values
from classifiers.crossval import ModelFactory, cross_validate, holdout

METRICS = ("roc_auc", "accuracy", "balanced_accuracy", "log_loss")
Protocol = Literal["cv", "holdout"]


@dataclass(frozen=True, eq=False)
class Material:
    """Items of one space and how they are judged.

    Attributes
    ----------
    X : float32 [n, d]; groups, videos : [n] names.
    place : [n] fold numbers for ``cv``; 'train', 'val' or 'test' for ``holdout``.
    balance : ``frames`` draws as many of each class to train on.
    share_trained : whether P(fake) holds the classes' shares (a model that does not balance them).
    """

    X: Float32Array
    groups: npt.NDArray[np.object_]
    videos: npt.NDArray[np.object_]
    place: npt.NDArray[np.generic]
    protocol: Protocol
    balance: str = "auto"
    calibration: calibrate.Method = "platt"
    share_trained: bool = False
    seed: int = 0

    @property
    def judged(self) -> npt.NDArray[np.bool_]:
        """Items whose answers count: all of ``cv``, those outside training of ``holdout``: ``test``, or ``val``."""
        if self.protocol == "cv":
            return np.ones(len(self.X), dtype=bool)
        side = "test" if (self.place == "test").any() else "val"
        return np.asarray(self.place == side)


def judge(
    material: Material, labels: IntArray, excluded: npt.NDArray[np.bool_], *, model_factory: ModelFactory
) -> Answers:
    """Calibrated P(fake) of all items by models trained on ``labels`` [n] without the ``excluded`` ones, bool [n].

    Raises
    ------
    LeakError
        A source group stands on more than one side.
    ValueError
        One class only is left to train on, or input of the wrong shape.
    """

    def choose(rows: IntArray) -> IntArray:
        rows = rows[~excluded[rows]]
        if material.balance != "frames":
            return rows
        return rows[balanced_rows(labels[rows], material.videos[rows], seed=material.seed)]

    groups = material.groups
    told = {"method": material.calibration, "learn": ~excluded}
    if material.protocol == "cv":
        raw, fold = np.empty(len(labels)), material.place.astype(np.int64)
        for part in cross_validate(material.X, labels, groups, fold, model_factory=model_factory, choose_rows=choose):
            raw[part.rows] = part.p_fake
        share = float(labels[choose(np.arange(len(labels)))].mean()) if material.share_trained else None
        done = calibrate.out_of_fold(raw, labels, groups, fold, share_trained=share, **told)  # type: ignore[arg-type]
    else:
        split = material.place.astype(str)
        raw = holdout(material.X, labels, groups, split, model=model_factory(0), choose_rows=choose).p_fake
        trained = choose(np.flatnonzero(split == "train"))
        share = float(labels[trained].mean()) if material.share_trained else None
        done = calibrate.on_validation(raw, labels, groups, split, share_trained=share, **told)  # type: ignore[arg-type]
    return Answers(done.p_fake, raw)


def compare(
    before: Answers,
    after: Answers,
    material: Material,
    labels: IntArray,
    measured: npt.NDArray[np.bool_],
    *,
    level: Literal["frame", "video"],
    aggregate: Aggregation = "mean",
    n_boot: int = 1000,
) -> list[tuple[Comparison, float, float]]:
    """Each of `METRICS` of ``after`` minus ``before`` against ``labels`` [n], on the ``measured`` items, bool [n].

    A video's answer is made of its measured items; it is fake where any of them is.

    Returns
    -------
    The difference with its interval by drawing source groups for both at once, the value before, and the value after.
    """
    rows = np.flatnonzero(measured & material.judged)
    y, groups = labels[rows], material.groups[rows]
    both = [_of(answers, rows) for answers in (before, after)]
    if level == "video":
        videos = material.videos[rows].astype(str)
        names, first, code = np.unique(videos, return_index=True, return_inverse=True)
        y = (np.bincount(code, weights=y == FAKE, minlength=len(names)) > 0).astype(np.int64)
        groups = groups[first]
        both = [_of_videos(answers, code, aggregate) for answers in both]
    old, new = (values(y, answers, groups.tolist(), metrics=METRICS) for answers in both)
    found = paired_bootstrap(y, both[1], both[0], groups.tolist(), n_boot=n_boot, seed=material.seed, metrics=METRICS)
    return [(row, old[row.metric], new[row.metric]) for row in found]


def _of(answers: Answers, rows: IntArray) -> Answers:
    score = answers.p_fake if answers.score is None else answers.score
    return Answers(np.asarray(answers.p_fake)[rows], np.asarray(score)[rows])


def _of_videos(answers: Answers, code: IntArray, aggregate: Aggregation) -> Answers:
    def video(of_items: npt.ArrayLike) -> Float64Array:
        return aggregate_p_fake(of_items, [f"{c:09d}" for c in code], method=aggregate)[1]

    assert answers.score is not None
    return Answers(video(answers.p_fake), video(answers.score))
