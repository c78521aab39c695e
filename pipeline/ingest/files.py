"""Every file below a root, in a fixed order, with what is wrong where a file cannot be used."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.ingest.records import CatalogueError, Status

VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp"})
MEDIA_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES

# Files that accompany data sets and never are footage.
_SIDECARS = frozenset(
    {"metadata.json", "labels.csv", "list_of_testing_videos.txt", "thumbs.db", "desktop.ini", "readme", "license"}
)
_SIDECAR_SUFFIXES = frozenset({".md", ".dvc", ".license"})
_SKIPPED_FOLDERS = frozenset({"__macosx", "__pycache__"})


@dataclass(frozen=True)
class Found:
    """A file (or a folder that could not be entered) below the root; `status` is 'ok' for usable media."""

    path: Path
    rel_path: str
    status: Status = "ok"
    reason: str = ""

    @property
    def parts(self) -> tuple[str, ...]:
        """Folder names below the root, then the file's name."""
        return tuple(self.rel_path.split("/"))


def is_image(path: Path | str) -> bool:
    """Whether the name says still image."""
    return Path(path).suffix.lower() in IMAGE_SUFFIXES


def check_root(root: Path, expected: str) -> Path:
    """`root` as an absolute path; a CatalogueError that says what was `expected` there where it is no folder."""
    if not root.exists():
        raise CatalogueError(f"There is no folder {root}; expected {expected} there.")
    if not root.is_dir():
        raise CatalogueError(f"{root} is a file, not a folder; expected a folder with {expected}.")
    return root.absolute()


@dataclass(frozen=True)
class Tree:
    """What lies below a root, each sorted by relative path: `files` that are or pretend to be footage, `sidecars`."""

    files: list[Found]
    sidecars: list[Found]

    def has(self, sidecar: str) -> bool:
        """Whether a sidecar of that name lies in the root itself."""
        return any(found.rel_path == sidecar for found in self.sidecars)


def find_files(root: Path) -> Tree:
    """List the files below `root`.

    Symbolic links are followed, but no folder is read twice. Hidden files are left out, the usual companions of a
    data set (metadata.json, labels.csv, README and the like) are `sidecars`; whatever else is not media is listed
    as rejected.

    Raises
    ------
    CatalogueError : `root` itself cannot be read.
    """
    try:
        os.scandir(root).close()
    except OSError as error:
        raise CatalogueError(f"The folder {root} cannot be read: {_cause(error)}.") from error
    found: list[Found] = []
    seen: set[tuple[int, int]] = set()
    # Linked folders wait until every real one is read: a link never takes the place of the folder it points to.
    pending = [(root, "")]
    while pending:
        links: list[tuple[Path, str]] = []
        for folder, prefix in pending:
            found.extend(_walk(folder, prefix, seen, links))
        pending = sorted(links, key=lambda link: link[1])
    found.sort(key=lambda item: item.rel_path)
    return Tree([f for f in found if not _is_sidecar(f)], [f for f in found if _is_sidecar(f)])


def _walk(folder: Path, prefix: str, seen: set[tuple[int, int]], links: list[tuple[Path, str]]) -> Iterator[Found]:
    """Depth first. `seen` holds device and inode of the folders read; linked folders are put into `links`."""
    info = folder.stat()
    if (info.st_dev, info.st_ino) in seen:
        yield Found(folder, prefix.rstrip("/"), "rejected", "a link to a folder that is read elsewhere")
        return
    seen.add((info.st_dev, info.st_ino))
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        yield Found(folder, prefix.rstrip("/"), "unreadable", f"the folder cannot be read: {_cause(error)}")
        return
    for entry in entries:
        if not entry.name.startswith("."):
            yield from _visit(entry, prefix, seen, links)


def _visit(
    entry: os.DirEntry[str], prefix: str, seen: set[tuple[int, int]], links: list[tuple[Path, str]]
) -> Iterator[Found]:
    path, shown = Path(entry.path), prefix + _printable(entry.name)
    try:
        mode = entry.stat().st_mode  # of the link's target
    except OSError as error:
        broken = entry.is_symlink() and isinstance(error, FileNotFoundError)
        yield Found(path, shown, "unreadable", "a link to a file that is not there" if broken else _cause(error))
        return
    if stat.S_ISDIR(mode):
        if entry.name.lower() in _SKIPPED_FOLDERS:
            return
        if entry.is_symlink():
            links.append((path, shown + "/"))
        else:
            yield from _walk(path, shown + "/", seen, links)
    elif not stat.S_ISREG(mode):
        yield Found(path, shown, "rejected", "not a regular file")  # opening a pipe would wait for ever
    else:
        yield _check_name(path, shown)


def _check_name(path: Path, shown: str) -> Found:
    suffix = path.suffix.lower()
    try:
        str(path).encode("utf-8")
    except UnicodeEncodeError:
        return Found(path, shown, "rejected", "the path is not valid UTF-8")
    if suffix not in MEDIA_SUFFIXES:
        return Found(path, shown, "rejected", f"not a video or image file ({suffix or 'no extension'})")
    return Found(path, shown)


def _is_sidecar(found: Found) -> bool:
    lower = found.path.name.lower()
    return lower in _SIDECARS or found.path.suffix.lower() in _SIDECAR_SUFFIXES or lower.startswith("readme.")


def _printable(name: str) -> str:
    """The name as text a table can hold: bytes that are not UTF-8 become \\xNN."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _cause(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()
