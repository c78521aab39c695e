"""Learning curves: how good a classifier gets with the number of source groups it is trained on.

One grouped part is put aside and never trains; every model of the curve is measured on it. From the other groups,
nested random draws of growing size are taken: within a draw, a larger training set holds the smaller one, so what two
sizes differ by is what the added groups gave.

Intervals cover two kinds of chance at once: which groups were drawn for training, and which groups were measured.
Those of values are for one more draw of that size (what somebody with so many groups has), those of gains for the mean
change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np
import numpy.typing as npt
from scipy.special import stdtrit

from classifiers.aggregate import Aggregation, aggregate_p_fake
from classifiers.bootstrap import draw_groups, groups_per_class, interval, metric_interval
from classifiers.checks import FAKE, REAL, Float64Array, Groups, IntArray, check_features, check_labels, group_codes
from classifiers.metrics import Scores
from classifiers.protocol import Classifier
from classifiers.splits import SplitError, held_out

CURVE_METRICS = ("roc_auc", "log_loss")
# Two groups of each class: fewer leave inner validation nothing to hold out.
SMALLEST_SIZE = 4
# All groups there are become one more point only where they are this much more than the largest size asked for.
WORTH_A_POINT = 1.25
#: Resamples worked on at once: bounds memory with many held-out items.
BOOT_BLOCK = 250


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """``sizes``: numbers of training groups; ``n_draws`` nested draws of each; ``share_held_out`` is measured."""

    sizes: tuple[int, ...] = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)
    n_draws: int = 5
    share_held_out: float = 1 / 3
    seed: int = 0

    def __post_init__(self) -> None:
        if not self.sizes or list(self.sizes) != sorted(set(self.sizes)) or self.sizes[0] < SMALLEST_SIZE:
            raise ValueError(f"Expected rising sizes of at least {SMALLEST_SIZE} groups, got {self.sizes}.")
        if self.n_draws < 1:
            raise ValueError(f"Expected at least 1 draw, got {self.n_draws}.")


@dataclass(frozen=True)
class TrainingDraw:
    """Training rows (int64) of one draw of ``n_groups`` source groups."""

    n_groups: int
    draw: int
    rows: IntArray


@dataclass(frozen=True)
class LearningPlan:
    """Rows that are measured and never train (int64), and all training sets, smallest first."""

    measured: IntArray
    training: tuple[TrainingDraw, ...]


@dataclass(frozen=True)
class TrainedDraw:
    """One model's P(fake), float64 [len(plan.measured)], of the measured rows, and the seconds its training took."""

    n_groups: int
    draw: int
    n_items: int
    p_fake: Float64Array
    seconds: float


@dataclass(frozen=True)
class CurvePoint:
    """One metric at one level and size.

    ``value`` is the mean over draws; ``ci_low``, ``ci_high`` a 95 % interval for one more draw; ``gain`` the mean
    change since the next smaller size, paired by draw and measured groups, with its interval (NaN at the smallest
    size). ``n_items``: training items per draw, in the mean. NaN where there is no number; ``reason`` says why.
    """

    level: str
    metric: str
    n_groups: int
    value: float
    ci_low: float
    ci_high: float
    sd_draws: float
    gain: float
    gain_low: float
    gain_high: float
    n_draws: int
    n_items: float
    n_groups_measured: int
    n_items_measured: int
    reason: str | None


def plan_draws(y: npt.ArrayLike, groups: Groups, *, settings: LearningSettings) -> LearningPlan:
    """Put groups aside and draw nested training sets from the others.

    A draw takes groups in an order in which groups with reals only, fakes only and both come up at their shares, so
    every size has the classes as the whole has them; the first few groups hold each class at least twice.

    Parameters
    ----------
    y, groups : [n] labels and source groups.

    Raises
    ------
    SplitError
        A class stands in fewer than two groups, or fewer groups are left for training than the smallest size.
    ValueError
        Labels besides 0 and 1, missing groups.
    """
    labels = check_labels(y)
    codes, names = group_codes(groups, n=len(labels))
    aside = held_out(groups, labels, fraction=settings.share_held_out, seed=settings.seed)
    has = np.stack([np.bincount(codes[labels == c], minlength=len(names)) > 0 for c in (REAL, FAKE)], axis=1)  # [G, 2]
    free = np.setdiff1d(np.arange(len(names)), codes[aside])
    if min(has[free].sum(axis=0)) < 2:
        raise SplitError("A learning curve needs each class in two or more source groups besides those put aside.")
    sizes = curve_sizes(settings.sizes, len(free))
    if not sizes:
        raise SplitError(
            f"A learning curve from {settings.sizes[0]} training groups on needs more than the {len(names)} source "
            f"groups there are: {len(names) - len(free)} are put aside to measure on."
        )
    orders = [_order(free, has, np.random.default_rng([settings.seed, draw])) for draw in range(settings.n_draws)]
    training = [
        TrainingDraw(size, draw, np.flatnonzero(np.isin(codes, order[:size])))
        for size in sizes
        for draw, order in enumerate(orders)
        if size < len(free) or draw == 0  # all groups there are can be drawn in one way
    ]
    return LearningPlan(np.flatnonzero(aside), tuple(training))


