"""Seconds and peak memory of training, beside the size of the matrix: each classifier in a process of its own.

    uv run lf bench train                           4,000 faces of 9,216 numbers, every classifier
    uv run lf bench train --rows 15000 --models rf svm_linear

Rows are random with a weak signal, so that nothing separates at once; groups hold six rows, a third of them real. What
is timed is one fold of a five-fold cross-validation: training on four fifths, and judging the rest.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np

from benchmarks import machine
from benchmarks.child import in_child, peak_mb

N_ROWS, N_COLUMNS, N_FOLDS = 4_000, 9_216, 5
ROWS_PER_GROUP = 6
SIGNAL = 0.05  # shift of a hundredth of the features, in standard deviations
SEED = 0


def material(n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors float32 [n, d], labels [n] and groups [n]."""
    rng = np.random.default_rng(SEED)
    X = rng.standard_normal((n, d), dtype=np.float32)
    group = np.arange(n) // ROWS_PER_GROUP
    y = (np.arange(n) % ROWS_PER_GROUP >= ROWS_PER_GROUP // 3).astype(np.int64)
    X[y == 1, : max(1, d // 100)] += np.float32(SIGNAL)
    return X, y, group


def measure(name: str, profile: str, n: int, d: int) -> tuple[float, float, float]:
    """Seconds, seconds of processor time, and memory beyond that of the matrix in MB."""
    from classifiers.crossval import cross_validate
    from classifiers.models import model_factory

    X, y, group = material(n, d)
    factory = model_factory(name, profile=profile, seed=SEED)
    few = np.r_[: 20 * ROWS_PER_GROUP]
    halves = group[few] % 2
    # Imports, thread pools and a first small fit are not what is measured.
    next(iter(cross_validate(X[few, :200], y[few], group[few], halves, model_factory=factory)))
    before_mb = peak_mb()
    folds = group % N_FOLDS
    started_s, cpu_s = time.perf_counter(), time.process_time()
    next(iter(cross_validate(X, y, group, folds, model_factory=factory)))
    seconds, cpu_s = time.perf_counter() - started_s, time.process_time() - cpu_s
    return seconds, cpu_s, peak_mb() - before_mb


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every classifier once, print one line each."""
    from classifiers.models import MODEL_NAMES, PROFILE_NAMES

    parser = argparse.ArgumentParser(
        prog="lf bench train", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=N_ROWS)
    parser.add_argument("--columns", type=int, default=N_COLUMNS)
    parser.add_argument("--models", nargs="+", choices=MODEL_NAMES, default=MODEL_NAMES)
    parser.add_argument("--profile", choices=PROFILE_NAMES, default="quick")
    asked = parser.parse_args(arguments)
    size_mb = asked.rows * asked.columns * 4 / 1e6
    print(machine.facts())
    print(f"{asked.rows} x {asked.columns} float32: {size_mb:.0f} MB; profile {asked.profile}; one of {N_FOLDS} folds")
    print(f"{'model':<11}{'seconds':>9}{'CPU s':>9}{'MB more':>9}{'matrices':>10}")
    for name in asked.models:
        seconds, cpu_s, extra_mb = in_child(measure, name, asked.profile, asked.rows, asked.columns)
        print(f"{name:<11}{seconds:>9.1f}{cpu_s:>9.1f}{extra_mb:>9.0f}{extra_mb / size_mb:>10.2f}", flush=True)


if __name__ == "__main__":
    main()
