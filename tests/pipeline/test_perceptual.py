"""Which metric ``invert.perceptual`` leads to: official where its files are there, never another than it says."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch

from pipeline import params, perceptual, tables, weights
from pipeline.doctor import examine
from pipeline.errors import UserError
from pipeline.weights_registry import TRUNKS
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
    file = tmp_path / "weights" / weights.get("alexnet-imagenet").files[0].path
    file.parent.mkdir()
    torch.save(state, file)
    register(monkeypatch, hashlib.sha256(file.read_bytes()).hexdigest()[:8])
    return file


def register(monkeypatch: pytest.MonkeyPatch, sha256: str | None) -> None:
    """Let another file than the published one be AlexNet."""
    entry = weights.get("alexnet-imagenet")
    files = (replace(entry.files[0], sha256=sha256),)
    monkeypatch.setitem(weights.REGISTRY, entry.name, replace(entry, files=files))


def test_every_setting_has_its_weights_registered() -> None:
    settings = params.load(REPOSITORY / "params.yaml")
    assert settings.invert.perceptual == "auto"
    names = set(get_args(params.Metric))
    assert names <= set(weights.REGISTRY)
    assert {n for n in names if n.startswith("lpips")} == set(TRUNKS)


def test_trunks_are_registered_with_the_digits_in_their_file_names() -> None:
    found = {metric: weights.get(trunk).files[0].sha256 for metric, trunk in TRUNKS.items()}
    assert found == {"lpips-alex": "7be5be79", "lpips-vgg": "397923af", "lpips-squeeze": "b8a52dc0"}


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
    entry = weights.get(TRUNKS[f"lpips-{net}"])
    expected = f"run `lf weights fetch {entry.name}`, or download https://.* put it at weights/{entry.files[0].path}"
    with pytest.raises(UserError, match=expected):
        perceptual.choose(f"lpips-{net}", allow_noncommercial=True)


@pytest.mark.parametrize("wanted", ["auto", "lpips-alex"])
def test_a_damaged_file_is_an_error_and_not_another_metric(alex: Path, wanted: str) -> None:
    content = bytearray(alex.read_bytes())
    content[len(content) // 2] ^= 1
    alex.write_bytes(content)
    with pytest.raises(UserError, match="is not the file that was registered"):
        perceptual.choose(wanted, allow_noncommercial=True)


def test_the_named_folder_stands_for_the_projects(alex: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LF_WEIGHTS", str(tmp_path / "elsewhere"))
    assert perceptual.resolve("auto") == "stlpips-alex"
    alex.parent.rename(tmp_path / "elsewhere")
    assert perceptual.choose("auto", allow_noncommercial=True).files[0] == tmp_path / "elsewhere" / alex.name


def test_doctor_tells_of_a_missing_network(tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[0])
    assert [c.state for c in examine(paths) if c.name == "weights stlpips-alex"] == ["ok"]
    project.write_params(tmp_path, project.SMALL | {"invert.perceptual": "lpips-vgg"})
    (check,) = [c for c in examine(paths) if c.name == "weights vgg16-imagenet"]
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
    register(monkeypatch, None)
    assert perceptual.choose("lpips-alex", allow_noncommercial=True).sha256 != before.sha256
