"""How much each W+ channel tells: a classifier trained on that channel alone (LatentForensics Fig. 5), with a null.

The interval draws source groups and repeats with replacement. It covers which groups were measured and the randomness
of folds and models; it does not cover a new draw of training data beyond what the folds vary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt
from sklearn.utils.parallel import Parallel, delayed

from classifiers.bootstrap import draw_groups, groups_per_class, metric_interval
from classifiers.checks import Float32Array, Float64Array, Groups, IntArray, check_features, check_labels, group_codes
from classifiers.crossval import cross_validate
from classifiers.metrics import Scores
from classifiers.models import make_model
from classifiers.protocol import Classifier
from classifiers.splits import grouped_folds

ImportanceMetric = Literal["accuracy", "balanced_accuracy", "roc_auc"]
MAX_SHUFFLES = 100
UNMOVED = "shufflings left the labels as they are (groups differ in size): no null value from there"


@dataclass(frozen=True, kw_only=True)
class ImportanceSettings:
    """``metric``: balanced_accuracy (0.5 is chance), accuracy (``majority_share`` is chance) or roc_auc (0.5).

    ``model``: ``rf`` with ``n_trees`` trees, or any other name of `models` with the settings of ``profile``.
    """

    metric: ImportanceMetric = "balanced_accuracy"
    model: str = "rf"
    profile: str = "paper"
    device: str = "cpu"
    n_folds: int = 3
    n_repeats: int = 3
    n_trees: int = 100
    n_boot: int = 1000
    level: float = 0.95
    seed: int = 0
    n_jobs: int = 1

    def __post_init__(self) -> None:
        if self.metric not in get_args(ImportanceMetric):
            names = ", ".join(get_args(ImportanceMetric))
            raise ValueError(f"Unknown importance metric '{self.metric}': expected one of {names}.")
        if min(self.n_repeats, self.n_trees, self.n_boot) < 1:
            raise ValueError("Repeats, trees and bootstrap draws must be at least 1.")


@dataclass(frozen=True)
class Repeats:
    """What stands behind a row: what other seeds, other folds and other groups would have given.

    ``draws`` float64 [R, B] per repeat and draw of groups (the draws are the same for all rows of equal seed and
    groups); ``folds`` float64 [R, F] per fold, NaN where a fold lacks a class.
    """

    draws: Float64Array
    folds: Float64Array


@dataclass(frozen=True)
class ImportanceRow:
    """One channel: mean of the metric over repeats, its interval, and the same mean with shuffled labels.

    ``null_value`` is over the repeats whose shuffling moved labels, NaN if none did, which ``reason`` says.

    ``channel`` is the number of the part where parts of several channels are measured.
    """

    channel: int
    value: float
    ci_low: float
    ci_high: float
    null_value: float
    n_repeats: int
    metric: str
    majority_share: float
    reason: str | None = None
    values: tuple[float, ...] = ()  # per repeat
    repeats: Repeats | None = field(default=None, compare=False, repr=False)


def channel_importance(
    wplus: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Groups,
    *,
    settings: ImportanceSettings | None = None,
    videos: Groups | None = None,
    model_factory: Callable[[int], Classifier] | None = None,
    parts: Sequence[Sequence[int]] | None = None,
) -> Iterator[ImportanceRow]:
    """Train on each channel alone, by grouped cross-validation, over several seeds; yields a row per channel.

    Parameters
    ----------
    wplus : [n, n_channels, w_dim] float32.
    y, groups : [n] labels and source groups.
    settings : metric and effort.
    videos : [n] video of each item. Labels are shuffled between videos, all frames of one alike, so that frames keep
        telling each other apart as they do with true labels, and within groups or between groups of as many videos;
        None: items of one group and label count as one video.
    model_factory : seed -> untrained model; None: ``settings.model``, its answer for equal classes except for the
        metric ``accuracy``, which rewards the majority as it is.
    parts : sets of channels that are given together; None: each channel alone.

    Raises
    ------
    SplitError
        A class stands in fewer source groups than there are folds.
    ValueError
        Input of the wrong shape or range, a video with two labels.
    """
    settings = settings or ImportanceSettings()
    codes_3d = np.asarray(wplus, dtype=np.float32)
    if codes_3d.ndim != 3:
        raise ValueError(f"Expected W+ codes of shape [n, n_channels, w_dim], got shape {codes_3d.shape}.")
    n, n_channels, w_dim = codes_3d.shape
    check_features(codes_3d.reshape(n, n_channels * w_dim))
    wanted = [[c] for c in range(n_channels)] if parts is None else [list(part) for part in parts]
    if any(not part or min(part) < 0 or max(part) >= n_channels for part in wanted):
        raise ValueError(f"Expected parts of channels 0 to {n_channels - 1}, got {wanted}.")
    labels = check_labels(y, n=n)
    group, names = group_codes(groups, n=n)
    unit = _units(labels, group, videos)
    fold = [
        grouped_folds(group, labels, n_folds=settings.n_folds, seed=settings.seed + r)
        for r in range(settings.n_repeats)
    ]
    shuffled = [_shuffled(labels, unit, group, f, settings.seed + r) for r, f in enumerate(fold)]
    study = _Study(settings, labels, group, len(names), fold, shuffled, model_factory or _models(settings))
    return (study.row(i, codes_3d[:, part].reshape(n, -1)) for i, part in enumerate(wanted))


@dataclass(frozen=True)
class _Study:
    settings: ImportanceSettings
    y: IntArray
    group: IntArray
    n_groups: int
    fold: list[IntArray]  # per repeat
    shuffled: list[IntArray]  # labels per repeat
    model_factory: Callable[[int], Classifier]

    def row(self, channel: int, X: Float32Array) -> ImportanceRow:
        s = self.settings
        repeats = range(s.n_repeats)
        # Whole forests side by side: the threads within a small forest cost more than they save.
        jobs = [delayed(self._answers)(X, y, r) for r in repeats for y in (self.y, self.shuffled[r])]
        answers = Parallel(n_jobs=s.n_jobs, prefer="threads")(jobs)
        true = [self._of(p, self.y) for p in answers[::2]]
        null = [self._of(p, self.shuffled[r]) for r, p in enumerate(answers[1::2])]
        once = np.ones((1, self.n_groups), dtype=np.int64)
        rng = np.random.default_rng(s.seed)
        draws = draw_groups(self.n_groups, n_boot=s.n_boot, rng=rng)
        per_repeat = np.stack([t.evaluate(draws)[s.metric] for t in true])  # [R, B]
        chosen = rng.integers(0, s.n_repeats, size=(s.n_repeats, s.n_boot))
        means: Float64Array = np.take_along_axis(per_repeat, chosen, axis=0).mean(axis=0)
        share = float(self.y.mean())
        values = tuple(float(t.evaluate(once)[s.metric][0]) for t in true)
        low, high, _, limits = metric_interval(
            s.metric,
            float(np.mean(values)),
            means,
            n_groups=self.n_groups,
            per_class=groups_per_class(self.y, self.group),
            level=s.level,
        )
        moved = [is_moved(self.y, labels) for labels in self.shuffled]
        nulls = [float(t.evaluate(once)[s.metric][0]) for t, is_null in zip(null, moved, strict=True) if is_null]
        unmoved = None if all(moved) else f"{moved.count(False)} of {len(moved)} {UNMOVED}"
        reason = "; ".join(why for why in (limits, unmoved) if why) or None
        folds = np.stack([fold_values(self.y, p, self.fold[r], s.metric) for r, p in enumerate(answers[::2])])
        return ImportanceRow(
            channel=channel,
            value=float(np.mean(values)),
            ci_low=low,
            ci_high=high,
            null_value=float(np.mean(nulls)) if nulls else np.nan,
            n_repeats=s.n_repeats,
            metric=s.metric,
            majority_share=max(share, 1 - share),
            reason=reason,
            values=values,
            repeats=Repeats(per_repeat, folds),
        )

    def _of(self, p: Float64Array, y: IntArray) -> Scores:
        return Scores.of(y, p, self.group)

    def _answers(self, X: Float32Array, y: IntArray, repeat: int) -> Float64Array:
        """Out-of-fold P(fake) of one repeat, float64 [n]."""
        p = np.empty(len(y))
        seed = self.settings.seed + 1000 * repeat
        results = cross_validate(
            X, y, self.group, self.fold[repeat], model_factory=lambda k: self.model_factory(seed + k)
        )
        for result in results:
            p[result.rows] = result.p_fake
        return p


def fold_values(y: IntArray, p: Float64Array, fold: IntArray, metric: str) -> Float64Array:
    """The metric on each fold's rows alone, float64 [F]; NaN where it is undefined there."""
    out = []
    for k in np.unique(fold):
        rows = np.flatnonzero(fold == k)
        scores = Scores.of(y[rows], p[rows], np.zeros(len(rows), dtype=np.int64))
        out.append(scores.evaluate(np.ones((1, 1), dtype=np.int64))[metric][0])
    return np.array(out)


