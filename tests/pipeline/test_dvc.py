"""dvc.yaml says what is true: each stage's code, settings and input tables."""

from __future__ import annotations

import importlib
from functools import lru_cache
from pathlib import Path

import grimp
import pytest
import yaml

from pipeline.cli import STAGES
from pipeline.params import EXECUTION_ONLY
from pipeline.paths import Paths
from tests.conftest import REPOSITORY

PACKAGES = ("pipeline", "inversion", "embeddings", "classifiers")


@lru_cache(maxsize=1)
def dvc() -> dict:
    return yaml.safe_load((REPOSITORY / "dvc.yaml").read_text())


@lru_cache(maxsize=1)
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES)


def source_of(module: str) -> Path:
    path = REPOSITORY / module.replace(".", "/")
    return (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).relative_to(REPOSITORY)


@pytest.mark.parametrize("stage", STAGES)
def test_deps_cover_all_code_the_stage_imports(stage: str) -> None:
    module = STAGES[stage][0]
    imported = {source_of(m) for m in graph().find_upstream_modules(module) | {module}}
    deps = [Path(d) for d in dvc()["stages"][stage]["deps"]]
    uncovered = sorted(str(f) for f in imported if not any(d == f or d in f.parents for d in deps))
    assert not uncovered


@pytest.mark.parametrize("stage", STAGES)
def test_deps_name_no_code_the_stage_does_not_import(stage: str) -> None:
    module = STAGES[stage][0]
    imported = {source_of(m) for m in graph().find_upstream_modules(module) | {module}}
    code = [Path(d) for d in dvc()["stages"][stage]["deps"] if d.split("/")[0] in PACKAGES]
    idle = [str(d) for d in code if not any(d == f or d in f.parents for f in imported)]
    assert not idle


@pytest.mark.parametrize("stage", STAGES)
def test_params_are_the_ones_the_stage_may_read(stage: str) -> None:
    declared = importlib.import_module(STAGES[stage][0]).STAGE.sections
    assert set(dvc()["stages"][stage].get("params", [])) == set(declared) - EXECUTION_ONLY


@pytest.mark.parametrize("stage", STAGES)
def test_input_tables_are_deps(stage: str) -> None:
    inputs = importlib.import_module(STAGES[stage][0]).STAGE.inputs
    deps = set(dvc()["stages"][stage]["deps"])
    assert {str(Paths().table(name)) for name in inputs} <= deps


def test_every_stage_of_the_command_line_is_a_dvc_stage_and_runs_it() -> None:
    assert {name: stage["cmd"] for name, stage in dvc()["stages"].items()} == {name: f"lf {name}" for name in STAGES}
