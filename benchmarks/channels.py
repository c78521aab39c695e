"""How much each W+ channel tells on labelled face crops: LatentForensics' figure 5, with its null.

    uv run lf bench channels --crops FOLDER --cache FOLDER --models rf mlp5 --figures FOLDER

FOLDER and cache are those of `lf bench spaces`; codes are the encoder's, no search. A classifier is trained on each
channel alone and on the parts (coarse, middle, fine), by grouped cross-validation, over several seeds; the null is the
same with labels shuffled between source groups' items. Then a forest on all channels, whose channels are permuted.
FRAME level.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from benchmarks import machine
from benchmarks.spaces import read_labels, vectors
from classifiers.importance import ImportanceMetric, ImportanceRow, ImportanceSettings, channel_importance
from classifiers.importance_joint import permutation_importance
from classifiers.models import MODEL_NAMES, PROFILE_NAMES
from pipeline import channel_parts, channel_rows
from pipeline.progress import bar
from pipeline.report.plots import importance_figure

N_CHANNELS = 16
METRIC: ImportanceMetric = "balanced_accuracy"


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, train, print a line per channel and part, draw."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--figures", type=Path)
    parser.add_argument("--models", nargs="+", default=["rf", "mlp5"], choices=MODEL_NAMES)
    parser.add_argument("--profile", default="quick", choices=PROFILE_NAMES)
    parser.add_argument("--n-trees", type=int, default=100)
    parser.add_argument("--n-folds", type=int, default=3)
    parser.add_argument("--n-repeats", type=int, default=2)
    parser.add_argument("--n-permutations", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    crops = read_labels(asked.crops)
    asked.cache.mkdir(parents=True, exist_ok=True)
    print(machine.facts())
    X = vectors("wplus", crops, asked.cache)
    codes = X.reshape(len(X), N_CHANNELS, -1)
    parts = channel_parts.parts(N_CHANNELS)
    wanted = [*([c] for c in range(N_CHANNELS)), *parts.values()]
    base = ImportanceSettings(
        metric=METRIC,
        profile=asked.profile,
        n_trees=asked.n_trees,
        n_folds=asked.n_folds,
        n_repeats=asked.n_repeats,
        seed=asked.seed,
        n_jobs=-1,
    )
    alone: dict[str, list[ImportanceRow]] = {}
    for model in asked.models:
        started_s = time.perf_counter()
        found = channel_importance(
            codes, crops.y, crops.groups.tolist(), settings=replace(base, model=model), parts=wanted
        )
        rows = list(bar(found, total=len(wanted), what=model, unit="channel"))
        _print(f"{model}, {asked.profile}, each channel alone, {METRIC}", rows, parts, time.perf_counter() - started_s)
        alone[f"{model}-alone-{METRIC}"] = rows[:N_CHANNELS]
    if asked.n_permutations:
        started_s = time.perf_counter()
        rows = permutation_importance(
            codes,
            crops.y,
            crops.groups.tolist(),
            parts=wanted,
            n_permutations=asked.n_permutations,
            settings=replace(base, metric="roc_auc", n_boot=200),
        )
        _print("rf on all channels, loss of roc_auc when permuted", rows, parts, time.perf_counter() - started_s)
        alone["rf-permuted-roc_auc"] = rows[:N_CHANNELS]
    for row in channel_rows.agreement_rows(alone, n_groups=len(set(crops.groups.tolist()))):
        other = row["second"] if row["kind"] == "methods" else row["kind"]
        interval = f"[{row['ci_low']:.2f}, {row['ci_high']:.2f}]" if row["ci_low"] is not None else row["reason"]
        print(f"ranking by {row['first']} against {other}: Spearman {row['spearman']} {interval}")
    if asked.figures:
        asked.figures.mkdir(parents=True, exist_ok=True)
        table = pd.DataFrame(channel_rows.channel_rows(alone))
        for method, rows_of_it in table.groupby("method"):
            importance_figure(rows_of_it).savefig(asked.figures / f"channels-{method}.png", dpi=110)


def _print(title: str, rows: Sequence[ImportanceRow], parts: dict[str, list[int]], seconds: float) -> None:
    print(f"{title}; {rows[0].n_repeats} repeats, {seconds:.0f} s")
    names = [*map(str, range(N_CHANNELS)), *parts]
    for name, row in zip(names, rows, strict=True):
        null = "" if pd.isna(row.null_value) else f"  shuffled {row.null_value:.3f}"
        print(f"{name:>8}  {row.value:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]{null}", flush=True)


if __name__ == "__main__":
    main()
