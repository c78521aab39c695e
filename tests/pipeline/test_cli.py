"""The command: exit statuses, and messages a person can act on."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import BENCHMARKS
from tests.conftest import REPOSITORY


def lf(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-m", "pipeline.cli", *args]
    return subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False, timeout=300)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project folder with the shipped settings, looking at an empty folder."""
    text = (REPOSITORY / "params.yaml").read_text()
    (tmp_path / "params.yaml").write_text(
        text.replace("source: sample ", "source: folder ").replace("pipeline/ingest/sample_data", "case")
    )
    (tmp_path / "case").mkdir()
    return tmp_path


def test_help_is_quick_because_it_imports_nothing_heavy(tmp_path: Path) -> None:
    heavy = ("torch", "sklearn", "pyarrow", "pandas")
    code = f"import sys; import pipeline.cli; print([m for m in {heavy} if m in sys.modules])"
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.strip() == "[]"
    assert "Invert faces into W+ codes" in lf("--help", cwd=tmp_path).stdout


def test_outside_a_project_it_says_where_to_go(tmp_path: Path) -> None:
    done = lf("videos", cwd=tmp_path)
    assert done.returncode == 1
    assert "run this in a folder that holds params.yaml" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_setting_is_exit_status_1_and_named(project: Path) -> None:
    with (project / "params.yaml").open("a") as file:
        file.write("colour: red\n")
    done = lf("videos", cwd=project)
    assert done.returncode == 1
    assert "colour: unknown key" in done.stderr


def test_an_empty_folder_is_exit_status_1_and_says_what_was_expected(project: Path) -> None:
    done = lf("videos", cwd=project)
    assert done.returncode == 1
    assert "real" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_stage_without_its_input_says_which_table_is_missing(project: Path) -> None:
    done = lf("split", cwd=project)
    assert done.returncode == 1
    assert "table 'faces' is not there" in done.stderr


def test_a_bug_is_exit_status_2_with_a_traceback_and_the_place_of_the_log(project: Path) -> None:
    code = (
        "import sys; from pipeline import cli, params\n"
        "def broken(path): raise RuntimeError('boom')\n"
        "params.load = broken; sys.argv = ['lf', 'videos']; cli.main()"
    )
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False, cwd=project
    )
    assert done.returncode == 2
    assert "RuntimeError: boom" in done.stderr
    assert "the log is in" in done.stderr


def test_doctor_tells_what_would_stop_the_run(project: Path) -> None:
    done = lf("doctor", cwd=project)
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if "MISSING" in line]
    assert len(lines) == 1, done.stdout
    assert "data" in lines[0]


def test_weights_are_listed_with_their_terms(tmp_path: Path) -> None:
    done = lf("weights", "list", cwd=tmp_path)
    assert done.returncode == 0
    assert "mobile-ffhq-1024" in done.stdout
    assert "non-commercial" in done.stdout


def test_a_benchmark_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = lf("bench", "speed", cwd=tmp_path)
    assert done.returncode == 1
    assert f"no benchmark 'speed'; there are: {', '.join(BENCHMARKS)}" in done.stderr


def test_a_benchmark_tells_what_can_be_set(tmp_path: Path) -> None:
    done = lf("bench", "pca", "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "uv run lf bench" in done.stdout


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        importlib.import_module(f"benchmarks.{BENCHMARKS[name]}").main(["--help"])
    assert f"uv run lf bench {name}" in capsys.readouterr().out