def curve_sizes(wanted: Sequence[int], n_available: int) -> list[int]:
    """The wanted sizes that can be had, and all available groups where those are clearly more than the largest."""
    sizes = [size for size in wanted if size <= n_available]
    if sizes and n_available >= WORTH_A_POINT * sizes[-1]:
        sizes.append(n_available)
    return sizes


def _order(free: IntArray, has: npt.NDArray[np.bool_], rng: np.random.Generator) -> IntArray:
    """The groups of one draw in the order they are added: kinds of groups at their shares, each class twice early."""
    kind = has[free] @ np.array([1, 2])
    place = np.empty(len(free))
    for k in np.unique(kind):
        members = rng.permutation(np.flatnonzero(kind == k))
        place[members] = (np.arange(len(members)) + rng.random()) / len(members)
    order = free[np.argsort(place, kind="stable")]
    first = np.unique(np.concatenate([np.flatnonzero(has[order, c])[:2] for c in (REAL, FAKE)]))
    return np.concatenate([order[first], np.delete(order, first)])


def train_draws(
    X: npt.ArrayLike,
    y: npt.ArrayLike,
    groups: Groups,
    plan: LearningPlan,
    *,
    model_factory: Callable[[int], Classifier],
) -> Iterator[TrainedDraw]:
    """Train a model on each draw and let it judge the measured rows; an event per model, in the plan's order.

    Parameters
    ----------
    X : [n, d] float32; y, groups : [n], as given to ``plan_draws``.
    model_factory : number of the draw -> an untrained model.
    """
    matrix = check_features(X)
    labels = check_labels(y, n=len(matrix))
    names = np.asarray(groups)
    measured = matrix[plan.measured]
    for task in plan.training:
        started_s = perf_counter()
        model = model_factory(task.draw).fit(matrix[task.rows], labels[task.rows], groups=names[task.rows])
        seconds = perf_counter() - started_s
        yield TrainedDraw(task.n_groups, task.draw, len(task.rows), model.predict_p_fake(measured), seconds)


def learning_curve(
    trained: Sequence[TrainedDraw],
    plan: LearningPlan,
    y: npt.ArrayLike,
    groups: Groups,
    videos: Groups,
    *,
    aggregate: Aggregation = "mean",
    n_boot: int = 1000,
    level: float = 0.95,
    seed: int,
) -> list[CurvePoint]:
    """Metrics against the number of training groups, frames and videos apart, with intervals.

    The bootstrap over measured groups gives the interval of the mean over the R draws; ``widened`` adds the spread of
    draws, s: t(R - 1) s sqrt(1 + 1 / R) for one more draw's value, t(R - 1) s sqrt(1 / R) for the mean gain. With few
    draws s is hardly known, which t answers for: intervals are then wide.

    Parameters
    ----------
    trained : what ``train_draws`` gave, complete.
    y, groups, videos : [n] labels, source groups and videos, as given to ``plan_draws``.

    Returns
    -------
    Points by level (frame, video), metric and size.
    """
    labels = check_labels(y)[plan.measured]
    codes, names = group_codes(np.asarray(groups)[plan.measured])
    of_video = np.asarray(videos)[plan.measured]
    weights = draw_groups(len(names), n_boot=n_boot, rng=np.random.default_rng(seed))
    per_class = groups_per_class(labels, codes)
    sizes = sorted({t.n_groups for t in trained})
    points = []
    for name in ("frame", "video"):
        measures = {
            size: [
                _Measured.of(name, t.p_fake, labels, codes, of_video, aggregate, weights)
                for t in trained
                if t.n_groups == size
            ]
            for size in sizes
        }
        for metric in CURVE_METRICS:
            before: _Replicates | None = None
            for size in sizes:
                now = _Replicates.of(metric, measures[size])
                n_items = float(np.mean([t.n_items for t in trained if t.n_groups == size]))
                n_measured = measures[size][0].n_items
                points.append(
                    _point(name, metric, size, now, before, n_items, per_class, len(names), n_measured, level=level)
                )
                before = now
    return points


