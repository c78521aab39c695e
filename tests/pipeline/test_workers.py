"""Work spread over processes gives what one process gives, and survives a dying worker."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import workers
from pipeline.errors import UserError
from pipeline.workers import run_tasks, worker_environments


def double(n: int) -> int:
    return 2 * n


def die_once(marker: Path) -> str:
    """Kill the worker the first time, succeed the second."""
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return marker.name


def die_or_double(n: int) -> int:
    """Kill the worker on 0, each time."""
    if n == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * n


def environment(_: int) -> tuple[str | None, str | None]:
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("CUDA_VISIBLE_DEVICES")


def test_one_process_keeps_the_order() -> None:
    assert list(run_tasks(double, [1, 2, 3], n_workers=1, scheduler=None)) == [2, 4, 6]


def test_dask_processes_give_the_same_and_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    markers = [tmp_path / str(i) for i in range(3)]
    for marker in markers[1:]:
        marker.touch()
    assert sorted(run_tasks(die_once, markers, n_workers=2, scheduler=None)) == ["0", "1", "2"]


def test_a_task_that_kills_every_worker_is_given_up_and_costs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "DEATHS_ALLOWED", 1)
    reasons: list[str] = []

    def give_up(item: int, reason: str) -> int:
        reasons.append(f"{item}: {reason}")
        return -1

    found = run_tasks(die_or_double, [0, 1, 2, 3], n_workers=2, scheduler=None, on_death=give_up)
    assert sorted(found) == [-1, 2, 4, 6]
    assert reasons == ["0: the process working on it died 2 times, perhaps for want of memory"]


def test_items_are_taken_only_as_workers_become_free() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(40):
            taken.append(n)
            yield n

    results = run_tasks(double, items(), n_workers=2, scheduler=None)
    first = next(results)
    assert len(taken) < 20, "a long list is never in memory at once"
    assert sorted([first, *results]) == [2 * n for n in range(40)]


def test_local_workers_share_the_cores_and_take_a_gpu_each_in_turn() -> None:
    threads = [e["OMP_NUM_THREADS"] for e in worker_environments(3, n_cores=8, gpus=[])]
    assert threads == ["2", "2", "2"]
    assert worker_environments(4, n_cores=2, gpus=[])[0]["OMP_NUM_THREADS"] == "1"
    assert worker_environments(2, n_cores=8, gpus=[], wanted_threads="3")[1]["OMP_NUM_THREADS"] == "3"
    pinned = [e["CUDA_VISIBLE_DEVICES"] for e in worker_environments(3, n_cores=8, gpus=["2", "5"])]
    assert pinned == ["2", "5", "2"]
    assert "CUDA_VISIBLE_DEVICES" not in worker_environments(1, n_cores=1, gpus=[])[0]


def test_local_workers_get_their_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_WANTED_THREADS", None)
    monkeypatch.setattr(workers, "visible_gpus", lambda: ["7"])
    cores = len(os.sched_getaffinity(0))
    assert set(run_tasks(environment, [0, 1], n_workers=2, scheduler=None)) == {(str(max(1, cores // 2)), "7")}


@pytest.mark.parametrize(
    ("named", "count", "expected"),
    [(None, 2, ["0", "1"]), ("2,5", 2, ["2", "5"]), ("2,5", 1, ["2"]), ("", 0, []), (None, 0, [])],
)
def test_gpus_keep_the_names_the_user_gave_them(
    monkeypatch: pytest.MonkeyPatch, named: str | None, count: int, expected: list[str]
) -> None:
    import torch  # here, for each worker process of the other tests imports this module

    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    if named is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert workers.visible_gpus() == expected
    assert workers.at_most_one_per_gpu(4, device="cuda") == max(1, len(expected))
    assert workers.at_most_one_per_gpu(4, device="cpu") == 4


def test_a_scheduler_that_runs_already_does_the_work() -> None:
    from distributed import LocalCluster

    options = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(**options) as cluster:
        address = cluster.scheduler_address
        assert sorted(run_tasks(double, [1, 2, 3], n_workers=1, scheduler=address)) == [2, 4, 6]


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "CONNECT_TIMEOUT_S", 1.0)
    with pytest.raises(UserError, match=r"tcp://127\.0\.0\.1:9"):
        list(run_tasks(double, [1, 2], n_workers=1, scheduler="tcp://127.0.0.1:9"))
