"""The catalogue: a folder of a data set in, one record per file out, identified by its bytes and without duplicates."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from pipeline.ingest import layouts
from pipeline.ingest.groups import Groups
from pipeline.ingest.records import CatalogueError, VideoRecord
from pipeline.ingest.video import content_id

__all__ = ["SOURCES", "CatalogueError", "VideoRecord", "identify", "scan"]

_LAYOUTS: dict[str, Callable[[Path], list[VideoRecord]]] = {
    "folder": layouts.folder,
    "dfdc": layouts.dfdc,
    "ffpp": layouts.ffpp,
    "celebdf": layouts.celebdf,
    "crops": layouts.crops,
}
SOURCES = ("sample", *_LAYOUTS)
_N_READERS = 4  # hashing is fast: what is waited for is the disk


def scan(source: str, root: Path | None = None, *, hash_files: bool = True) -> list[VideoRecord]:
    """Catalogue a data set by its names, folders and side files.

    Parameters
    ----------
    source : layout, one of `SOURCES`.
    root : folder of the data set; None, for 'sample' only, means the set inside the package.
    hash_files : read every usable file for its `video_id` and for duplicates (see `identify`). Without it no media
        file is opened, and `video_id` stays empty.

    Returns
    -------
    Records sorted by `rel_path`, which no two share. Files that cannot be used are among them, with their reason.

    Raises
    ------
    CatalogueError : unknown source, nothing usable under `root`, a side file that cannot be read.
    """
    if source not in SOURCES:
        raise CatalogueError(f"data.source must be one of {', '.join(SOURCES)}, not {source!r}.")
    if source == "sample":
        records = layouts.sample(root)
    elif root is None:
        raise CatalogueError(f"data.source {source} needs data.root, the folder of the data set.")
    else:
        records = _LAYOUTS[source](root)
    records = sorted(records, key=lambda record: record.rel_path)
    return identify(records) if hash_files else records


def identify(records: Iterable[VideoRecord]) -> list[VideoRecord]:
    """Hash the files of 'ok' records, give every record its `video_id`, and keep one of files with the same bytes.

    The first by path is kept, or none if their labels conflict. Source groups of files that share bytes are merged:
    what is joined to one copy shares its footage with what is joined to the other.

    Returns
    -------
    The records by `rel_path`. A copy is 'rejected' and says which file it repeats; an empty file, or one that cannot
    be opened, is 'unreadable'. The `video_id` of a usable file is the hash of its bytes alone, so it survives
    renaming; any other also depends on the path, so that no two records share one.
    """
    ordered = sorted(records, key=lambda record: record.rel_path)
    with ThreadPoolExecutor(_N_READERS) as pool:
        hashed = list(pool.map(_hash, ordered))
    copies_of: dict[str, list[VideoRecord]] = defaultdict(list)
    for record, digest in hashed:
        if digest is not None:
            copies_of[digest].append(record)
    groups = Groups()
    reasons: dict[str, str] = {}
    for copies in copies_of.values():
        groups.join_all(record.source_group for record in copies)
        reasons.update(_reasons(copies))
    return [_settle(record, digest, reasons.get(record.rel_path), groups) for record, digest in hashed]


def _hash(record: VideoRecord) -> tuple[VideoRecord, str | None]:
    """The record and the hash of its bytes; None where there are none to tell it by."""
    if record.status != "ok":
        return record, None
    try:
        if record.path.stat().st_size == 0:
            return replace(record, status="unreadable", reason="the file is empty"), None
        return record, content_id(record.path)
    except OSError as error:
        reason = f"the file cannot be read: {(error.strerror or str(error)).lower()}"
        return replace(record, status="unreadable", reason=reason), None


def _reasons(copies: Sequence[VideoRecord]) -> dict[str, str]:
    """Why copies (sorted, of equal bytes) are turned away, by path; the one that is kept is not in it."""
    first, *others = copies
    if len({record.label for record in copies}) == 1:
        return {record.rel_path: f"same bytes as {first.rel_path}" for record in others}
    conflict = "same bytes as {}, but the labels conflict"
    reasons = {record.rel_path: conflict.format(first.rel_path) for record in others}
    return reasons | {first.rel_path: conflict.format(others[0].rel_path)}


def _settle(record: VideoRecord, digest: str | None, reason: str | None, groups: Groups) -> VideoRecord:
    if digest is None or reason is not None:
        text = f"{digest or ''}\0{record.dataset}\0{record.rel_path}"
        digest = hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
    record = replace(record, video_id=digest, source_group=groups.find(record.source_group))
    return record if reason is None else replace(record, status="rejected", reason=reason)
