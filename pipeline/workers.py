"""Running independent tasks: in this process by default, through Dask where the settings say so.

A task is a module-level function of one picklable argument that stores its own result (a shard), so a worker that
dies costs the task it was working on: Dask gives that task to another worker.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

from pipeline.cores import n_cores
from pipeline.errors import UserError

CONNECT_TIMEOUT_S = 20.0
#: A task is given up when this many workers have died on it.
DEATHS_ALLOWED = 3
#: Tasks handed out per thread: one under work, one waiting, so that a long list of faces is never in memory at once.
_HANDED_OUT_PER_THREAD = 2
#: Read before Dask sets it, for its children, in this process too.
_WANTED_THREADS = os.environ.get("OMP_NUM_THREADS")
T = TypeVar("T")
R = TypeVar("R")
log = logging.getLogger("latentforensics")


def run_tasks(
    task: Callable[[T], R],
    items: Iterable[T],
    *,
    n_workers: int,
    scheduler: str | None,
    on_death: Callable[[T, str], R] | None = None,
) -> Iterator[R]:
    """Yield results as they finish (in any order); items are taken as they are needed.

    Parameters
    ----------
    task
        Module-level function.
    items
        Its arguments.
    n_workers
        Processes of a local cluster; 1 runs in this process. Each process is pinned to one of the GPUs this process
        sees, in turn, and they share the cores.
    scheduler
        Address of a running Dask scheduler, which then is used instead. Its workers must see the same files.
    on_death
        Gives the result of an item whose workers died again and again, from the item and the reason.

    Raises
    ------
    UserError
        The scheduler does not answer; workers died again and again on an item and there is no `on_death`.
    """
    source = iter(items)
    first = list(islice(source, n_workers))  # no more processes than there is work for
    source = chain(first, source)
    if not first or (scheduler is None and len(first) == 1):
        yield from map(task, source)
        return
    from distributed import Client

    with ExitStack() as stack:
        target: Any = scheduler or stack.enter_context(_local_cluster(len(first)))
        try:
            client = stack.enter_context(Client(target, timeout=CONNECT_TIMEOUT_S))
        except (OSError, TimeoutError) as error:
            raise UserError(f"workers.scheduler: no Dask scheduler answers at {scheduler} ({error})") from error
        if not client.nthreads():
            log.warning("workers.scheduler: %s has no workers yet; waiting for the first", scheduler)
        client.forward_logging(log.name, level=logging.WARNING)
        stack.callback(client.unforward_logging, log.name)
        yield from _spread(client, task, source, on_death)


def _spread(
    client: Any, task: Callable[[T], R], items: Iterator[T], on_death: Callable[[T, str], R] | None
) -> Iterator[R]:
    from distributed import KilledWorker, as_completed

    under_work: dict[str, T] = {}
    finished = as_completed()
    _hand_out(client, task, items, finished, under_work)
    for future in finished:
        item = under_work.pop(future.key)
        try:
            result = future.result()
        except KilledWorker as error:
            n_deaths = error.allowed_failures + 1
            reason = f"the process working on it died {n_deaths} times, perhaps for want of memory"
            if on_death is None:
                raise UserError(f"workers: a task was given up: {reason}") from error
            result = on_death(item, reason)
        future.release()
        _hand_out(client, task, items, finished, under_work)
        yield result


def _hand_out(client: Any, task: Callable[[T], R], items: Iterator[T], finished: Any, under_work: dict[str, T]) -> None:
    """Give workers items until each thread has enough; workers may come and go."""
    n_wanted = _HANDED_OUT_PER_THREAD * max(1, sum(client.nthreads().values()))
    for item in islice(items, max(0, n_wanted - len(under_work))):
        future = client.submit(task, item, pure=False, retries=2)
        under_work[future.key] = item
        finished.add(future)


@contextmanager
def _local_cluster(n_workers: int) -> Iterator[Any]:
    """Worker processes on this machine, each with an environment of its own."""
    import dask
    from distributed import Nanny, Scheduler, SpecCluster
    from distributed.system import MEMORY_LIMIT

    host = {"host": "127.0.0.1", "dashboard": False, "dashboard_address": "127.0.0.1:0"}
    options = host | {"nthreads": 1, "memory_limit": MEMORY_LIMIT // n_workers, "silence_logs": logging.WARNING}
    environments = worker_environments(
        n_workers,
        n_cores=n_cores(),
        gpus=visible_gpus(),
        wanted_threads=_WANTED_THREADS,
    )
    memory = "distributed.worker.memory"
    settings = {
        "distributed.scheduler.allowed-failures": DEATHS_ALLOWED,
        # A worker holds no task but the one under work, so that its death is not held against others.
        "distributed.scheduler.worker-saturation": 1.0,
        # Results lie in files: there is nothing to spill, and a worker that is paused would never go on. One that takes
        # more than its share of the memory is still killed, before the machine swaps.
        **{f"{memory}.{name}": False for name in ("target", "spill", "pause")},
        # On a busy machine a worker needs a while to load torch and answers nobody meanwhile; without these it is given
        # up for that, at its start or after it was killed and started anew.
        "distributed.comm.timeouts.connect": "300s",
        "distributed.comm.timeouts.tcp": "600s",
        "distributed.deploy.lost-worker-timeout": "600s",
    }
    with dask.config.set(settings):
        cluster = SpecCluster(
            scheduler={"cls": Scheduler, "options": host | {"port": 0}},
            workers={
                index: {"cls": Nanny, "options": options | {"env": environment}}
                for index, environment in enumerate(environments)
            },
            silence_logs=logging.WARNING,
        )
        try:
            yield cluster
        finally:
            try:
                cluster.close()
            except TimeoutError:  # killed, but not gone yet; what they did is stored
                log.debug("workers were slow to end", exc_info=True)


def worker_environments(
    n_workers: int, *, n_cores: int, gpus: list[str], wanted_threads: str | None = None
) -> list[dict[str, str]]:
    """Environment variables of each local worker: its share of the cores, and one GPU where there are some.

    Parameters
    ----------
    n_workers
        Processes.
    n_cores
        Cores they share; each gets the same whole number of threads, at least one.
    gpus
        Names of the GPUs as ``CUDA_VISIBLE_DEVICES`` has them; dealt out in turn.
    wanted_threads
        Threads the user has asked for instead (``OMP_NUM_THREADS``).
    """
    threads = wanted_threads or str(max(1, n_cores // n_workers))
    shared = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), threads)
    return [shared | ({"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]} if gpus else {}) for index in range(n_workers)]


def visible_gpus() -> list[str]:
    """GPUs this process sees, named as ``CUDA_VISIBLE_DEVICES`` wants them."""
    import torch

    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()  # does not occupy the GPUs
    return named.split(",")[:count] if named else [str(index) for index in range(count)]


def at_most_one_per_gpu(n_workers: int, *, device: str) -> int:
    """How many local processes do work that fills a GPU: ``n_workers`` of them, but one per GPU on ``cuda``."""
    return min(n_workers, max(1, len(visible_gpus()))) if device == "cuda" else n_workers