@dataclass(frozen=True)
class _Measured:
    """One model's metrics on the groups as they are (float) and under each replicate (float64 [B])."""

    value: dict[str, float]
    drawn: dict[str, Float64Array]
    n_items: int

    @classmethod
    def of(
        cls,
        level: str,
        p_fake: Float64Array,
        y: IntArray,
        codes: IntArray,
        videos: npt.NDArray[np.object_],
        aggregate: Aggregation,
        weights: npt.NDArray[np.int64],
    ) -> _Measured:
        p, labels, group = p_fake, y, codes
        if level == "video":
            names, p = aggregate_p_fake(p_fake, videos, method=aggregate)
            first = {str(v): i for i, v in reversed(list(enumerate(videos)))}
            at = np.array([first[str(v)] for v in names])
            labels, group = y[at], codes[at]
        scores = Scores.of(labels, p, group)
        blocks = [scores.evaluate(weights[s : s + BOOT_BLOCK]) for s in range(0, len(weights), BOOT_BLOCK)]
        once = scores.evaluate(np.ones((1, weights.shape[1]), dtype=np.int64))
        return cls(
            {m: float(once[m][0]) for m in CURVE_METRICS},
            {m: np.concatenate([b[m] for b in blocks]) for m in CURVE_METRICS},
            len(labels),
        )


@dataclass(frozen=True)
class _Replicates:
    """One metric of all draws: values [R], and under each replicate [R, B]."""

    value: Float64Array
    drawn: Float64Array

    @classmethod
    def of(cls, metric: str, draws: Sequence[_Measured]) -> _Replicates:
        return cls(np.array([d.value[metric] for d in draws]), np.stack([d.drawn[metric] for d in draws]))

    def minus(self, other: _Replicates) -> _Replicates:
        """Difference, draw by draw; a single draw stands against every one of the other's."""
        return _Replicates(self.value - other.value, self.drawn - other.drawn)


def widened(
    values: Float64Array, low: float, high: float, *, one_more: bool, level: float = 0.95
) -> tuple[float, float]:
    """An interval [low, high] of the mean of ``values`` [R], widened by the spread between them.

    Distances from the mean add as squares (Zou and Donner 2008): that of the given end, which stands for the measured
    groups, and t(R - 1) s sqrt(1 / R), or s sqrt(1 + 1 / R) for ``one_more`` value beside these.
    """
    n = len(values)
    if n < 2:
        return low, high
    mean = float(values.mean())
    half = stdtrit(n - 1, (1 + level) / 2) * values.std(ddof=1) * np.sqrt(1 / n + one_more)
    return mean - float(np.hypot(max(mean - low, 0), half)), mean + float(np.hypot(max(high - mean, 0), half))


def _point(
    name: str,
    metric: str,
    size: int,
    now: _Replicates,
    before: _Replicates | None,
    n_items: float,
    per_class: tuple[int, int],
    n_measured_groups: int,
    n_measured: int,
    *,
    level: float,
) -> CurvePoint:
    highest = 1.0 if metric == "roc_auc" else np.inf
    low, high, _, reason = metric_interval(
        metric,
        float(now.value.mean()),
        now.drawn.mean(axis=0),
        n_groups=n_measured_groups,
        per_class=per_class,
        level=level,
    )
    low, high = widened(now.value, low, high, one_more=True, level=level)
    if len(now.value) == 1 and reason is None:
        reason = "one draw: the interval covers the measured groups, not the choice of training groups"
    gain = gain_low = gain_high = np.nan
    if before is not None:
        change = now.minus(before)
        gain = float(change.value.mean())
        gain_low, gain_high, _, _ = interval(change.drawn.mean(axis=0), n_groups=n_measured_groups, level=level)
        gain_low, gain_high = widened(change.value, gain_low, gain_high, one_more=False, level=level)
    return CurvePoint(
        level=name,
        metric=metric,
        n_groups=size,
        value=float(now.value.mean()),
        ci_low=float(np.clip(low, 0, highest)),
        ci_high=float(np.clip(high, 0, highest)),
        sd_draws=float(now.value.std(ddof=1)) if len(now.value) > 1 else np.nan,
        gain=gain,
        gain_low=gain_low,
        gain_high=gain_high,
        n_draws=len(now.value),
        n_items=n_items,
        n_groups_measured=n_measured_groups,
        n_items_measured=n_measured,
        reason=reason,
    )
