"""The catalogue as a whole: identity by content, duplicates, and a folder of hostile inputs."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pipeline.ingest.catalogue import VideoRecord, identify, scan
from pipeline.ingest.sampling import frame_indices
from pipeline.ingest.video import TruncatedVideo, UnreadableVideo, content_id, probe, read_frames
from tests.ingest.media import write_hostile_folder, write_metadata, write_video


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[str, str]]]:
    root = tmp_path_factory.mktemp("höstile set")
    return root, write_hostile_folder(root)


def _outcome(record: VideoRecord) -> tuple[str, str]:
    """Status and reason after looking into the file, as the stage does it."""
    if record.status == "ok":
        try:
            probe(record.path)
        except UnreadableVideo as error:
            return "unreadable", str(error)
    return record.status, record.reason


def test_hostile_folder_row_by_row(hostile: tuple[Path, dict[str, tuple[str, str]]]) -> None:
    root, expected = hostile
    records = scan("folder", root)
    assert {record.rel_path for record in records} == set(expected)
    assert sum(status != "ok" for status, _ in expected.values()) >= 12
    for record in records:
        status, reason = _outcome(record)
        wanted_status, wanted_reason = expected[record.rel_path]
        assert (record.rel_path, status) == (record.rel_path, wanted_status)
        assert wanted_reason in reason
        assert "\n" not in reason
        assert (status == "ok") == (reason == "")


def test_what_is_sound_among_them_can_be_read(hostile: tuple[Path, dict[str, tuple[str, str]]]) -> None:
    root, _ = hostile
    cut_short = []
    for record in scan("folder", root):
        if _outcome(record)[0] != "ok":
            continue
        indices = frame_indices("uniform", probe(record.path).n_frames, n=5)
        try:
            assert len(list(read_frames(record.path, indices))) == len(indices)
        except TruncatedVideo as error:
            cut_short.append((record.rel_path, set(error.missing) < set(indices.tolist())))
    assert cut_short == [("fake/cut short.mp4", True)]


def test_scanning_twice_and_from_elsewhere_gives_the_same(
    hostile: tuple[Path, dict[str, tuple[str, str]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, _ = hostile
    first = scan("folder", root)
    (tmp_path / "link").symlink_to(root)
    monkeypatch.chdir(root.parent)
    for other in (root, Path(root.name), tmp_path / "link"):
        again = scan("folder", other)
        assert [(r.rel_path, r.video_id, r.source_group, r.reason) for r in again] == [
            (r.rel_path, r.video_id, r.source_group, r.reason) for r in first
        ]


def test_ids_are_unique_and_follow_the_bytes(tmp_path: Path) -> None:
    root = tmp_path / "set"
    write_video(root / "real/a.mp4", 3)
    write_video(root / "fake/b.mp4", 4)
    shutil.copy(root / "real/a.mp4", root / "real/copy of a.mp4")
    (root / "real/notes.txt").write_text("x")
    (root / "real/empty.mp4").write_bytes(b"")
    (root / "fake/empty.mp4").write_bytes(b"")
    before = {record.rel_path: record for record in scan("folder", root)}
    assert len({record.video_id for record in before.values()}) == len(before) == 6
    assert before["real/a.mp4"].video_id == content_id(root / "real/a.mp4")
    assert before["real/copy of a.mp4"].reason == "same bytes as real/a.mp4"
    # Empty files share their bytes too, but that is not what is wrong with them.
    assert before["real/empty.mp4"].reason == before["fake/empty.mp4"].reason == "the file is empty"
    (root / "real/a.mp4").rename(root / "real/z.mp4")
    (root / "real/copy of a.mp4").unlink()
    after = {record.rel_path: record for record in scan("folder", root)}
    assert after["real/z.mp4"].video_id == before["real/a.mp4"].video_id  # survives renaming


def test_copies_merge_their_groups(tmp_path: Path) -> None:
    """x.mp4 and y.mp4 are the same clip, each the original of a fake: both fakes share its footage."""
    for i, name in enumerate(("x.mp4", "f.mp4", "g.mp4", "other.mp4")):
        write_video(tmp_path / name, 3 + i)
    shutil.copy(tmp_path / "x.mp4", tmp_path / "y.mp4")
    real = {"label": "REAL"}
    fakes = {f"{f}.mp4": {"label": "FAKE", "original": f"{o}.mp4"} for f, o in (("f", "x"), ("g", "y"))}
    write_metadata(tmp_path, {"x.mp4": real, "y.mp4": real, "other.mp4": real} | fakes)
    groups = {record.rel_path: record.source_group for record in scan("dfdc", tmp_path)}
    assert len({groups[name] for name in ("x.mp4", "y.mp4", "f.mp4", "g.mp4")}) == 1
    assert groups["other.mp4"] == "other.mp4"


@pytest.mark.parametrize("n_copies", [2, 3])
def test_copies_whose_labels_conflict_are_all_rejected(tmp_path: Path, n_copies: int) -> None:
    write_video(tmp_path / "fake/a.mp4", 3)
    for i in range(1, n_copies):
        (tmp_path / "real").mkdir(exist_ok=True)
        shutil.copy(tmp_path / "fake/a.mp4", tmp_path / f"real/a{i}.mp4")
    records = scan("folder", tmp_path)
    assert {record.status for record in records} == {"rejected"}
    assert all(record.reason.endswith("but the labels conflict") for record in records)
    assert all(record.rel_path not in record.reason for record in records)  # each names another


def test_a_file_that_goes_between_listing_and_reading(tmp_path: Path) -> None:
    write_video(tmp_path / "real/a.mp4", 3)
    write_video(tmp_path / "real/b.mp4", 4)
    listed = scan("folder", tmp_path, hash_files=False)
    assert {record.video_id for record in listed} == {""}
    (tmp_path / "real/a.mp4").unlink()
    gone, there = identify(listed)
    assert (gone.status, there.status) == ("unreadable", "ok")
    assert gone.reason == "the file cannot be read: no such file or directory"
    assert gone.video_id != there.video_id != ""


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "real/a.mp4", 3)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("the superuser may read everything")
    [record] = scan("folder", tmp_path)
    assert (record.status, record.reason) == ("unreadable", "the file cannot be read: permission denied")


def test_shared_sets_have_no_unexpected_rows(shared_data: Path) -> None:
    for source, folder, n_files in (("ffpp", "ffpp_c40", 33), ("ffpp", "ffpp_c23", 12), ("dfdc", "dfdc_clips", 6)):
        records = scan(source, shared_data / folder)
        assert len(records) == n_files
        assert {record.status for record in records} == {"ok"}
        assert all(probe(record.path).n_frames > 200 for record in records[:2])
