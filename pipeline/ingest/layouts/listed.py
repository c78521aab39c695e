"""Layouts whose labels stand in folders or side files: ``folder``, ``dfdc``, ``sample``, ``crops``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipeline.ingest.files import Found, Tree, check_root, find_files, is_image
from pipeline.ingest.layouts.labelled import Hint, Listing, Rules, assemble
from pipeline.ingest.records import FAKE, LABEL_WORDS, CatalogueError, VideoRecord
from pipeline.ingest.sidecars import LABELS_CSV, METADATA_JSON, Entry, read_labels_csv, read_metadata_json

SAMPLE_ROOT = Path(__file__).resolve().parent.parent / "sample_data"


def folder(root: Path) -> list[VideoRecord]:
    """``real/**`` and ``fake/**`` (any case); a folder inside ``fake`` names the method.

    ``labels.csv`` or ``metadata.json`` in the root may label further files and name method, source group, identity,
    original and compression. Each file is a group of its own unless these join it to others.
    """
    expected = "real/ and fake/ with videos or images, or a labels.csv"
    root = check_root(root, expected)
    tree = find_files(root)
    files, listings = tree.files, _side_files(root, tree)
    hints = {found.rel_path: _folder_hint(found) for found in files}
    if not listings and not any(hints.values()):
        _refuse(root, expected, files)
    _require_media(root, expected, files)
    rules = Rules("folder", lambda found: hints.get(found.rel_path), _outside_tree, bare_names=True)
    return assemble(root, files, listings, rules)


def dfdc(root: Path, *, dataset: str = "dfdc") -> list[VideoRecord]:
    """Kaggle's Deepfake Detection Challenge: ``metadata.json`` beside the videos, in the root or in its sub-folders.

    A fake is joined to its original, also where the original itself is not there.
    """
    expected = f"{METADATA_JSON} beside its videos (Kaggle's format), or sub-folders that hold both"
    root = check_root(root, expected)
    tree = find_files(root)
    listings = [
        Listing(found.rel_path.removesuffix(METADATA_JSON), read_metadata_json(found.path))
        for found in tree.sidecars
        if found.parts[-1] == METADATA_JSON
    ]
    if not listings:
        _refuse(root, expected, tree.files)
    _require_media(root, expected, tree.files)
    return assemble(root, tree.files, listings, Rules(dataset, _no_hint, lambda found: f"no entry in {METADATA_JSON}"))


def sample(root: Path | None) -> list[VideoRecord]:
    """The synthetic sample set: the one inside the package, or a copy of it at `root`.

    Kaggle's format with the further fields method, compression and identity.
    """
    if root is None and not (SAMPLE_ROOT / METADATA_JSON).is_file():
        raise CatalogueError(f"The sample set is missing from {SAMPLE_ROOT}; install the package again.")
    return dfdc(root or SAMPLE_ROOT, dataset="sample")


def crops(root: Path) -> list[VideoRecord]:
    """Ready-cut face images with a ``labels.csv`` (file, label, source_group): each a video of one frame."""
    expected = f"{LABELS_CSV} with the columns file, label, source_group, and the images it names"
    root = check_root(root, expected)
    tree = find_files(root)
    if not tree.has(LABELS_CSV):
        raise CatalogueError(f"There is no {LABELS_CSV} in {root}; expected {expected}.")
    entries = read_labels_csv(root / LABELS_CSV, required=("file", "label", "source_group"))
    _require_media(root, expected, tree.files)
    rules = Rules("crops", _no_hint, lambda found: f"not named in {LABELS_CSV}", check=_check_crop)
    return assemble(root, tree.files, [Listing("", entries)], rules)


def _side_files(root: Path, tree: Tree) -> list[Listing]:
    listings = []
    if tree.has(LABELS_CSV):
        listings.append(Listing("", read_labels_csv(root / LABELS_CSV, required=("file",))))
    if tree.has(METADATA_JSON):
        listings.append(Listing("", read_metadata_json(root / METADATA_JSON)))
    return listings


def _folder_hint(found: Found) -> Hint | None:
    label = LABEL_WORDS.get(found.parts[0].lower()) if len(found.parts) > 1 else None
    if label is None or found.parts[0] in ("0", "1"):
        return None
    method = found.parts[1] if label == FAKE and len(found.parts) > 2 else None
    return Hint(label, method, f"the folder {found.parts[0]}/")


def _outside_tree(found: Found) -> str:
    if len(found.parts) == 1:
        return "stands beside real/ and fake/ instead of in one of them, and no labels.csv entry names it"
    return f"the folder {found.parts[0]}/ is neither real/ nor fake/, and no labels.csv entry names the file"


def _no_hint(found: Found) -> Hint | None:
    return None


def _check_crop(found: Found, entries: Sequence[Entry]) -> str:
    if not is_image(found.path):
        return f"not a still image ({found.path.suffix.lower()}), as crops must be"
    if all(entry.source_group is None for entry in entries):
        return f"no source_group in {entries[0].where}"
    return ""


def _require_media(root: Path, expected: str, files: list[Found]) -> None:
    if not any(found.status == "ok" for found in files):
        _refuse(root, expected, files)


def _refuse(root: Path, expected: str, files: list[Found]) -> None:
    """Raise the sentence that says what was expected in `root` and what is there."""
    there = sorted({found.parts[0] + ("/" if len(found.parts) > 1 else "") for found in files})
    shown = ", ".join(there[:8]) + (", ..." if len(there) > 8 else "")
    raise CatalogueError(f"{root} holds no data of this layout; expected {expected}; found {shown or 'nothing'}.")
