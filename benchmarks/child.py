"""A measurement in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import math
import multiprocessing
import resource
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, TypeVar

T = TypeVar("T")


def in_child(function: Callable[..., T], *arguments: Any) -> T:
    """What a function of a module returns in a new process.

    Raises
    ------
    RuntimeError
        The process died.
    """
    found = in_child_for(math.inf, function, *arguments)
    assert found is not None
    return found


def in_child_for(limit_s: float, function: Callable[..., T], *arguments: Any) -> T | None:
    """The same; None where it did not end in time, and was ended.

    Raises
    ------
    RuntimeError
        The process died.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_send, args=(theirs, function, arguments))
    process.start()
    theirs.close()  # so that a process that dies is noticed
    found: T | None = None
    try:
        if ours.poll(None if limit_s == math.inf else limit_s):
            found = ours.recv()
        else:
            process.terminate()
    except EOFError:
        process.join()
        raise RuntimeError(f"{function.__name__} ended with exit status {process.exitcode}") from None
    process.join()
    return found


def peak_mb() -> float:
    """Most memory this process ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _send(pipe: Connection, function: Callable[..., T], arguments: tuple[Any, ...]) -> None:
    pipe.send(function(*arguments))
