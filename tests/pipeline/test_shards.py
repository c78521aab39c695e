"""Interrupted work resumes, and the finished table does not show it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline import tables
from pipeline.shards import Shards


def row(face: str) -> dict[str, object]:
    return {"face_id": face, "embedder_id": "net", "embedding": [1.0]}


@pytest.fixture
def shards(tmp_path: Path) -> Shards:
    return Shards(tmp_path / "work" / "f1", name="embeddings", meta={"fingerprint": "f1"})


def test_pieces_written_in_any_order_give_the_same_table(tmp_path: Path, shards: Shards) -> None:
    for key in ("p2", "p0", "p1"):
        shards.write(key, [row(f"{key}-b"), row(f"{key}-a")])
    assert shards.finish(["p0", "p1", "p2"], tmp_path / "out") == 6
    ids = tables.read(tmp_path / "out", "embeddings").column("face_id").to_pylist()
    assert ids == ["p0-a", "p0-b", "p1-a", "p1-b", "p2-a", "p2-b"]


def test_a_second_process_finds_what_the_first_finished(shards: Shards) -> None:
    shards.write("p0", [row("a")])
    again = Shards(shards.folder, name="embeddings", meta={})
    assert again.done("p0")
    assert not again.done("p1")


def test_a_piece_cut_short_by_the_power_going_counts_as_not_done(shards: Shards) -> None:
    shards.write("p0", [row("a")])
    file = shards.path("p0")
    file.write_bytes(file.read_bytes()[:-10])
    assert not shards.done("p0")
    shards.write("p0", [row("a")])
    assert shards.done("p0")


@pytest.mark.parametrize("place", [0, 5, 60, 300, -300, -200, -60, -20, -8, -1])
def test_a_piece_garbled_anywhere_counts_as_not_done(shards: Shards, place: int) -> None:
    shards.write("p0", [row("a")])
    file = shards.path("p0")
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert not shards.done("p0")
    shards.write("p0", [row("a")])
    assert shards.done("p0")


def test_of_two_processes_that_write_a_piece_at_once_one_whole_piece_stays(
    shards: Shards, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = os.replace

    def overtaken(source: Path, target: Path) -> None:
        if target == shards.path("p0"):  # a second process stores its piece just before the first renames its own
            monkeypatch.setattr(os, "replace", rename)
            shards.write("p0", [row("b")])
        rename(source, target)

    monkeypatch.setattr(os, "replace", overtaken)
    shards.write("p0", [row("a")])
    assert shards.done("p0")
    assert tables.read(shards.path("p0"), "embeddings").column("face_id").to_pylist() == ["a"]
    assert not list(shards.folder.glob(".*")), "nothing unfinished is left"


def test_a_table_is_not_made_while_pieces_are_missing(tmp_path: Path, shards: Shards) -> None:
    shards.write("p0", [row("a")])
    with pytest.raises(RuntimeError, match="1 pieces are not finished"):
        shards.finish(["p0", "p1"], tmp_path / "out")


def test_finishing_removes_pieces_of_other_settings_and_keeps_its_own(tmp_path: Path, shards: Shards) -> None:
    other = Shards(tmp_path / "work" / "f0", name="embeddings", meta={})
    other.write("p0", [row("z")])
    shards.write("p0", [row("a")])
    shards.finish(["p0"], tmp_path / "out")
    assert not other.folder.exists()
    assert shards.done("p0")


@pytest.mark.parametrize("key", ["../p", "a/b", "", "ä"])
def test_a_key_cannot_leave_the_folder(shards: Shards, key: str) -> None:
    with pytest.raises(ValueError, match="shard key"):
        shards.path(key)
