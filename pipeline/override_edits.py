"""Putting lines into the overrides file and taking them out again; nothing is replaced without being told."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable
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


def plan(path: Path, lines: Iterable[Override]) -> Edit:
    """What `keep` would do; UserError where the file cannot be read."""
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
    return Edit(tuple(added), tuple(replaced), tuple(same), overrides.text_of(after.values()))


def keep(path: Path, history: Path, edit: Edit, lines: Iterable[Override]) -> None:
    """Write the file as ``edit`` says, and what it held before into the folder ``history``, so that it can be undone.

    Raises
    ------
    UserError
        The file has changed since ``edit`` was planned, or it is no plan of these lines.
    """
    if plan(path, lines) != edit:
        raise UserError(f"{path.name} was changed meanwhile: look at what would be kept again")
    before = path.read_text(encoding="utf-8") if path.is_file() else None
    steps = _steps(history)
    _write(history / _UNDO, json.dumps([*steps, {"before": before, "after": edit.after}][-MAX_UNDO:]))
    _write(path, edit.after)


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
    except (FileNotFoundError, ValueError):
        return []
    known = isinstance(steps, list) and all(isinstance(s, dict) and {"before", "after"} <= set(s) for s in steps)
    return steps if known else []


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)  # noqa: PTH105 - os.replace is the documented atomic rename
    finally:
        temporary.unlink(missing_ok=True)
