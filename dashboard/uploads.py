"""A clip that was uploaded: judged in a process of its own, gone afterwards. Nothing here draws.

The clip lies in a private folder (mode 0700) below the project's ``work/uploads`` while it is judged and no longer: the
thread that waits for the process deletes it whatever came of it. The result lies beside it until it is kept or the
session ends. A folder that a killed server left behind is swept by the next one.
"""

from __future__ import annotations

import atexit
import json
import shutil
import subprocess
import tempfile
import threading
import time
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from dashboard import children
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.predict.store import RESULT, folder_name

MAX_MB = 200
#: What FFmpeg is asked to open; a name with another ending is refused before anything is written.
KINDS = ("mp4", "mov", "m4v", "avi", "mkv", "webm", "mpg", "mpeg", "ts", "flv", "wmv", "ogv")
COMMAND = children.command("pipeline.predict.child")
MAX_NAME = 50  # characters of at most four bytes each: file systems take 255 bytes
_BUSY = threading.Lock()  # one clip at a time in this server, for each takes all cores and up to 3 GB

Phase = Literal["idle", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class State:
    """Where an analysis stands.

    Attributes
    ----------
    part : what is done now, as `pipeline.predict.session.Clock` names it; 'start' while libraries load.
    result : folder of what came out, where ``phase`` is 'done'.
    reason : one sentence, where it is 'failed'.
    """

    phase: Phase = "idle"
    name: str = ""
    part: str = "start"
    started_s: float = 0.0
    result: Path | None = None
    reason: str = ""


class Desk:
    """One session's place for one clip."""

    def __init__(self, project: Paths, command: tuple[str, ...] | None = None) -> None:
        self.state = State()
        self._project, self._command = project, command or COMMAND
        self._folder: Path | None = None
        self._process: subprocess.Popen[str] | None = None
        self._waiter: threading.Thread | None = None
        self._closed = False
        _OPEN.add(self)

    def start(self, name: str, content: memoryview | bytes, model: str | None) -> None:
        """Write the clip and begin to judge it.

        Raises
        ------
        UserError
            Another clip is being judged, the file is too large, of no known kind, or cannot be written.
        """
        suffix = Path(name).suffix.lower()
        if suffix.removeprefix(".") not in KINDS:
            raise UserError(f"a clip's name has to end in one of {', '.join(KINDS)}, this one does not")
        if len(content) > MAX_MB * 1_000_000:
            raise UserError(f"the clip has {len(content) / 1e6:.0f} MB; at most {MAX_MB} MB can be uploaded")
        if not _BUSY.acquire(blocking=False):
            raise UserError("another clip is being judged: wait until it is done")
        try:
            self.discard()
            folder = _private_folder(self._project.uploads)
            self._folder = folder
            clip = folder / f"{folder_name(Path(name))[:MAX_NAME]}{suffix}"
            clip.write_bytes(content)
            self._process = self._spawn(clip, folder / "out", model)
        except OSError as error:
            self.discard()
            _BUSY.release()
            raise UserError(f"the clip cannot be kept for the analysis: {error.strerror or error}") from error
        self.state = State("running", clip.name, started_s=time.monotonic())
        self._waiter = threading.Thread(target=self._wait, args=(self._process, clip), daemon=True)
        self._waiter.start()

    def _spawn(self, clip: Path, out: Path, model: str | None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*self._command, str(clip.absolute()), str(out.absolute()), *([model] if model else [])],
            cwd=self._project.root, env=children.environment(), text=True, encoding="utf-8",
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def _wait(self, process: subprocess.Popen[str], clip: Path) -> None:
        reason = ""
        try:
            for line in process.stdout or ():
                told = _read(line)
                reason = told.get("error", reason)
                if "part" in told and self.state.phase == "running":
                    self.state = State("running", clip.name, told["part"], self.state.started_s)
            process.wait()
        finally:
            clip.unlink(missing_ok=True)
            if self.state.phase == "running":
                self.state = self._outcome(process, clip, reason)
            if self._closed or self.state.phase == "failed":
                self._remove()
            _BUSY.release()

    def _outcome(self, process: subprocess.Popen[str], clip: Path, reason: str) -> State:
        found = next(iter(sorted((clip.parent / "out").glob("*/" + RESULT))), None)
        if process.returncode == 0 and found is not None:
            return State("done", clip.name, result=found.parent)
        if not reason:
            ended = f"by signal {-process.returncode}" if process.returncode < 0 else f"with {process.returncode}"
            reason = f"the analysis ended {ended}; the terminal of the dashboard may say more"
        return State("failed", clip.name, reason=reason)

    def stop(self) -> None:
        """End the analysis; the clip and what was made of it go."""
        self.state = State("stopped", self.state.name)
        self._end()
        self._remove()

    def discard(self) -> None:
        """Forget the last analysis and delete what it left."""
        self._end()
        self._remove()
        self.state = State()

    def close(self) -> None:
        """The same, for good: the session is over."""
        self._closed = True
        self.discard()

    def keep(self) -> str:
        """Move the result to the project's judged clips; its name there. UserError where it cannot be moved."""
        source = self.state.result
        if source is None:
            raise UserError("there is no result to keep")
        cases = self._project.cases
        try:
            cases.mkdir(exist_ok=True)
            name, n = source.name, 1
            while (cases / name).exists() or (cases / name).is_symlink():
                n += 1
                name = f"{source.name}-{n}"
            shutil.move(source, cases / name)
        except OSError as error:
            raise UserError(f"the result cannot be moved to {cases}: {error.strerror or error}") from error
        self.discard()
        return name

    def _end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()  # it holds nothing but this folder
        if self._waiter is not None and self._waiter is not threading.current_thread():
            self._waiter.join(timeout=30)
        self._process = self._waiter = None

    def _remove(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


_OPEN: weakref.WeakSet[Desk] = weakref.WeakSet()


@atexit.register
def _close_all() -> None:
    for desk in list(_OPEN):
        desk.close()


def is_busy() -> bool:
    """Whether some session's clip is being judged."""
    return _BUSY.locked()


def _read(line: str) -> dict[str, str]:
    """A line of the child; what libraries print is none of its."""
    try:
        told = json.loads(line)
    except json.JSONDecodeError:
        return {}
    return {k: str(v) for k, v in told.items()} if isinstance(told, dict) else {}


def _private_folder(place: Path) -> Path:
    """A new folder that only this user may enter; its name tells the process it belongs to."""
    place.mkdir(parents=True, exist_ok=True)
    own = psutil.Process()
    return Path(tempfile.mkdtemp(prefix=f"{own.pid}-{own.create_time():.0f}-", dir=place))


def sweep(project: Paths) -> int:
    """Delete folders of servers that run no more; how many there were."""
    n_swept = 0
    for folder in project.uploads.glob("*-*-*"):
        pid, _, rest = folder.name.partition("-")
        if folder.is_symlink() or not folder.is_dir() or not pid.isdigit() or _lives(int(pid), rest.partition("-")[0]):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        n_swept += 1
    return n_swept


def _lives(pid: int, created: str) -> bool:
    try:
        return f"{psutil.Process(pid).create_time():.0f}" == created
    except psutil.Error:
        return False
