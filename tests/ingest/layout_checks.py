"""What every layout's tests do: make trees of files, scan them, and look at the records."""

from __future__ import annotations

from pathlib import Path

from pipeline.ingest.catalogue import VideoRecord, scan


def touch(root: Path, *names: str) -> None:
    """Files whose content nobody looks at here."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())


def checked_scan(source: str, root: Path | None) -> dict[str, VideoRecord]:
    records = scan(source, root, hash_files=False)
    assert [r.rel_path for r in records] == sorted({r.rel_path for r in records})
    for record in records:
        assert (record.status == "ok") == (record.reason == "")
        assert record.status != "ok" or record.label in (0, 1)
        assert record.source_group
        assert (record.method == "real") == (record.label == 0)
    return {record.rel_path: record for record in records}


def members(records: dict[str, VideoRecord]) -> set[frozenset[str]]:
    members: dict[str, set[str]] = {}
    for record in records.values():
        members.setdefault(record.source_group, set()).add(record.rel_path)
    return {frozenset(paths) for paths in members.values()}


def reasons(records: dict[str, VideoRecord]) -> dict[str, tuple[str, str]]:
    return {path: (r.status, r.reason) for path, r in records.items() if r.status != "ok"}
