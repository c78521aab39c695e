"""Running independent tasks: in this process by default, through Dask where the settings say so.

A task is a module-level function of one picklable argument that stores its own result (a shard), so a worker that
dies costs the task it was working on: Dask gives that task to another worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from pipeline.errors import UserError

CONNECT_TIMEOUT_S = 20.0
T = TypeVar("T")
R = TypeVar("R")


def run_tasks(task: Callable[[T], R], items: Sequence[T], *, n_workers: int, scheduler: str | None) -> Iterator[R]:
    """Yield results as they finish (in any order).

    Parameters
    ----------
    task
        Module-level function.
    items
        Its arguments.
    n_workers
        Processes of a local cluster; 1 runs in this process.
    scheduler
        Address of a running Dask scheduler, which then is used instead. Its workers must see the same files.

    Raises
    ------
    UserError
        The scheduler does not answer.
    """
    if scheduler is None and (n_workers == 1 or len(items) <= 1):
        yield from map(task, items)
        return
    from distributed import Client, LocalCluster, as_completed

    with ExitStack() as stack:
        try:
            target: Any = scheduler or stack.enter_context(
                LocalCluster(
                    n_workers=min(n_workers, len(items)), threads_per_worker=1, processes=True, dashboard_address=None
                )
            )
            client = stack.enter_context(Client(target, timeout=CONNECT_TIMEOUT_S))
        except (OSError, TimeoutError) as error:
            raise UserError(f"workers.scheduler: no Dask scheduler answers at {scheduler} ({error})") from error
        futures = client.map(task, items, pure=False, retries=2)
        for future in as_completed(futures):
            yield future.result()
            future.release()
