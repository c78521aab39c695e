"""Registered network weights (`pipeline.weights_registry`), verified before use.

Weights come inside an installed package, with this repository, or as a file the user brings into the folder
``weights/`` of the project (``$LF_WEIGHTS`` names another). Nothing is downloaded while a stage runs, and a missing or
altered file is an error, never random weights.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pipeline.errors import UserError
from pipeline.runinfo import file_sha256
from pipeline.weight_sets import WeightSet
from pipeline.weights_registry import REGISTRY

State = Literal["ok", "missing", "altered"]


def get(name: str) -> WeightSet:
    """Look a set up; UserError lists the known names."""
    try:
        return REGISTRY[name]
    except KeyError:
        raise UserError(f"no weights named '{name}'; known: {', '.join(sorted(REGISTRY))}") from None


def is_there(name: str) -> bool:
    """Whether a set's files lie where they belong, unaltered or not."""
    weights = get(name)
    return all((weights.folder / file.path).is_file() for file in weights.files)


def state(weights: WeightSet) -> tuple[State, str]:
    """Whether a set is there and unaltered, and what is wrong where it is not."""
    try:
        folder = weights.folder
    except UserError as error:
        return "missing", str(error)
    for file in weights.files:
        path = folder / file.path
        if not path.is_file():
            return "missing", _how_to_get(weights, path)
        if path.stat().st_size == 0:
            return "altered", f"weights '{weights.name}': {path} is empty: download it anew"
        same = file.size_bytes is None or path.stat().st_size == file.size_bytes
        recorded = recorded_sha256(path)
        if same and (file.sha256 is not None or recorded is not None):
            found = file_sha256(path)
            same = file.has_hash(found) and recorded in (None, found)
        if not same:
            return (
                "altered",
                f"weights '{weights.name}': {path} is not the file that was registered (size or SHA-256 differs)",
            )
    return "ok", ""


def is_verifiable(weights: WeightSet) -> bool:
    """Whether each file of a set that is there has a hash to be checked against, registered or recorded beside it."""
    return all(f.sha256 is not None or recorded_sha256(weights.folder / f.path) for f in weights.files)


def how_to_bring(weights: WeightSet) -> str:
    """Where to download the file of a set that the user brings, and where to put it."""
    return f"download {weights.url or weights.page} and put it at {weights.folder / weights.files[0].path}"


def _how_to_get(weights: WeightSet, path: Path) -> str:
    if not weights.is_brought:
        return f"weights '{weights.name}': {path.name} is not there; it comes with {weights.source}"
    command = f"run `lf weights fetch {weights.name}`, or " if weights.url else ""
    return f"weights '{weights.name}' are not here: {command}{how_to_bring(weights)}"


def hash_record(path: Path) -> Path:
    """Where the hash of a file that was fetched or made here is recorded, beside it."""
    return path.with_name(f"{path.name}.sha256")


def recorded_sha256(path: Path) -> str | None:
    """The hash recorded beside a file, ``None`` where the user put it there."""
    record = hash_record(path)
    return record.read_text(encoding="ascii", errors="replace")[:64] if record.is_file() else None


def record_sha256(path: Path, sha256: str) -> None:
    """Record a file's hash beside it."""
    hash_record(path).write_text(f"{sha256}  {path.name}\n", encoding="ascii")


def require(name: str, *, allow_noncommercial: bool) -> Path:
    """Verify a set and return the path of its file, or of its folder where it has several.

    Raises
    ------
    UserError
        Unknown name, a licence the settings refuse, a missing or an altered file.
    """
    weights = get(name)
    if not weights.commercial_use and not allow_noncommercial:
        raise UserError(
            f"weights '{name}' forbid commercial use ({weights.licence}) "
            "and weights.allow_noncommercial is false in params.yaml"
        )
    what, problem = state(weights)
    if what != "ok":
        raise UserError(problem)
    first = weights.folder / weights.files[0].path
    return first if len(weights.files) == 1 else first.parent


def sha256(name: str) -> str:
    """One hash for a set: of its file, or of its files' hashes; read off the disk where none is registered."""
    weights = get(name)
    return combined([f.whole_sha256 or file_sha256(weights.folder / f.path) for f in weights.files])


def combined(hashes: list[str]) -> str:
    """One hash for several files: of their hashes, one after the other; a single one stays."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
