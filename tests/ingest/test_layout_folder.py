"""The layout ``folder``: real/ and fake/, with or without side files, and everything that can lie between them."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest

from pipeline.ingest.catalogue import CatalogueError, scan
from tests.ingest.layout_checks import checked_scan, members, reasons, touch
from tests.ingest.media import write_metadata


class TestFolder:
    """real/ and fake/, with or without side files."""

    def test_labels_and_methods_from_folders(self, tmp_path: Path) -> None:
        touch(tmp_path, "Real/a.mp4", "real/sub/b.MOV", "FAKE/c.webm", "fake/swap/d.jpg", "fake/swap/deep/e.png")
        touch(tmp_path, ".DS_Store", "real/.hidden.mp4", "README.md", "fake/Thumbs.db", "__MACOSX/real/a.mp4")
        records = checked_scan("folder", tmp_path)
        assert {path: (r.label, r.method) for path, r in records.items()} == {
            "FAKE/c.webm": (1, None),
            "Real/a.mp4": (0, "real"),
            "fake/swap/d.jpg": (1, "swap"),
            "fake/swap/deep/e.png": (1, "swap"),
            "real/sub/b.MOV": (0, "real"),
        }
        assert len(members(records)) == 5
        assert all(r.source_group == path and r.dataset == "folder" for path, r in records.items())

    def test_one_class_is_a_catalogue(self, tmp_path: Path) -> None:
        touch(tmp_path, "real/a.mp4")
        assert len(checked_scan("folder", tmp_path)) == 1

    def test_what_stands_elsewhere_is_reported(self, tmp_path: Path) -> None:
        touch(tmp_path, "real/a.mp4", "other/b.mp4", "c.mp4", "real/notes.txt", "real/noending", "fakes/d.mp4")
        why = reasons(checked_scan("folder", tmp_path))
        assert why["other/b.mp4"][1].startswith("the folder other/ is neither real/ nor fake/")
        assert why["fakes/d.mp4"][1].startswith("the folder fakes/ is neither real/ nor fake/")
        assert why["c.mp4"][1].startswith("stands beside real/ and fake/")
        assert why["real/notes.txt"] == ("rejected", "not a video or image file (.txt)")
        assert why["real/noending"] == ("rejected", "not a video or image file (no extension)")
        assert len(why) == 5

    def test_same_name_in_two_folders(self, tmp_path: Path) -> None:
        touch(tmp_path, "real/a.mp4", "fake/a.mp4", "fake/x/a.mp4")
        records = checked_scan("folder", tmp_path)
        assert not reasons(records)
        assert len(members(records)) == 3

    def test_csv_adds_labels_groups_and_originals(self, tmp_path: Path) -> None:
        touch(
            tmp_path,
            "real/o.mp4",
            "real/p.mp4",
            "fake/f.mp4",
            "fake/g.mp4",
            "more/h.mp4",
            "fake/lost.mp4",
            "fake/i.mp4",
        )
        rows = [
            "File;Label;method;original;identity;compression;source_group;comment",
            "fake/f.mp4;FAKE;swap;real/o.mp4;ann,bob;c23;;",
            "fake\\g.mp4;;blend;o.mp4;;;;a bare name",
            "./more/h.mp4;1;;real/p.mp4;;;take 7;",
            "fake/lost.mp4;fake;;absent.mp4;;;;",
            "fake/i.mp4;fake;;absent.mp4;;;;",
        ]
        (tmp_path / "labels.csv").write_text("\n".join(rows), encoding="utf-8-sig")  # with a byte order mark
        records = checked_scan("folder", tmp_path)
        assert not reasons(records)
        assert members(records) == {
            frozenset({"real/o.mp4", "fake/f.mp4", "fake/g.mp4"}),
            frozenset({"real/p.mp4", "more/h.mp4"}),
            frozenset({"fake/lost.mp4", "fake/i.mp4"}),  # share an original that is not there
        }
        f = records["fake/f.mp4"]
        assert (f.method, f.identity, f.compression) == ("swap", "ann,bob", "c23")
        assert records["fake/g.mp4"].method == "blend"
        assert records["more/h.mp4"].source_group == "take 7"  # a declared name is kept

    def test_metadata_json_in_the_root(self, tmp_path: Path) -> None:
        touch(tmp_path, "real/a.mp4", "fake/b.mp4", "c.mp4")
        write_metadata(tmp_path, {"b.mp4": {"label": "FAKE", "original": "a.mp4"}, "c.mp4": {"label": "REAL"}})
        records = checked_scan("folder", tmp_path)
        assert not reasons(records)
        assert frozenset({"real/a.mp4", "fake/b.mp4"}) in members(records)

    def test_side_file_alone_is_enough(self, tmp_path: Path) -> None:
        touch(tmp_path, "clips/a.mp4", "clips/b.mp4")
        (tmp_path / "labels.csv").write_text("file,label\nclips/a.mp4,real\nclips/b.mp4,fake\n")
        assert {r.label for r in checked_scan("folder", tmp_path).values()} == {0, 1}

    def test_rows_that_go_wrong(self, tmp_path: Path) -> None:
        touch(tmp_path, *(f"fake/{c}.mp4" for c in "abcdefg"), "real/a.mp4", "fake/x/a.mp4")
        rows = [
            "file,label",
            "fake/b.mp4,nan",
            "fake/c.mp4,real",
            "fake/d.mp4,fake,surplus",
            "gone.mp4,fake",
            "../../etc/passwd,fake",
            "/etc/passwd,fake",
            "C:\\clips\\a.mp4,fake",
            "a.mp4,fake",
            ",fake",
            "fake/e.mp4,fake",
            "fake/e.mp4,1",
            "fake/f.mp4,fake",
            "fake/f.mp4,real",
        ]
        (tmp_path / "labels.csv").write_text("\n".join(rows))
        assert reasons(checked_scan("folder", tmp_path)) == {
            "fake/b.mp4": ("rejected", "its label in labels.csv line 2 is 'nan', neither real nor fake"),
            "fake/c.mp4": ("rejected", "labels.csv line 3 says real; the folder fake/ says fake"),
            "fake/d.mp4": ("rejected", "line 4 of labels.csv has 3 fields, its header 2"),
            "gone.mp4": ("unreadable", "listed in labels.csv but not there"),
            "../../etc/passwd": ("rejected", "labels.csv line 6 points outside the data folder"),
            "/etc/passwd": ("rejected", "labels.csv line 7 points outside the data folder"),
            "C:/clips/a.mp4": ("rejected", "labels.csv line 8 points outside the data folder"),
            "a.mp4": ("rejected", "labels.csv line 9 does not say which: 3 folders have a 'a.mp4'"),
            "labels.csv line 10": ("rejected", "labels.csv line 10 names no file"),
            "fake/f.mp4": ("rejected", "labels.csv line 14 says real; the folder fake/ says fake"),
        }

    def test_accents_match_however_composed(self, tmp_path: Path) -> None:
        name = "real/Zoë été.mp4"
        touch(tmp_path, unicodedata.normalize("NFD", name))
        text = "file,label,identity\n" + unicodedata.normalize("NFC", name) + ",real,Zoë\n"
        (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
        [record] = checked_scan("folder", tmp_path).values()
        assert (record.status, record.identity) == ("ok", "Zoë")
        assert record.path.is_file()

    def test_links(self, tmp_path: Path) -> None:
        outside = tmp_path / "elsewhere"
        touch(outside, "a.mp4")
        root = tmp_path / "set"
        touch(root, "fake/b.mp4")
        (root / "real").symlink_to(outside)  # how sets on another disk are brought in
        (root / "fake/loop").symlink_to(root)
        (root / "fake/again").symlink_to(outside)
        (root / "fake/gone.mp4").symlink_to(root / "nothing")
        records = checked_scan("folder", root)
        assert {path for path, r in records.items() if r.status == "ok"} == {"fake/again/a.mp4", "fake/b.mp4"}
        assert records["fake/loop"].reason == "a link to a folder that is read elsewhere"
        assert records["real"].reason == "a link to a folder that is read elsewhere"
        assert records["fake/gone.mp4"].reason == "a link to a file that is not there"

    def test_real_folders_come_before_links_to_them(self, tmp_path: Path) -> None:
        touch(tmp_path, "real/a.mp4", "fake/b.mp4")
        (tmp_path / "fake/aaa").symlink_to(tmp_path / "real")
        records = checked_scan("folder", tmp_path)
        assert records["real/a.mp4"].label == 0
        assert records["fake/aaa"].status == "rejected"

    def test_a_pipe_is_not_waited_for(self, tmp_path: Path) -> None:
        touch(tmp_path, "real/a.mp4")
        os.mkfifo(tmp_path / "real/p.mp4")
        assert checked_scan("folder", tmp_path)["real/p.mp4"].reason == "not a regular file"

    def test_a_name_that_is_no_text(self, tmp_path: Path) -> None:
        touch(tmp_path, "real/a.mp4")
        try:
            (tmp_path / os.fsdecode(b"real/\xff.mp4")).write_bytes(b"x")
        except OSError:
            pytest.skip("this file system keeps only UTF-8 names")
        assert reasons(checked_scan("folder", tmp_path)) == {
            r"real/\xff.mp4": ("rejected", "the path is not valid UTF-8")
        }

    def test_a_folder_that_may_not_be_read(self, tmp_path: Path) -> None:
        touch(tmp_path, "real/a.mp4", "fake/closed/b.mp4")
        (tmp_path / "fake/closed").chmod(0)
        try:
            if os.access(tmp_path / "fake/closed", os.R_OK):
                pytest.skip("the superuser may read everything")
            assert "permission denied" in checked_scan("folder", tmp_path)["fake/closed"].reason
        finally:
            (tmp_path / "fake/closed").chmod(0o700)


BAD_CSV = {
    "no header column": ("filename,label\na.mp4,real\n", r"no column 'file'; its columns are 'filename', 'label'"),
    "twice": ("file,label,File\na.mp4,real,x\n", "names the column 'file' twice"),
    "empty": ("", "is empty; expected a header"),
    "blank": ("\n \n", "is empty; expected a header"),
    "quote": ('file,label\n"a.mp4,real\n', "line 2, is not readable as CSV"),
    "latin-1": ("file,label\n\udce9.mp4,real\n", "is not UTF-8 text \\(byte 11\\)"),
}


@pytest.mark.parametrize("name", BAD_CSV)
def test_unreadable_labels_csv(tmp_path: Path, name: str) -> None:
    content, match = BAD_CSV[name]
    touch(tmp_path, "real/a.mp4")
    (tmp_path / "labels.csv").write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CatalogueError, match=match) as caught:
        scan("folder", tmp_path)
    assert str(tmp_path / "labels.csv") in str(caught.value)
