"""One writer at a time, whichever process it is in: two dashboards may look after one project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from filelock import FileLock, Timeout

from pipeline.errors import UserError
from pipeline.paths import Paths

WAIT_S = 30.0


@contextmanager
def alone(paths: Paths, what: str, *, wait_s: float | None = None) -> Iterator[None]:
    """Hold the project's lock named ``what`` (``work/WHAT.lock``); the system frees it where its holder is killed.

    Raises
    ------
    UserError
        Another process or thread held it for ``wait_s`` (`WAIT_S`) seconds, or its file cannot be written.
    """
    wait_s = WAIT_S if wait_s is None else wait_s
    file = paths.root / "work" / f"{what}.lock"
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=wait_s, fallback_to_soft=False)  # a soft one would outlive its holder
        lock.acquire()
    except Timeout as error:
        raise UserError(f"somebody else has been writing {what} for {wait_s:g} s: try again") from error
    except OSError as error:
        raise UserError(f"{file} cannot be written: {(error.strerror or str(error)).lower()}") from error
    try:
        yield
    finally:
        lock.release()
