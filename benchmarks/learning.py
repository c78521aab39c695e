"""Learning curves of labelled face crops: frame-level ROC-AUC and log-loss against the source groups trained on.

    uv run lf bench learning --crops FOLDER --cache FOLDER --spaces stages wplus vqvae

FOLDER, cache and names of spaces are those of `lf bench spaces`. The same groups are measured throughout and never
train; intervals are for one draw of training groups, over the draw and the measured groups. `--given N` puts N further
groups aside, trains a model on them, and draws a second curve of models that start from it (`train.warm_start`).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks import machine
from benchmarks.spaces import MAKERS, Crops, Vectors, read_labels, vectors
from classifiers.learning import CurvePoint, LearningSettings, learning_curve, plan_draws, train_draws
from classifiers.models import MODEL_NAMES, PROFILE_NAMES, make_model
from classifiers.protocol import Classifier
from classifiers.warm_start import warm_started
from pipeline.progress import bar


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, draw the curves, print a line per size."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--spaces", nargs="+", default=["stages", "wplus", "vqvae"])
    parser.add_argument("--model", default="logistic", choices=MODEL_NAMES)
    parser.add_argument("--profile", default="quick", choices=PROFILE_NAMES)
    parser.add_argument("--sizes", nargs="+", type=int, default=[10, 20, 50, 100, 200, 500, 1000])
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--held-out", type=float, default=0.33)
    parser.add_argument("--given", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    if unknown := {p for s in asked.spaces for p in s.split("+")} - set(MAKERS):
        parser.error(f"unknown space {', '.join(sorted(unknown))}; there are: {', '.join(MAKERS)}")
    crops = read_labels(asked.crops)
    asked.cache.mkdir(parents=True, exist_ok=True)
    print(machine.facts())
    print(f"{len(crops.y)} crops, {len(set(crops.groups.tolist()))} source groups; {asked.model}, {asked.profile}")
    for space in asked.spaces:
        parts = [vectors(part, crops, asked.cache) for part in space.split("+")]
        blocks = tuple(part.shape[1] for part in parts) if len(parts) > 1 else ()
        _curves(space, crops, np.concatenate(parts, axis=1), blocks, asked)


def _curves(space: str, crops: Crops, X: Vectors, blocks: tuple[int, ...], asked: argparse.Namespace) -> None:
    """The curve from nothing and, where groups are given away, the one from their model."""

    def cold(draw: int) -> Classifier:
        return make_model(asked.model, profile=asked.profile, seed=asked.seed + draw, n_jobs=-1, blocks=blocks)

    rng = np.random.default_rng(asked.seed)
    away = np.isin(crops.groups, rng.permutation(np.unique(crops.groups))[: asked.given])
    X_in, y, groups = X[~away], crops.y[~away], crops.groups[~away]
    _print(f"{space}, from nothing", _points(X_in, y, groups, cold, asked))
    if asked.given:
        given = cold(0).fit(X[away], crops.y[away], groups=crops.groups[away])
        warm = _points(X_in, y, groups, lambda draw: warm_started(cold(draw), given), asked)
        _print(f"{space}, from a model of {asked.given} other groups", warm)


def _points(
    X: Vectors, y: np.ndarray, groups: np.ndarray, factory: Callable[[int], Classifier], asked: argparse.Namespace
) -> list[CurvePoint]:
    """Frame-level points of one curve."""
    settings = LearningSettings(
        sizes=tuple(asked.sizes), n_draws=asked.draws, share_held_out=asked.held_out, seed=asked.seed
    )
    plan = plan_draws(y, groups, settings=settings)
    events = train_draws(X, y, groups, plan, model_factory=factory)
    trained = list(bar(events, total=len(plan.training), what="draws", unit="model"))
    videos = np.arange(len(y)).astype(str)  # a crop is a video here
    return [p for p in learning_curve(trained, plan, y, groups, videos, seed=asked.seed) if p.level == "frame"]


def _print(title: str, points: Sequence[CurvePoint]) -> None:
    auc, loss = ([p for p in points if p.metric == m] for m in ("roc_auc", "log_loss"))
    print(f"{title}: measured on {auc[0].n_groups_measured} groups, {auc[0].n_items_measured} frames")
    print(f"{'groups':>8}{'draws':>7}{'frames':>8}{'roc_auc':>25}{'gain':>26}{'log_loss':>25}")
    for a, b in zip(auc, loss, strict=True):
        value, other = (f"{p.value:.3f} [{p.ci_low:.3f}, {p.ci_high:.3f}]" for p in (a, b))
        gain = "" if np.isnan(a.gain) else f"{a.gain:+.3f} [{a.gain_low:+.3f}, {a.gain_high:+.3f}]"
        print(f"{a.n_groups:>8}{a.n_draws:>7}{a.n_items:>8.0f}{value:>25}{gain:>26}{other:>25}", flush=True)


if __name__ == "__main__":
    main()
