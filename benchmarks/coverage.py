"""How often 95 % intervals hold the truth: simulated grouped data whose true metrics are known.

In the worlds "paired" every group has a real and one or two fake videos, in the worlds "single" each video is a group
of its own, "uneven" with one real to five fakes; "near 1" puts the classes far apart and "chance" not at all. A video
has 1 to 5 frames; a frame's score adds its class, an effect of its group, one of its video and noise. The truth comes
from a population of many groups.

Beside the product's interval stand the expanded percentile one without imagined observations, the plain percentile
bootstrap, the basic and BCa ones on the same draws, and Student's t with the jackknife's error on the metric and
(shares) on its logit. 92 to 98 % is what an interval should reach.

uv run lf bench coverage --studies 1000
uv run lf bench coverage --studies 400 --worlds "single near 1" --groups 20 40 --methods product expanded
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri, stdtrit

from classifiers.bootstrap import BOUNDED, draw_groups, groups_per_class, interval, metric_interval
from classifiers.metrics import Scores

GROUPS = (10, 20, 50, 200)
METRICS = ("roc_auc", "accuracy", "balanced_accuracy", "average_precision", "log_loss", "brier", "ece")
N_POPULATION = 40_000
LEVEL = 0.95
Interval = tuple[float, float]


@dataclass(frozen=True)
class World:
    """How scores come about, in logits: distance of the classes and deviations of groups, videos and frames.

    ``share_real``: share of groups that hold reals alone, all others fakes alone; None: every group holds both.
    """

    shift: float = 1.6
    group: float = 0.5
    video: float = 0.8
    frame: float = 0.6
    share_real: float | None = None


WORLDS = {
    "paired": World(),
    "paired near 1": World(shift=4.0),
    "paired chance": World(shift=0.0),
    "single": World(share_real=1 / 2),
    "single near 1": World(shift=3.2, share_real=1 / 2),
    "single uneven": World(share_real=1 / 6),
}


@dataclass(frozen=True)
class Study:
    """One metric of one simulated study: its value, under draws of the groups, and without each group in turn."""

    metric: str
    value: float
    draws: np.ndarray  # [B]
    left_out: np.ndarray  # [G]
    per_class: tuple[int, int]

    @property
    def n_groups(self) -> int:
        """Groups of the study."""
        return len(self.left_out)


def sample(n_groups: int, rng: np.random.Generator, world: World) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels, P(fake) and group numbers of the frames of ``n_groups`` groups."""
    if world.share_real is None:
        fakes = rng.integers(1, 3, n_groups)
        of_video = np.concatenate([np.arange(n_groups), np.repeat(np.arange(n_groups), fakes)])
        label = np.concatenate([np.zeros(n_groups, dtype=np.int64), np.ones(fakes.sum(), dtype=np.int64)])
    else:
        of_video = np.arange(n_groups)
        label = (of_video >= round(world.share_real * n_groups)).astype(np.int64)
    effect = world.shift * (label - 0.5) + world.video * rng.normal(size=len(label))
    effect += world.group * rng.normal(size=n_groups)[of_video]
    of_frame = np.repeat(np.arange(len(label)), rng.integers(1, 6, len(label)))
    p_fake = expit(effect[of_frame] + world.frame * rng.normal(size=len(of_frame)))
    return label[of_frame], p_fake, of_video[of_frame]


def truth(world: World, *, seed: int) -> dict[str, float]:
    """Metrics of a whole population."""
    y, p_fake, codes = sample(N_POPULATION, np.random.default_rng(seed), world)
    found = Scores.of(y, p_fake, codes).evaluate(np.ones((1, N_POPULATION), dtype=np.int64))
    return {metric: float(found[metric][0]) for metric in METRICS}


def studies(n_groups: int, rng: np.random.Generator, world: World, *, n_boot: int) -> list[Study]:
    """Every metric of one simulated study."""
    y, p_fake, codes = sample(n_groups, rng, world)
    scores = Scores.of(y, p_fake, codes)
    ones = np.ones((1, n_groups), dtype=np.int64)
    whole, without = scores.evaluate(ones), scores.evaluate(ones - np.eye(n_groups, dtype=np.int64))
    draws = scores.evaluate(draw_groups(n_groups, n_boot=n_boot, rng=rng))
    per_class = groups_per_class(y, codes)
    return [Study(m, float(whole[m][0]), draws[m], without[m], per_class) for m in METRICS]


def product(study: Study) -> Interval:
    """The interval of the tables: expanded percentile, with imagined observations for metrics in [0, 1]."""
    found = metric_interval(
        study.metric, study.value, study.draws, n_groups=study.n_groups, per_class=study.per_class, level=LEVEL
    )
    return found[:2]