def _models(settings: ImportanceSettings) -> Callable[[int], Classifier]:
    overrides: dict[str, object] = {"balanced": settings.metric != "accuracy"}
    if settings.model == "rf":
        overrides["n_trees"] = settings.n_trees
    profile = "paper" if settings.model == "rf" else settings.profile
    return lambda seed: make_model(
        settings.model, profile=profile, seed=seed, device=settings.device, n_jobs=1, overrides=overrides
    )


def _units(y: IntArray, group: IntArray, videos: Groups | None) -> IntArray:
    """What keeps one label under shuffling: int64 [n]."""
    if videos is None:
        return np.unique(2 * group + y, return_inverse=True)[1]
    unit, names = group_codes(videos, n=len(y))
    mixed = np.flatnonzero((np.bincount(unit, weights=y) > 0) & (np.bincount(unit, weights=1 - y) > 0))
    if len(mixed):
        raise ValueError(f"{len(mixed)} videos hold both labels, the first is '{names[mixed[0]]}'.")
    return unit


def is_moved(y: IntArray, shuffled: IntArray) -> bool:
    """Whether shuffled labels say anything else than the true ones: neither the same nor all exchanged."""
    return len(np.unique(y != shuffled)) == 2


def _shuffled(y: IntArray, unit: IntArray, group: IntArray, fold: IntArray, seed: int) -> IntArray:
    """Labels permuted such that every fold's training rows still hold both classes.

    Groups of as many videos swap their labels, then each group shuffles its own: so every group keeps a composition
    that occurs. Were labels permuted over all videos, groups would come out unbalanced, a fold's own share of fakes
    would be the opposite of its training rows', and scores would fall below chance for that reason alone.
    """
    first = np.unique(unit, return_index=True)[1]
    labels, group_of = y[first], group[first]
    members = [np.flatnonzero(group_of == g) for g in np.unique(group_of)]
    rng = np.random.default_rng(seed)
    for _ in range(MAX_SHUFFLES):
        moved = labels.copy()
        for size in {len(m) for m in members}:
            alike = [m for m in members if len(m) == size]
            for k, source in enumerate(rng.permutation(len(alike))):
                moved[alike[k]] = rng.permutation(labels[alike[source]])
        shuffled = moved[unit]
        if all(len(np.unique(shuffled[fold != k])) == 2 for k in np.unique(fold)):
            return shuffled
    raise ValueError(f"No shuffling of {len(first)} videos leaves both classes in every fold's training rows.")
