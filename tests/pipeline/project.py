"""A small project in a folder of its own: a few clips of the sample set, every stage, little effort."""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from pipeline import params
from pipeline.cli import STAGES
from pipeline.paths import Paths
from tests.conftest import REPOSITORY

SAMPLE = REPOSITORY / "pipeline" / "ingest" / "sample_data"

SMALL: dict[str, Any] = {
    "data": {"source": "folder", "root": "case"},
    "split.fractions": [0.5, 0.5, 0.0],
    "split.n_folds": 2,
    "split.leaks": "warn",  # the clips lie in real/ and fake/ without a word on which belong together
    "slices.n_boot": 100,
    "invert.batch_size": 2,
    "invert.quick": {"effort": "fast", "steps": 1},
    "train.models": ["logistic", "rf"],
    "evaluate.n_boot": 100,
    "importance.quick.n_trees": 5,
    "importance.quick.n_repeats": 1,
    "importance.quick.n_permutations": 1,
    "map": {
        "methods": ["pca"],
        "dims": [2, 3],
        "pca_dims": 5,
        "pca_method": "auto",
        "perplexity": 2,
        "exaggeration": 1,
        "start": "pca",
        "n_neighbors": 2,
        "min_dist": 0.1,
    },
    "cluster.min_cluster_size": 2,
    "cluster.quick": {"min_cluster_sizes": [3], "min_samples": [None], "n_draws": 2, "max_faces": 1000},
    "about.n_shuffles": 400,
    "about.quick": {"n_mean_faces": 1, "n_walks": 0, "n_channel_shuffles": 20},
}


def make(
    folder: Path, *, people: Sequence[int], kinds: Sequence[str] = ("real", "self_blend"), **changes: Any
) -> Paths:
    """Copy clips of some people of the sample set into ``case/real`` and ``case/fake`` and write small settings."""
    for person in people:
        for kind in kinds:
            side = folder / "case" / ("real" if kind == "real" else "fake")
            side.mkdir(parents=True, exist_ok=True)
            name = f"person{person:02d}_{kind}.mp4"
            shutil.copy(SAMPLE / name, side / name)
    write_params(folder, SMALL | changes)
    return Paths(folder)


def write_params(folder: Path, changes: Mapping[str, Any]) -> None:
    """The shipped settings with some changed; keys may be dotted."""
    settings = yaml.safe_load((REPOSITORY / "params.yaml").read_text())
    for key, value in changes.items():
        place = settings
        *sections, last = key.split(".")
        for section in sections:
            place = place[section]
        place[last] = value
    (folder / "params.yaml").write_text(yaml.safe_dump(settings))


def run(paths: Paths, *stages: str) -> None:
    """Run stages in this process (all of them by default)."""
    settings = params.load(paths.params)
    for stage in stages or STAGES:
        importlib.import_module(STAGES[stage][0]).run(settings, paths)
