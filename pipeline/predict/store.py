"""Where results lie: one folder for a clip, whole or not there, and never in the place of something else."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipeline import runinfo
from pipeline.errors import UserError

RESULT, SUMMARY = "result.json", "summary.json"
ANNOTATED, REPORT = "annotated.mp4", "report.html"


def folder_name(path: Path) -> str:
    """A clip's name without ending, safe as a folder's: no separators, no leading dot, at most 100 characters."""
    return re.sub(r"[^\w.\-+@() ]", "_", path.stem).strip(" .")[:100] or "clip"


def place(out: Path, clip: Path, taken: set[str]) -> Path:
    """The folder of a clip.

    Another clip of the same name, of this run or an earlier one, keeps its folder: then the name gets a hash of the
    path.

    Parameters
    ----------
    taken : names that this run gave out; the new one is added.

    Raises
    ------
    UserError
        Folders of that name are there that this program did not write.
    """
    name = folder_name(clip)
    address = str(clip.absolute())
    for candidate in (name, f"{name}-{runinfo.digest(address, n_chars=8)}"):
        folder = out / candidate
        if candidate.casefold() not in taken and (not _occupied(folder) or _path_in(folder) == address):
            taken.add(candidate.casefold())
            return folder
    raise UserError(f"{out / name} is there and was not written by lf predict: name another folder with --out")


def _occupied(folder: Path) -> bool:
    return folder.exists() and not (folder.is_dir() and not any(folder.iterdir()))


def _path_in(folder: Path) -> str | None:
    found = read_result(folder)
    clip = found.get("clip", {}) if found else {}
    return clip.get("path") if isinstance(clip, dict) else None


def read_result(folder: Path) -> dict[str, Any] | None:
    """What an earlier run wrote there; None where there is nothing, or nothing readable."""
    try:
        found = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError):
        return None
    return found if isinstance(found, dict) and "clip" in found else None


@contextmanager
def fresh_folder(folder: Path) -> Iterator[Path]:
    """A temporary neighbour to write into, which then takes the folder's place; gone where the block raises."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    try:
        yield fresh
        fresh.chmod(0o755)  # mkdtemp makes it private
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old-", dir=folder.parent))
            folder.replace(old / folder.name)
            fresh.replace(folder)
            shutil.rmtree(old)
        else:
            fresh.replace(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a file under a temporary name, then rename it into place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    finally:
        Path(temporary).unlink(missing_ok=True)
