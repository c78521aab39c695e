"""Putting lines into the overrides file and taking them out again; nothing is replaced without being told."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline import overrides
from pipeline.errors import UserError
from pipeline.overrides import Override

MAX_UNDO = 20
_UNDO = "overrides-undo.json"


@dataclass(frozen=True)
class Edit:
    """What putting lines into a file does: lines it gets, lines that replace another change, lines it has already."""

    added: tuple[Override, ...]
    replaced: tuple[tuple[Override, Override], ...]
    same: tuple[Override, ...]
    after: str


def plan(path: Path, lines: Iterable[Override], video_of: Mapping[str, str]) -> Edit:
    """What `keep` would do; UserError where the file cannot be read.

    A line of a face would stand over its video's, so those of a video that gets a line go, by ``video_of`` (face_id ->
    video_id); such a one that says something else counts as replaced.
    """
    lines = list(lines)
    before = {(o.kind, o.key): o for o in overrides.read(path)}
    added, replaced, same = [], [], []
    after = dict(before)
    for line in lines:
        old = before.get((line.kind, line.key))
        if old is None:
            added.append(line)
        elif old.change == line.change:
            same.append(line)
            continue
        else:
            replaced.append((old, line))
        after[line.kind, line.key] = line
    of_videos = {line.key: line for line in lines if line.kind == "video"}
    of_faces = {line.key for line in lines if line.kind == "face"}
    for old in before.values():
        whole = of_videos.get(video_of.get(old.key, "")) if old.kind == "face" else None
        if whole is not None and old.key not in of_faces:
            del after[old.kind, old.key]
            if old.change != whole.change:
                replaced.append((old, whole))
    return Edit(tuple(added), tuple(replaced), tuple(same), overrides.text_of(after.values()))


def keep(path: Path, history: Path, edit: Edit, lines: Iterable[Override], video_of: Mapping[str, str]) -> None:
    """Write the file as ``edit`` says, and what it held before into the folder ``history``, so that it can be undone.

    Raises
    ------
    UserError
        The file has changed since ``edit`` was planned, it is no plan of these lines, or it cannot be written.
    """
    if plan(path, lines, video_of) != edit:
        raise UserError(f"{path.name} was changed meanwhile: look at what would be kept again")
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    steps = _steps(history)
    _write(path, edit.after)
    _write(history / _UNDO, json.dumps([*steps, {"before": before, "after": edit.after}][-MAX_UNDO:]))


def can_undo(path: Path, history: Path) -> bool:
    """Whether the file is as the last `keep` left it."""
    steps = _steps(history)
    return bool(steps) and path.is_file() and path.read_text(encoding="utf-8") == steps[-1]["after"]


def undo(path: Path, history: Path) -> None:
    """Give the file back what it held before the last `keep`; UserError where it was changed since."""
    if not can_undo(path, history):
        raise UserError(f"there is nothing to undo: {path.name} is not as this page left it")
    steps = _steps(history)
    before = steps[-1]["before"]
    _write(path, overrides.text_of([]) if before is None else before)
    _write(history / _UNDO, json.dumps(steps[:-1]))


def _steps(history: Path) -> list[dict[str, str | None]]:
    try:
        steps = json.loads((history / _UNDO).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    known = isinstance(steps, list) and all(isinstance(s, dict) and {"before", "after"} <= set(s) for s in steps)
    return steps if known else []


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)  # noqa: PTH105 - os.replace is the documented atomic rename
    except OSError as error:
        raise UserError(f"{path.name} cannot be written: {(error.strerror or str(error)).lower()}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
