"""Earlier runs of a project, from what DVC keeps of every run: its run-cache. Nothing is written, git is not asked.

DVC notes each run of a stage under ``<cache>/runs``: a YAML file with the stage's settings and the hashes of what went
in and came out. What came out lies under ``<cache>/files/md5`` until ``dvc gc``. So an earlier run is there whether or
not somebody committed it.
"""

from __future__ import annotations

import configparser
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

METRICS, PREDICTIONS = "reports/metrics.parquet", "reports/predictions.parquet"
MAX_FILES = 600  # the newest notes that are read: some 35 whole runs, a second or two
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Note:
    """One run of one stage.

    Attributes
    ----------
    settings : by their full name, such as ``train.models``.
    came_in, came_out : path -> hash.
    """

    made_s: float
    settings: Mapping[str, Any]
    came_in: Mapping[str, str]
    came_out: Mapping[str, str]


@dataclass(frozen=True)
class Run:
    """A run that ended in metrics: the note of its last stage, and of all stages before it.

    Attributes
    ----------
    settings : of every stage behind the metrics.
    inputs : path -> hash of what no stage made: material and program.
    """

    note: Note
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def made(self) -> datetime:
        """When its metrics were first made, local time."""
        return datetime.fromtimestamp(self.note.made_s).astimezone()


@dataclass(frozen=True)
class History:
    """What DVC's cache knows of a project's runs."""

    cache: Path
    notes: tuple[Note, ...]

    def runs(self) -> list[Run]:
        """Runs that ended in metrics, the newest first, one for each distinct outcome."""
        out: dict[str, Run] = {}
        for note in sorted(self.notes, key=lambda n: -n.made_s):
            if METRICS in note.came_out and note.came_out[METRICS] not in out:
                out[note.came_out[METRICS]] = self._whole(note)
        return list(out.values())

    def stored(self, run: Run, path: str) -> Path | None:
        """A file that went into a run's last stage or came out of it, in the cache; None where it is gone."""
        md5 = run.note.came_out.get(path) or run.note.came_in.get(path)
        if md5 is None:
            return None
        file = self.cache / "files" / "md5" / md5[:2] / md5[2:]
        return file if file.is_file() else None

    @cached_property
    def _makers(self) -> dict[tuple[str, str], list[Note]]:
        out: dict[tuple[str, str], list[Note]] = {}
        for note in sorted(self.notes, key=lambda n: -n.made_s):
            for made in note.came_out.items():
                out.setdefault(made, []).append(note)
        return out

    def _whole(self, last: Note) -> Run:
        """Follow what came in back to who made it: the newest such run before this one."""
        settings: dict[str, Any] = {}
        inputs: dict[str, str] = {}
        waiting, seen = [last], set()
        while waiting:
            note = waiting.pop()
            if id(note) in seen:
                continue
            seen.add(id(note))
            settings |= note.settings
            for item in note.came_in.items():
                makers = self._makers.get(item)
                if not makers:
                    inputs[item[0]] = item[1]
                    continue
                waiting.append(next((m for m in makers if m.made_s <= last.made_s), makers[-1]))
        return Run(last, settings, inputs)


def read(root: Path) -> History | None:
    """The history of the project at ``root``; None where DVC keeps none."""
    cache = cache_folder(root)
    if not (cache / "runs").is_dir():
        return None
    return History(cache, tuple(_notes(cache)))


def cache_folder(root: Path) -> Path:
    """Where DVC's cache of a project lies: as its configuration says, else ``.dvc/cache``."""
    for name in ("config.local", "config"):
        config = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            config.read(root / ".dvc" / name, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue
        if folder := config.get("cache", "dir", fallback=""):
            return (root / ".dvc" / folder).resolve()
    return root / ".dvc" / "cache"


def file_md5(path: Path) -> str | None:
    """A file's hash as DVC takes it; None where there is none."""
    try:
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return None


def _notes(cache: Path) -> Iterator[Note]:
    files = []
    for file in cache.glob("runs/*/*/*"):
        try:
            files.append((file.stat().st_mtime, file))
        except OSError:  # tidied by DVC meanwhile
            continue
    for made_s, file in sorted(files, reverse=True)[:MAX_FILES]:
        try:
            told = yaml.load(file.read_text(encoding="utf-8"), Loader=LOADER)
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            continue
        if isinstance(told, dict):
            yield Note(made_s, _settings(told.get("params")), hashes(told.get("deps")), hashes(told.get("outs")))


def hashes(items: Any) -> dict[str, str]:
    """Path -> hash of what DVC notes as ``deps`` or ``outs``."""
    rows = [i for i in items or () if isinstance(i, dict) and "path" in i]
    return {str(i["path"]): str(i.get("md5") or i.get("etag") or "") for i in rows}


def _settings(params: Any) -> dict[str, Any]:
    files = params.values() if isinstance(params, dict) else ()
    return {name: value for file in files for name, value in flat(file)}


def flat(settings: Any, start: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their full name, such as ``train.models``; lists stay whole."""
    if isinstance(settings, dict) and settings:
        for name, value in settings.items():
            yield from flat(value, f"{start}.{name}" if start else str(name))
    elif start:
        yield start, settings
