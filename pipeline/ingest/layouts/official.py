"""Layouts whose labels stand in the folder and file names of a published set: ``ffpp`` and ``celebdf``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline.ingest.files import Found, check_root, find_files
from pipeline.ingest.groups import Groups
from pipeline.ingest.records import FAKE, LABEL_NAMES, REAL, CatalogueError, VideoRecord

FFPP_EXPECTED = (
    "original_sequences/{youtube,actors}/<compression>/videos/ and manipulated_sequences/<method>/<compression>/videos/"
)
CELEBDF_EXPECTED = "Celeb-real/, Celeb-synthesis/ and YouTube-real/"
TESTING_LIST = "List_of_testing_videos.txt"

_COMPRESSION = re.compile(r"raw|c\d+")
# Masks, extracted frames and the like, which the set's own tools put where a compression level would stand.
_FFPP_COMPANIONS = frozenset({"masks", "images", "models", "bounding_boxes"})
_YOUTUBE_PAIR = re.compile(r"(\d{3})_(\d{3})")
_ACTOR_PAIR = re.compile(r"(\d{2})_(\d{2})__(.+)__[A-Z0-9]+")
_YOUTUBE_ORIGINAL = re.compile(r"\d{3}")
_ACTOR_ORIGINAL = re.compile(r"(\d{2})__(.+)")
_CELEB_REAL = re.compile(r"(id\d+)_(\d+)")
_CELEB_FAKE = re.compile(r"(id\d+)_(id\d+)_(\d+)")
_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class _Told:
    """What folder and file name tell; `footage` are the recordings that went in, the filmed one first."""

    label: int | None = None
    method: str | None = None
    compression: str | None = None
    footage: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    problem: str = ""


def ffpp(root: Path) -> list[VideoRecord]:
    """FaceForensics++ in its official layout, every method and compression level that is there.

    ``AAA_BBB`` is footage of AAA with the face or expression of BBB: both originals, both directions, all methods
    and all compression levels of a pair are one group. In DeepFakeDetection, ``01_02__scene__HASH`` joins the clips
    of actors 01 and 02 in that scene.
    """
    files = find_files(check_root(root, FFPP_EXPECTED)).files
    return _catalogue(root, files, "ffpp", FFPP_EXPECTED, _read_ffpp)


def celebdf(root: Path) -> list[VideoRecord]:
    """Celeb-DF (v1, v2) in its official layout; the authors' test list, where there, fills `official_split`.

    ``id0_id1_0000`` is footage ``id0_0000`` with the face of person id1, learned from all of id1's clips. Groups are
    by footage: joined by person as well, nearly everything would be one group. `identity` names both people for a
    stricter split.
    """
    tree = find_files(check_root(root, CELEBDF_EXPECTED))
    records = _catalogue(root, tree.files, "celebdf", CELEBDF_EXPECTED, _read_celebdf)
    if not tree.has(TESTING_LIST):
        return records
    listed = _testing_list(root / TESTING_LIST)
    return [replace(record, official_split="test" if record.rel_path in listed else "train") for record in records]


def _catalogue(
    root: Path, files: list[Found], dataset: str, expected: str, read: Callable[[Found], _Told | None]
) -> list[VideoRecord]:
    """Records of all files `read` does not pass over (None)."""
    told = {found.rel_path: read(found) for found in files}
    if not any(one is not None and one.label is not None for one in told.values()):
        there = ", ".join(sorted({found.parts[0] for found in files})[:8]) or "nothing"
        raise CatalogueError(f"{root} holds no data of this layout; expected {expected}; found {there}.")
    groups = Groups()
    for one in told.values():
        groups.join_all(one.footage if one else ())
    return [
        _record(found, one, dataset, groups.find(one.footage[0]) if one.footage else found.rel_path)
        for found in files
        if (one := told[found.rel_path]) is not None
    ]


def _record(found: Found, told: _Told, dataset: str, source_group: str) -> VideoRecord:
    usable = found.status == "ok"
    return VideoRecord(
        path=found.path,
        rel_path=found.rel_path,
        dataset=dataset,
        label=told.label,
        method=LABEL_NAMES[REAL] if told.label == REAL else told.method,
        compression=told.compression,
        source_group=source_group,
        identity=",".join(dict.fromkeys(told.people)) or None,
        status="rejected" if usable and told.problem else found.status,
        reason=told.problem if usable else found.reason,
    )


def _read_ffpp(found: Found) -> _Told | None:
    parts = found.parts
    if parts[0] not in ("original_sequences", "manipulated_sequences"):
        return _Told(problem="stands outside original_sequences/ and manipulated_sequences/")
    if any(part in _FFPP_COMPANIONS for part in parts[2:-1]):
        return None
    if len(parts) != 5 or parts[3] != "videos" or not _COMPRESSION.fullmatch(parts[2]):
        return _Told(problem=f"not in a folder {parts[0]}/<name>/<raw, c23 or c40>/videos/")
    _, origin, compression, _, name = parts
    stem = name.rpartition(".")[0]
    if parts[0] == "original_sequences":
        return _ffpp_original(origin, compression, stem)
    return _ffpp_fake(origin, compression, stem)


def _ffpp_original(origin: str, compression: str, stem: str) -> _Told:
    if origin == "youtube" and _YOUTUBE_ORIGINAL.fullmatch(stem):
        return _Told(REAL, None, compression, (f"youtube/{stem}",), (f"youtube/{stem}",))
    if origin == "actors" and (match := _ACTOR_ORIGINAL.fullmatch(stem)):
        return _Told(REAL, None, compression, (f"actors/{stem}",), (f"actors/{match[1]}",))
    return _Told(problem=f"the name is not that of an original in {origin}/ (youtube/AAA.mp4, actors/01__scene.mp4)")


def _ffpp_fake(method: str, compression: str, stem: str) -> _Told:
    if match := _YOUTUBE_PAIR.fullmatch(stem):
        both = tuple(f"youtube/{number}" for number in match.groups())
        return _Told(FAKE, method, compression, both, both)
    if match := _ACTOR_PAIR.fullmatch(stem):
        footage = tuple(f"actors/{actor}__{match[3]}" for actor in match.groups()[:2])
        people = tuple(f"actors/{actor}" for actor in match.groups()[:2])
        return _Told(FAKE, method, compression, footage, people)
    return _Told(problem="the name is not that of a manipulated video (AAA_BBB.mp4, 01_02__scene__HASH.mp4)")


def _read_celebdf(found: Found) -> _Told | None:
    folder, stem = found.parts[0], found.parts[-1].rpartition(".")[0]
    if len(found.parts) == 2:
        if folder == "Celeb-real" and (match := _CELEB_REAL.fullmatch(stem)):
            return _Told(REAL, footage=(stem,), people=(match[1],))
        if folder == "YouTube-real" and _NUMBER.fullmatch(stem):
            return _Told(REAL, footage=(f"youtube_{stem}",))
        if folder == "Celeb-synthesis" and (match := _CELEB_FAKE.fullmatch(stem)):
            return _Told(FAKE, folder, footage=(f"{match[1]}_{match[3]}",), people=(match[1], match[2]))
    return _Told(problem="the path is none of Celeb-real/id0_0000, Celeb-synthesis/id0_id1_0000, YouTube-real/00000")


def _testing_list(path: Path) -> frozenset[str]:
    """Relative paths in the authors' list, whose lines read ``1 YouTube-real/00170.mp4``."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CatalogueError(f"{path} is not readable as text: {error}.") from error
    return frozenset(line.split(maxsplit=1)[1].strip() for line in lines if len(line.split(maxsplit=1)) == 2)
