"""Retraining in a process of its own, and its answers: the page asks, looks again, and is never held up.

An answer is a file under ``work/retrain``, named by what was asked and by the state of the tables it was made of, so
the same question is answered once, and a changed table asks anew.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dashboard import children, data
from pipeline import spaces
from pipeline.errors import UserError

KEPT_ANSWERS = 20
_TABLES = ("tags", "faces", "splits", "overrides")


@dataclass
class Job:
    """A running process, and since when (seconds of the monotonic clock)."""

    key: str
    process: subprocess.Popen[bytes]
    since: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.since


_JOBS: dict[str, Job] = {}  # project folder -> its job; sessions of one server share it
_STARTING = threading.Lock()


def key_of(space: str, names: Sequence[str]) -> str:
    """Names a question and the state of what it is asked of."""
    project = data.project()
    bases = [spaces.SOURCES[p.base][0] for p in spaces.parse(space) if p.base in spaces.SOURCES]
    files = [data.signature(project.table(name)) for name in (*_TABLES, *bases)]
    settings = project.params.read_bytes() if project.params.is_file() else b""
    asked = repr((str(project.root.resolve()), space, sorted(names), files, settings))
    return hashlib.sha256(asked.encode()).hexdigest()[:16]


def running() -> Job | None:
    """The project's job; None where none runs."""
    job = _JOBS.get(_root())
    return job if job is not None and job.process.poll() is None else None


def start(space: str, names: Sequence[str]) -> None:
    """Begin; UserError where one runs already."""
    key = key_of(space, names)
    folder = _folder()
    with _STARTING:
        if running() is not None:
            raise UserError("another retraining is running: wait for it, or stop it")
        folder.mkdir(parents=True, exist_ok=True)
        _forget_old(folder)
        asked = {"root": _root(), "space": space, "names": sorted(names)}
        (folder / f"{key}.asked").write_text(json.dumps(asked), encoding="utf-8")
        (folder / f"{key}.json").unlink(missing_ok=True)
        command = [*children.command("pipeline.retrain"), str(folder / f"{key}.asked"), str(folder / f"{key}.json")]
        # One thread: beside the server's own, more of them wait for each other.
        environment = children.environment(OMP_NUM_THREADS="1")
        with (folder / f"{key}.log").open("wb") as said:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said, env=environment)
        _JOBS[_root()] = Job(key, process)


def stop() -> None:
    """End the project's job."""
    job = running()
    if job is not None:
        job.process.terminate()
        job.process.wait(timeout=20)


def answer(space: str, names: Sequence[str]) -> dict[str, Any] | None:
    """What was found; None where it was not asked, or is being worked on.

    Raises
    ------
    UserError
        It could not be done; one sentence.
    """
    key = key_of(space, names)
    try:
        found = json.loads((_folder() / f"{key}.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        job = _JOBS.get(_root())
        if job is not None and job.key == key and job.process.poll() not in (None, 0, -15):
            raise UserError(f"retraining ended early; {_folder() / f'{key}.log'} says why") from None
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"the answer in {_folder()} cannot be read: {error}") from error
    if "error" in found:
        raise UserError(str(found["error"]))
    return dict(found)


def _root() -> str:
    return str(data.project().root.resolve())


def _folder() -> Path:
    return data.project().root / "work" / "retrain"


def _forget_old(folder: Path) -> None:
    """Keep the latest answers alone."""
    asked = sorted(folder.glob("*.asked"), key=lambda f: f.stat().st_mtime, reverse=True)
    for old in asked[KEPT_ANSWERS - 1 :]:
        for file in folder.glob(f"{old.stem}.*"):
            file.unlink(missing_ok=True)
