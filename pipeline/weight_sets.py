"""What is known about a set of network weights before any file is opened: its files, source and terms."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError

REPOSITORY = Path(__file__).resolve().parent.parent
_SHA256_DIGITS = 64


@dataclass(frozen=True)
class WeightFile:
    """One file: path below its set's folder, size and hash, as far as its publisher states them.

    Attributes
    ----------
    size_bytes
        ``None`` where it is not published.
    sha256
        Hexadecimal; its first digits where no more is published (torchvision puts eight into a file's name), ``None``
        where nothing is. Without one, the hash is recorded when the file is fetched and checked from then on.
    """

    path: str
    size_bytes: int | None
    sha256: str | None

    @property
    def whole_sha256(self) -> str | None:
        """The hash where all of it is registered."""
        return self.sha256 if self.sha256 is not None and len(self.sha256) == _SHA256_DIGITS else None

    def has_hash(self, sha256: str) -> bool:
        """Whether a file of this hash may be the registered one."""
        return self.sha256 is None or sha256.startswith(self.sha256)


@dataclass(frozen=True)
class WeightSet:
    """Weights of one network.

    `package` is the import name of the package that carries the files, ``None`` for files of this repository. Where the
    user brings the one file, `url` is its address, or `page` tells where it is published if it has no address that a
    program can read.
    """

    name: str
    what: str
    package: str | None
    source: str
    licence: str
    commercial_use: bool
    files: tuple[WeightFile, ...]
    paper: str = ""
    url: str = ""
    page: str = ""

    @property
    def is_brought(self) -> bool:
        """Whether the user brings the file."""
        return bool(self.url or self.page)

    @property
    def folder(self) -> Path:
        """Folder the files lie in; UserError where the package is not installed."""
        if self.is_brought:
            return Path(os.environ.get("LF_WEIGHTS") or "weights")
        if self.package is None:
            return REPOSITORY
        # find_spec of a top-level package locates it without importing (and so without running) its code.
        spec = importlib.util.find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise UserError(
                f"weights '{self.name}' come inside the package {self.source}, which is not installed: run `uv sync`"
            )
        return Path(next(iter(spec.submodule_search_locations)))
