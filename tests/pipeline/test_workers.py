"""Work spread over processes gives what one process gives, and survives a dying worker."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pipeline import workers
from pipeline.errors import UserError
from pipeline.workers import run_tasks


def double(n: int) -> int:
    return 2 * n


def die_once(marker: Path) -> str:
    """Kill the worker the first time, succeed the second."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker.name


def test_one_process_keeps_the_order() -> None:
    assert list(run_tasks(double, [1, 2, 3], n_workers=1, scheduler=None)) == [2, 4, 6]


def test_dask_processes_give_the_same_and_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    markers = [tmp_path / str(i) for i in range(3)]
    for marker in markers[1:]:
        marker.touch()
    assert sorted(run_tasks(die_once, markers, n_workers=2, scheduler=None)) == ["0", "1", "2"]


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CONNECT_TIMEOUT_S", 1.0)
    with pytest.raises(UserError, match=r"tcp://127\.0\.0\.1:9"):
        list(run_tasks(double, [1, 2], n_workers=1, scheduler="tcp://127.0.0.1:9"))
