"""Resumable work: each finished piece is a Parquet file in a work folder named by the fingerprint of the run.

Killing the process loses the piece under work and nothing else; the next run with the same fingerprint goes on
where this one stopped. The finished table is then written in the order of the pieces, so it is the same whatever
was interrupted and however many workers there were.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline import tables
from pipeline.schemas import TABLES

Mark = Callable[[pa.Table], pa.Table]
_SAFE = re.compile(r"^[A-Za-z0-9._+-]+$")


class Shards:
    """Finished pieces of one table under one fingerprint.

    Parameters
    ----------
    folder
        Work folder, named by the fingerprint (`pipeline.paths.Paths.work`).
    name
        Table the pieces belong to.
    meta
        Recorded with every piece and with the table.
    """

    def __init__(self, folder: Path, *, name: str, meta: Mapping[str, Any]) -> None:
        self.folder = folder.resolve()  # a Dask worker may run in another folder
        self.name = name
        self.meta = dict(meta)
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, key: str) -> Path:
        """File of one piece."""
        if not _SAFE.match(key):
            raise ValueError(f"a shard key holds letters, digits, '.', '_', '+' and '-' alone, not {key!r}")
        return self.folder / f"{key}.parquet"

    def done(self, key: str) -> bool:
        """Whether a piece is finished and every byte of it is as it was written (a damaged one counts as not done)."""
        path = self.path(key)
        return path.is_file() and self._mark(key, path).is_file()

    def write(self, key: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Store a finished piece; two processes may do so at once, and one of their files stays."""
        path = self.path(key)
        unfinished = path.with_name(f".{key}.{uuid.uuid4().hex}.parquet")
        try:
            tables.write_file(tables.build(self.name, rows), unfinished, name=self.name, meta=self.meta)
            # The mark comes first: so there is no moment at which a complete piece is without one.
            self._mark(key, unfinished).touch()
            os.replace(unfinished, path)  # noqa: PTH105 - os.replace is the documented atomic rename
        finally:
            unfinished.unlink(missing_ok=True)

    def _mark(self, key: str, file: Path) -> Path:
        """Empty file whose name says that a piece with this very content is whole; Parquet itself guards no footer."""
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        return self.folder / f"{key}.{digest}.whole"

    def pieces(self, keys: Sequence[str], *, min_rows: int = 1024) -> Iterator[pa.Table]:
        """Pieces in the order of ``keys``, joined into tables of at least ``min_rows`` rows."""
        waiting: list[pa.Table] = []
        n_waiting = 0
        for key in keys:
            piece = tables.read(self.path(key), self.name)
            waiting.append(piece)
            n_waiting += piece.num_rows
            if n_waiting >= min_rows:
                yield pa.concat_tables(waiting)
                waiting, n_waiting = [], 0
        if waiting:
            yield pa.concat_tables(waiting)

    def copy_to(self, keys: Sequence[str], target: Path, *, mark: Mark | None = None) -> int:
        """Write the table (a folder of shards, or one file for a result) from all pieces; return the number of rows.

        ``mark`` changes rows on their way: what depends on it can change without doing the pieces anew.
        """
        missing = [k for k in keys if not self.done(k)]
        if missing:
            raise RuntimeError(f"table {self.name}: {len(missing)} pieces are not finished, first {missing[0]}")
        pieces = self.pieces(keys) if mark is None else map(mark, self.pieces(keys))
        if TABLES[self.name].folder == "reports":
            whole = pa.concat_tables([tables.build(self.name, []), *pieces])
            tables.write_file(whole, target, name=self.name, meta=self.meta)
            return int(whole.num_rows)
        return tables.write_shards(pieces, target, name=self.name, meta=self.meta)

    def finish(self, keys: Sequence[str], target: Path, *, mark: Mark | None = None) -> int:
        """Like `copy_to`; then remove what runs with other fingerprints left behind.

        This run's own pieces stay: should the process be killed before its caller has recorded that the stage is
        complete, the next run only has to copy them again.
        """
        n_rows = self.copy_to(keys, target, mark=mark)
        for other in self.folder.parent.iterdir():
            if other != self.folder and other.is_dir():
                shutil.rmtree(other, ignore_errors=True)
        return n_rows
