"""What calibration gains or loses by number of source groups: log-loss of simulated out-of-fold answers.

Scores of `benchmarks/coverage.py` whose logits are made too timid (divided) or too bold (multiplied); five grouped
folds, each calibrated by the others. Printed is the mean class-balanced log-loss over studies; ``none`` is to beat.

uv run lf bench calibration
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np
from scipy.special import expit, logit

from benchmarks.coverage import World, sample
from classifiers import calibrate
from classifiers.metrics import item_log_loss

GROUPS = (10, 15, 20, 30, 50, 100, 300)
BOLDNESS = (0.25, 1.0, 3.0)
N_FOLDS = 5


def losses(n_groups: int, bold: float, rng: np.random.Generator) -> dict[str, float]:
    """Class-balanced log-loss of one study by method, whatever number of groups the product asks for."""
    y, p, codes = sample(n_groups, rng, World())
    p = expit(bold * logit(p))
    fold = rng.permutation(n_groups)[codes] % N_FOLDS
    out = {"none": p}
    for method in ("platt", "isotonic"):
        out[method] = calibrate.out_of_fold(p, y, codes, fold, method=method).p_fake
    return {name: float(np.mean([item_log_loss(y, q)[y == c].mean() for c in (0, 1)])) for name, q in out.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one line per number of groups and boldness."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=200)
    asked = parser.parse_args(arguments)
    rng = np.random.default_rng(0)
    calibrate.MIN_GROUPS.update(platt=2, isotonic=2)  # to see what the product's bounds keep out
    print(f"{'groups':>7} {'logits x':>9}" + "".join(f"{m:>10}" for m in ("none", "platt", "isotonic")))
    for bold in BOLDNESS:
        for n_groups in GROUPS:
            found = [losses(n_groups, bold, rng) for _ in range(asked.studies)]
            means = {m: np.mean([f[m] for f in found]) for m in found[0]}
            print(f"{n_groups:7} {bold:9}" + "".join(f"{v:>10.3f}" for v in means.values()), flush=True)


if __name__ == "__main__":
    main()