def expanded(study: Study) -> Interval:
    """Expanded percentile as it is (Hesterberg 2015)."""
    return interval(study.draws, n_groups=study.n_groups, level=LEVEL)[:2]


def percentile(study: Study) -> Interval:
    """Efron's percentile bootstrap."""
    low, high = np.nanquantile(study.draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def basic(study: Study) -> Interval:
    """The percentile interval mirrored at the value."""
    low, high = percentile(study)
    return 2 * study.value - high, 2 * study.value - low


def bca(study: Study) -> Interval:
    """Bias-corrected and accelerated (Efron 1987)."""
    n_below = (study.draws < study.value).sum() + (study.draws == study.value).sum() / 2
    bias = float(ndtri(np.clip(n_below / len(study.draws), 1e-3, 1 - 1e-3)))
    gaps = study.left_out.mean() - study.left_out
    spread = float((gaps**2).sum())
    acceleration = float((gaps**3).sum()) / (6 * spread**1.5) if spread else 0.0
    z = bias + ndtri([(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    low, high = np.nanquantile(study.draws, ndtr(bias + z / (1 - acceleration * z)))
    return float(low), float(high)


def jackknife_t(study: Study) -> Interval:
    """Student's t with the error of the delete-one-group jackknife."""
    half = stdtrit(study.n_groups - 1, (1 + LEVEL) / 2) * _jackknife_error(study.left_out)
    return study.value - half, study.value + half


def logit_t(study: Study) -> Interval:
    """The same on the logit of shares, mapped back; other metrics as they are."""
    if study.metric not in BOUNDED or not 0 < study.value < 1:
        return jackknife_t(study)
    half = stdtrit(study.n_groups - 1, (1 + LEVEL) / 2) * _jackknife_error(
        logit(np.clip(study.left_out, 1e-6, 1 - 1e-6))
    )
    return float(expit(logit(study.value) - half)), float(expit(logit(study.value) + half))


def _jackknife_error(left_out: np.ndarray) -> float:
    n = len(left_out)
    return float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))


METHODS: dict[str, Callable[[Study], Interval]] = {
    "product": product,
    "expanded": expanded,
    "percentile": percentile,
    "basic": basic,
    "BCa": bca,
    "jackknife t": jackknife_t,
    "logit t": logit_t,
}


def measure(
    n_groups: int,
    *,
    n_studies: int,
    n_boot: int,
    seed: int,
    world: World | None = None,
    methods: Sequence[str] = tuple(METHODS),
) -> dict[tuple[str, str], float]:
    """Share of ``n_studies`` studies whose interval holds the truth, by method and metric."""
    world = world or World()
    known = truth(world, seed=seed + 1)
    rng = np.random.default_rng([seed, n_groups])
    held = {(method, metric): 0 for method in methods for metric in METRICS}
    for _ in range(n_studies):
        for study in studies(n_groups, rng, world, n_boot=n_boot):
            for method in methods:
                low, high = METHODS[method](study)
                held[method, study.metric] += low <= known[study.metric] <= high
    return {key: n / n_studies for key, n in held.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line per world, number of groups and method."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--groups", type=int, nargs="+", default=GROUPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worlds", nargs="+", choices=tuple(WORLDS), default=tuple(WORLDS))
    parser.add_argument("--methods", nargs="+", choices=tuple(METHODS), default=tuple(METHODS))
    asked = parser.parse_args(arguments)
    error = np.sqrt(0.05 * 0.95 / asked.studies)
    print(f"share of {asked.studies} studies whose 95 % interval holds the truth (deviation of a share: {error:.3f})")
    for name in asked.worlds:
        known = truth(WORLDS[name], seed=asked.seed + 1)
        print(f"\n{name}; truth: " + ", ".join(f"{m} {v:.3f}" for m, v in known.items()))
        print(f"{'groups':>7} {'interval':<12}" + "".join(f"{m:>18}" for m in METRICS))
        for n_groups in asked.groups:
            started_s = time.perf_counter()
            shares = measure(
                n_groups,
                n_studies=asked.studies,
                n_boot=asked.draws,
                seed=asked.seed,
                world=WORLDS[name],
                methods=asked.methods,
            )
            for method in asked.methods:
                print(f"{n_groups:7} {method:<12}" + "".join(f"{shares[method, m]:>18.3f}" for m in METRICS))
            print(f"{'':7} {time.perf_counter() - started_s:.0f} s", flush=True)


if __name__ == "__main__":
    main()
