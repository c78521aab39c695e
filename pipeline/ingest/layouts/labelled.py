"""Files on one side, what side files and folders say about them on the other: joined into records."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.ingest.files import Found
from pipeline.ingest.groups import Groups
from pipeline.ingest.records import FAKE, LABEL_NAMES, REAL, Status, VideoRecord, parse_label
from pipeline.ingest.sidecars import Entry


@dataclass(frozen=True)
class Listing:
    """Entries of one side file and the folder (below the root, '' or ending in '/') their names are relative to."""

    folder: str
    entries: list[Entry]


@dataclass(frozen=True)
class Hint:
    """What a file's folder says: its label and, for a fake, the method."""

    label: int
    method: str | None
    where: str


@dataclass(frozen=True)
class Rules:
    """How one layout differs from the next.

    Attributes
    ----------
    dataset : name written into each record.
    hint : what the folder of a file says, None where it says nothing.
    unlisted : reason for a file that has neither an entry nor a hint.
    bare_names : an entry without a folder may name a file in any folder, if only one has that name.
    check : a further reason to reject a file with its entries, '' for none.
    """

    dataset: str
    hint: Callable[[Found], Hint | None]
    unlisted: Callable[[Found], str]
    bare_names: bool = False
    check: Callable[[Found, Sequence[Entry]], str] = lambda found, entries: ""


def assemble(root: Path, files: Iterable[Found], listings: Iterable[Listing], rules: Rules) -> list[VideoRecord]:
    """One record per file and per entry without a file, sorted by `rel_path`."""
    by_path = {found.rel_path: found for found in files}
    names = _Names(by_path)
    said: dict[str, list[Entry]] = defaultdict(list)
    for listing in listings:
        for entry in listing.entries:
            rel_path, problem = names.resolve(entry, listing.folder, bare=rules.bare_names)
            if rel_path not in by_path:
                by_path[rel_path] = Found(root / rel_path, rel_path, *problem)
                if problem[0] == "unreadable":  # absent, but still the original of others
                    names.add(rel_path)
            said[rel_path].append(entry)
    group_of = _group(by_path, said, names)
    return [_record(found, said[path], group_of[path], rules) for path, found in sorted(by_path.items())]


class _Names:
    """Finds files by path or bare name; accents match however they are composed."""

    def __init__(self, rel_paths: Iterable[str]) -> None:
        self._paths: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = defaultdict(list)
        for rel_path in rel_paths:
            self.add(rel_path)

    def add(self, rel_path: str) -> None:
        self._paths[_nfc(rel_path)] = rel_path
        self._by_name[_nfc(rel_path.rpartition("/")[2])].append(rel_path)

    def resolve(self, entry: Entry, folder: str, *, bare: bool) -> tuple[str, tuple[Status, str]]:
        """The path an entry means, and the status and reason of its record should no such file have been found."""
        source = entry.where.partition(" line ")[0]
        name = _clean(entry.file)
        if not name:
            return folder + entry.where, ("rejected", f"{entry.where} names no file")
        if name.startswith("/") or ".." in name.split("/") or re.match(r"[A-Za-z]:", name):
            return folder + name, ("rejected", f"{entry.where} points outside the data folder")
        known = self._paths.get(_nfc(folder + name))
        if known is not None:
            return known, ("ok", "")
        same = self._by_name[_nfc(name)] if bare and "/" not in name else []
        if len(same) > 1:
            return folder + name, ("rejected", f"{entry.where} does not say which: {len(same)} folders have a {name!r}")
        return (same[0] if same else folder + name), ("unreadable", f"listed in {source} but not there")

    def originals(self, name: str, beside: str) -> list[str]:
        """Names to join for an `original`: the file in the same folder, else every file so called, else the name."""
        name = _clean(name)
        folder = beside.rpartition("/")[0]
        for candidate in (f"{folder}/{name}" if folder else name, name):
            if (known := self._paths.get(_nfc(candidate))) is not None:
                return [known]
        return self._by_name.get(_nfc(name.rpartition("/")[2])) or [name.rpartition("/")[2]]


def _group(by_path: Iterable[str], said: dict[str, list[Entry]], names: _Names) -> dict[str, str]:
    """Group of each path: everything that shares a declared group or an original. A declared name is kept."""
    groups, declared = Groups(), set()
    for path in by_path:
        groups.add(path)
        for entry in said.get(path, []):
            if entry.source_group is not None:
                declared.add(entry.source_group)
                groups.join(path, entry.source_group)
            if entry.original is not None:
                groups.join_all([path, *names.originals(entry.original, path)])
    title: dict[str, str] = {}
    for name in sorted(declared, reverse=True):  # the smallest is written last
        title[groups.find(name)] = name
    return {path: title.get(groups.find(path), groups.find(path)) for path in by_path}


def _record(found: Found, entries: list[Entry], group: str, rules: Rules) -> VideoRecord:
    hint = rules.hint(found)
    label, reason = _label(found, entries, hint, rules)
    status: Status = found.status
    if found.status == "ok":
        reason = reason or rules.check(found, entries)
        status = "rejected" if reason else "ok"
    method = _first(entry.method for entry in entries) or (hint.method if hint else None)
    return VideoRecord(
        path=found.path,
        rel_path=found.rel_path,
        dataset=rules.dataset,
        label=label,
        method=LABEL_NAMES[REAL] if label == REAL else method if label == FAKE else None,
        compression=_first(entry.compression for entry in entries),
        source_group=group,
        identity=_first(entry.identity for entry in entries),
        status=status,
        reason=reason if found.status == "ok" else found.reason,
        official_split=_first(entry.split for entry in entries),
    )


def _label(found: Found, entries: list[Entry], hint: Hint | None, rules: Rules) -> tuple[int | None, str]:
    """The label all sources agree on, or None and the reason there is none."""
    if not entries and hint is None:
        return None, rules.unlisted(found)
    told: dict[int, str] = {hint.label: hint.where} if hint else {}
    for entry in entries:
        if entry.problem:
            return None, entry.problem
        if entry.label in (None, ""):
            if hint is not None:
                continue  # a side file that only adds methods or originals to a real/fake tree
            return None, f"has no label in {entry.where}"
        label = parse_label(entry.label)
        if label is None:
            return None, f"its label in {entry.where} is {repr(entry.label)[:60]}, neither real nor fake"
        told.setdefault(label, entry.where)
    if len(told) > 1:
        return None, "; ".join(f"{where} says {LABEL_NAMES[label]}" for label, where in sorted(told.items()))
    return next(iter(told)), ""


def _first(values: Iterable[str | None]) -> str | None:
    return next((value for value in values if value is not None), None)


def _clean(name: str) -> str:
    """Forward slashes, no './', no doubled slash."""
    name = re.sub(r"/{2,}", "/", name.strip().replace("\\", "/"))
    return re.sub(r"^(\./)+", "", name)


def _nfc(name: str) -> str:
    return unicodedata.normalize("NFC", name)
