"""Layouts with side files (dfdc, sample, crops), and what all layouts say of a folder without their data."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from pipeline.ingest.catalogue import CatalogueError, scan
from tests.ingest.layout_checks import checked_scan, members, reasons, touch
from tests.ingest.media import write_metadata


@pytest.mark.parametrize("source", ["folder", "dfdc", "sample", "ffpp", "celebdf", "crops"])
class TestNothingThere:
    """One sentence that names the folder and what was expected in it."""

    def test_absent(self, source: str, tmp_path: Path) -> None:
        with pytest.raises(CatalogueError, match=r"There is no folder .*nowhere; expected .*\."):
            scan(source, tmp_path / "nowhere")

    def test_a_file(self, source: str, tmp_path: Path) -> None:
        touch(tmp_path, "file")
        with pytest.raises(CatalogueError, match="is a file, not a folder"):
            scan(source, tmp_path / "file")

    @pytest.mark.parametrize("names", [(), ("Notes.txt", "Pictures/a.tiff")])
    def test_empty_or_foreign(self, source: str, tmp_path: Path, names: tuple[str, ...]) -> None:
        touch(tmp_path, *names)
        with pytest.raises(CatalogueError) as caught:
            scan(source, tmp_path)
        text = str(caught.value)
        assert str(tmp_path) in text
        assert "expected" in text
        assert "\n" not in text
        assert not names or source == "crops" or "Pictures" in text


def test_unknown_source_and_missing_root(tmp_path: Path) -> None:
    with pytest.raises(CatalogueError, match="must be one of sample, folder, dfdc, ffpp, celebdf, crops, not 'faces'"):
        scan("faces", tmp_path)
    with pytest.raises(CatalogueError, match=r"data\.source folder needs data\.root"):
        scan("folder", None)


class TestDfdc:
    """Kaggle's format."""

    def test_parts_and_originals(self, tmp_path: Path) -> None:
        one, two = tmp_path / "dfdc_train_part_0", tmp_path / "dfdc_train_part_1"
        touch(one, "r.mp4", "f1.mp4", "f2.mp4", "a1.mp4")
        touch(two, "a2.mp4", "x.mp4")
        fake = {"label": "FAKE", "split": "train"}
        write_metadata(
            one,
            {
                "r.mp4": {"label": "REAL", "split": "train", "original": None},
                "f1.mp4": fake | {"original": "r.mp4"},
                "f2.mp4": fake | {"original": "r.mp4"},
                "a1.mp4": fake | {"original": "absent.mp4"},
            },
        )
        write_metadata(two, {"a2.mp4": fake | {"original": "absent.mp4"}, "x.mp4": fake | {"original": "r.mp4"}})
        records = checked_scan("dfdc", tmp_path)
        p0, p1 = "dfdc_train_part_0/", "dfdc_train_part_1/"
        assert members(records) == {
            frozenset({p0 + "r.mp4", p0 + "f1.mp4", p0 + "f2.mp4", p1 + "x.mp4"}),
            frozenset({p0 + "a1.mp4", p1 + "a2.mp4"}),
        }
        assert all(r.official_split == "train" for r in records.values())

    def test_root_itself_and_what_goes_wrong(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.mp4", "b.mp4", "c.mp4", "d.mp4", "unlisted.mp4", "e.mp4", "readme.txt", "x.zip")
        entries = {
            "a.mp4": {"label": "REAL"},
            "b.mp4": {"label": "UNKNOWN"},
            "c.mp4": {"split": "train"},
            "d.mp4": "FAKE",
            "e.mp4": {"label": float("nan"), "original": float("nan")},
            "gone.mp4": {"label": "FAKE", "original": "a.mp4"},
        }
        write_metadata(tmp_path, entries)
        records = checked_scan("dfdc", tmp_path)
        assert reasons(records) == {
            "b.mp4": ("rejected", "its label in metadata.json is 'UNKNOWN', neither real nor fake"),
            "c.mp4": ("rejected", "has no label in metadata.json"),
            "d.mp4": ("rejected", "its entry in metadata.json is a text, not an object"),
            "e.mp4": ("rejected", "its label in metadata.json is nan, neither real nor fake"),
            "gone.mp4": ("unreadable", "listed in metadata.json but not there"),
            "unlisted.mp4": ("rejected", "no entry in metadata.json"),
            "x.zip": ("rejected", "not a video or image file (.zip)"),
        }
        assert records["gone.mp4"].label == 1
        assert records["gone.mp4"].source_group == "a.mp4"

    def test_a_name_written_twice(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.mp4", "b.mp4")
        text = '{"a.mp4": {"label": "REAL"}, "a.mp4": {"label": "FAKE"}, "b.mp4": {"label": 1}, "b.mp4": {"label": 1}}'
        (tmp_path / "metadata.json").write_text(text)
        assert reasons(checked_scan("dfdc", tmp_path)) == {
            "a.mp4": ("rejected", "metadata.json says real; metadata.json says fake")
        }

    @pytest.mark.parametrize(
        ("content", "match"),
        [
            (b'{\n  "a.mp4": {"label": "REAL",}\n}', r"metadata\.json is not readable as JSON: .*line 2 column \d+"),
            (b"[1, 2]", "must hold an object of file names, not a list"),
            (b"", "not readable as JSON"),
            (b"\xff\xfe{}", "is not UTF-8 text"),
            (b'{"a":' * 100_000, "not readable as JSON"),
        ],
    )
    def test_unreadable_metadata(self, tmp_path: Path, content: bytes, match: str) -> None:
        touch(tmp_path, "part/a.mp4")
        (tmp_path / "part/metadata.json").write_bytes(content)
        with pytest.raises(CatalogueError, match=match) as caught:
            scan("dfdc", tmp_path)
        assert str(tmp_path / "part/metadata.json") in str(caught.value)

    def test_sample_has_more_fields(self, tmp_path: Path) -> None:
        touch(tmp_path, "videos/a.mp4", "videos/b.mp4")
        fake = {
            "label": "FAKE",
            "original": "videos/a.mp4",
            "method": "swap",
            "compression": "c40",
            "identity": "p1,p2",
        }
        write_metadata(tmp_path, {"videos/a.mp4": {"label": "REAL", "identity": "p1"}, "videos/b.mp4": fake})
        records = checked_scan("sample", tmp_path)
        b = records["videos/b.mp4"]
        assert (b.dataset, b.method, b.compression, b.identity) == ("sample", "swap", "c40", "p1,p2")
        assert len(members(records)) == 1

    def test_shared_clips(self, shared_data: Path) -> None:
        records = checked_scan("dfdc", shared_data / "dfdc_clips")
        assert Counter(r.label for r in records.values()) == {0: 3, 1: 3}
        assert len(members(records)) == 6
        assert not reasons(records)


class TestCrops:
    """Ready-cut faces with a table."""

    def _write(self, root: Path, *rows: str, header: str = "file,label,source_group") -> Path:
        (root / "labels.csv").write_text("\n".join([header, *rows]), encoding="utf-8")
        return root

    def test_groups_are_the_tables(self, tmp_path: Path) -> None:
        touch(tmp_path, "crops/a.jpg", "crops/b.png", "crops/c.webp")
        header = "label,width,FILE,source_group,identity"
        rows = ("REAL,10,crops/a.jpg,g1,ann", "1,20,crops/b.png,g1,", "0,30,crops/c.webp,g2,")
        records = checked_scan("crops", self._write(tmp_path, *rows, header=header))
        assert not reasons(records)
        assert {r.rel_path: (r.label, r.source_group) for r in records.values()} == {
            "crops/a.jpg": (0, "g1"),
            "crops/b.png": (1, "g1"),
            "crops/c.webp": (0, "g2"),
        }
        assert records["crops/a.jpg"].identity == "ann"

    def test_without_source_group_it_stops(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.jpg")
        with pytest.raises(CatalogueError, match="no column 'source_group'; its columns are 'file', 'label', 'group'"):
            scan("crops", self._write(tmp_path, "a.jpg,real,g", header="file,label,group"))

    def test_rows_that_go_wrong(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.jpg", "b.jpg", "c.mp4", "d.jpg", "e.jpg", "f.jpg")
        rows = (
            "a.jpg,real,g1",
            "b.jpg,real,",
            "c.mp4,real,g1",
            "d.jpg,,g1",
            "e.jpg,real,g1",
            "e.jpg,fake,g2",
            "../x.jpg,1,g",
        )
        assert reasons(checked_scan("crops", self._write(tmp_path, *rows))) == {
            "../x.jpg": ("rejected", "labels.csv line 8 points outside the data folder"),
            "b.jpg": ("rejected", "no source_group in labels.csv line 3"),
            "c.mp4": ("rejected", "not a still image (.mp4), as crops must be"),
            "d.jpg": ("rejected", "has no label in labels.csv line 5"),
            "e.jpg": ("rejected", "labels.csv line 6 says real; labels.csv line 7 says fake"),
            "f.jpg": ("rejected", "not named in labels.csv"),
        }

    def test_table_without_any_of_its_images(self, tmp_path: Path) -> None:
        with pytest.raises(CatalogueError, match="and the images it names; found nothing"):
            scan("crops", self._write(tmp_path, "a.jpg,real,g"))

    def test_shared_crops(self, shared_data: Path) -> None:
        records = checked_scan("crops", shared_data / "dfdc_crops")
        assert len(records) == 4_173
        assert len(members(records)) == 1_500
        assert not reasons(records)


def test_a_large_listing_is_quick_to_join(tmp_path: Path) -> None:
    """Ten thousand entries whose originals are elsewhere: linear work, not a search per entry."""
    touch(tmp_path, "part_0/f0.mp4")
    entries = {f"f{i}.mp4": {"label": "FAKE", "original": f"o{i % 100}.mp4"} for i in range(10_000)}
    write_metadata(tmp_path / "part_0", entries)
    (tmp_path / "part_1").mkdir()
    (tmp_path / "part_1/metadata.json").write_text(json.dumps({f"o{i}.mp4": {"label": "REAL"} for i in range(100)}))
    records = checked_scan("dfdc", tmp_path)
    assert len({r.source_group for r in records.values()}) == 100
