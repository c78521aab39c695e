"""Which metric ``invert.perceptual`` leads to: official where its files are there, never another than it says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline import params, perceptual, tables, user_files, weights
from pipeline.doctor import examine
from pipeline.errors import UserError
from pipeline.user_files import USER_FILES, find_user_file, require_user_file
from tests.conftest import REPOSITORY
from tests.pipeline import project

# Sizes of AlexNet's convolutions; the real file cannot be had without a network.
ALEX = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}


@pytest.fixture(autouse=True)
def _no_files_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LF_WEIGHTS", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def alex(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A random AlexNet under the published name in the folder ``weights``, its hash registered."""
    random = torch.Generator().manual_seed(0)
    state = {}
    for layer, shape in ALEX.items():
        state[f"features.{layer}.weight"] = torch.randn(shape, generator=random) * 0.05
        state[f"features.{layer}.bias"] = torch.zeros(shape[0])
    file = tmp_path / "weights" / USER_FILES["lpips-alex"].name
    file.parent.mkdir()
    torch.save(state, file)
    prefix = hashlib.sha256(file.read_bytes()).hexdigest()[:8]
    monkeypatch.setitem(USER_FILES, "lpips-alex", replace(USER_FILES["lpips-alex"], sha256_prefix=prefix))
    return file


def test_every_setting_has_its_weights_registered() -> None:
    settings = params.load(REPOSITORY / "params.yaml")
    assert settings.invert.perceptual == "auto"
    names = set(params.Perceptual.__args__) - {"auto"}
    assert names <= set(weights.REGISTRY)
    assert {n for n in names if n.startswith("lpips")} < set(USER_FILES)


def test_hash_prefixes_are_those_in_the_file_names() -> None:
    prefixes = {name: entry.sha256_prefix for name, entry in USER_FILES.items() if name.startswith("lpips")}
    assert prefixes == {"lpips-alex": "7be5be79", "lpips-vgg": "397923af", "lpips-squeeze": "b8a52dc0"}


def test_auto_is_st_lpips_where_nothing_was_brought() -> None:
    chosen = perceptual.choose("auto", allow_noncommercial=True)
    assert chosen.name == "stlpips-alex"
    assert chosen.sha256 == weights.sha256("stlpips-alex")
    assert chosen.load(device="cpu").name == "stlpips-alex"


def test_auto_is_official_where_its_network_is_there(alex: Path) -> None:
    chosen = perceptual.choose("auto", allow_noncommercial=True)
    distance = chosen.load(device="cpu")
    assert chosen.name == distance.name == "lpips-alex"
    assert chosen.files[0].samefile(alex)
    assert chosen.sha256 == distance.weights_sha256, "the fingerprint and the loader name the same weights"


def test_st_lpips_stays_st_lpips_where_it_is_demanded(alex: Path) -> None:
    assert perceptual.choose("stlpips-alex", allow_noncommercial=True).name == "stlpips-alex"


@pytest.mark.parametrize("net", ["alex", "vgg", "squeeze"])
def test_a_demanded_network_that_is_missing_says_how_to_get_it(net: str) -> None:
    entry = USER_FILES[f"lpips-{net}"]
    with pytest.raises(UserError, match=f"need {entry.name}, which no package carries: get it from https://"):
        perceptual.choose(f"lpips-{net}", allow_noncommercial=True)


@pytest.mark.parametrize("wanted", ["auto", "lpips-alex"])
def test_a_damaged_file_is_an_error_and_not_another_metric(alex: Path, wanted: str) -> None:
    content = bytearray(alex.read_bytes())
    content[len(content) // 2] ^= 1
    alex.write_bytes(content)
    with pytest.raises(UserError, match="is not the published file: its SHA-256 begins with"):
        perceptual.choose(wanted, allow_noncommercial=True)


def test_the_named_folder_comes_before_the_projects(
    alex: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setenv("LF_WEIGHTS", str(elsewhere))
    found = find_user_file("lpips-alex")
    assert found is not None
    assert found.samefile(alex)
    other = elsewhere / alex.name
    other.write_bytes(b"other")
    assert find_user_file("lpips-alex") == other


def test_noncommercial_files_can_be_refused() -> None:
    with pytest.raises(UserError, match=r"'e4e-ffhq-1024' forbid commercial use \(code MIT; weights trained on FFHQ"):
        require_user_file("e4e-ffhq-1024", allow_noncommercial=False)
    with pytest.raises(UserError, match=r"need e4e_ffhq_encode\.pt"):
        require_user_file("e4e-ffhq-1024", allow_noncommercial=True)


def test_doctor_tells_of_a_missing_network(tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[0])
    assert [c.state for c in examine(paths) if c.name == "weights stlpips-alex"] == ["ok"]
    project.write_params(tmp_path, project.SMALL | {"invert.perceptual": "lpips-vgg"})
    (check,) = [c for c in examine(paths) if c.name == "weights lpips-vgg"]
    assert check.state == "MISSING"
    assert "vgg16-397923af.pth" in check.finding


def test_the_stage_names_the_metric_and_keeps_codes_of_two_metrics_apart(alex: Path, tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[0], kinds=["real"], **{"sampling.n": 1})
    project.run(paths, "videos", "faces")
    ids = {}
    for wanted in ("auto", "stlpips-alex"):
        project.write_params(tmp_path, project.SMALL | {"sampling.n": 1, "invert.perceptual": wanted})
        project.run(paths, "invert")
        name = "lpips-alex" if wanted == "auto" else wanted
        for table in ("wplus", "reconstructions"):
            assert tables.metadata(paths.table(table))["perceptual"] == name
        (ids[name],) = set(tables.read(paths.table("wplus"), "wplus").column("inverter_id").to_pylist())
        assert f"-{name}-" in ids[name]
        assert name in tables.metadata(paths.table("wplus"))["weights"]
    assert len(set(ids.values())) == 2


def test_other_weights_of_one_metric_are_another_inverter(alex: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = perceptual.choose("lpips-alex", allow_noncommercial=True)
    alex.write_bytes(alex.read_bytes() + b"\0")
    monkeypatch.setitem(user_files.USER_FILES, "lpips-alex", replace(USER_FILES["lpips-alex"], sha256_prefix=""))
    assert perceptual.choose("lpips-alex", allow_noncommercial=True).sha256 != before.sha256
