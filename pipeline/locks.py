"""One writer at a time, whichever process it is in: two dashboards and a command may look after one project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.paths import Paths

WAIT_S = 30.0


@contextmanager
def alone(paths: Paths, what: str, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Hold the project's lock named ``what`` (``work/WHAT.lock``); the system frees it where its holder is killed.

    Raises
    ------
    UserError
        Another process or thread held it for ``wait_s`` seconds, or its file cannot be written.
    """
    file = paths.root / "work" / f"{what}.lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=wait_s)
        lock.acquire()
    except Timeout as error:
        raise UserError(f"another process has been writing {what} for {wait_s:g} s: try again") from error
    except OSError as error:
        raise UserError(f"{file} cannot be written: {(error.strerror or str(error)).lower()}") from error
    try:
        yield
    finally:
        lock.release()
