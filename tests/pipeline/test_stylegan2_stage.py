"""NVIDIA's networks and e4e in the stage ``invert``: small random ones in the real file formats, every refusal."""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inversion.pixels import to_uint8
from inversion.stylegan2 import load_stylegan2
from pipeline import params, tables, weights
from pipeline.converted import require_converted
from pipeline.doctor import examine
from pipeline.errors import UserError
from pipeline.ingest.faces import decode_image
from pipeline.networks import _STYLEGAN2_PX, Networks, load_networks
from pipeline.paths import Paths
from tests.conftest import REPOSITORY
from tests.data.make_e4e_fixture import seeded_checkpoint
from tests.inversion.stylegan2_toy import Toy, nvidia_tensors, write_nvidia_pickle
from tests.pipeline import project

NAME = "stylegan2-ffhq-256"
TOY = Toy(256, 2048, 8, seed=3)
#: Of the size e4e gives codes for: 18 channels of 512.
LARGE = Toy(1024, 2048, 4, w_dim=512, seed=4)
SETTINGS = {"spaces": ["wplus"], "invert.generator": NAME, "invert.precision": "fp32", "sampling.n": 1}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty weights folder."""
    folder = tmp_path / "brought"
    folder.mkdir()
    monkeypatch.setenv("LF_WEIGHTS", str(folder))
    return folder


def bring(folder: Path, toy: Toy = TOY, *, name: str = NAME) -> Path:
    return write_nvidia_pickle(folder / f"{name}.pkl", toy, nvidia_tensors(toy))


def load(*, bf16: bool = False, **changes: Any) -> Networks:
    wanted = params.load(REPOSITORY / "params.yaml").invert.model_copy(update={"generator": NAME} | changes)
    return load_networks(wanted, device="cpu", bf16=bf16, allow_noncommercial=True)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Paths]:
    """A whole run on codes of 14 channels of 16 numbers."""
    root = tmp_path_factory.mktemp("stylegan2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LF_WEIGHTS", str(root))
        bring(root)
        paths = project.make(root, people=[0, 1, 2, 3], **SETTINGS)
        project.run(paths)
        yield paths


def test_codes_have_the_networks_own_shape_and_name(done: Paths) -> None:
    codes = tables.read_pandas(done.table("wplus"), "wplus")
    assert len(codes) == 8
    assert set(codes["n_channels"]) == {14}
    assert {len(code) for code in codes["wplus"]} == {14 * 16}
    (inverter_id,) = set(codes["inverter_id"])
    assert inverter_id.startswith(f"{NAME}-mean-1-stlpips-alex-fp32-")
    sha256 = hashlib.sha256((done.root / f"{NAME}.pkl").read_bytes()).hexdigest()
    assert tables.metadata(done.table("wplus"))["weights"][NAME] == sha256


def test_stored_images_are_the_networks_own_of_the_stored_codes(done: Paths) -> None:
    codes = tables.read_pandas(done.table("wplus"), "wplus", columns=["face_id", "wplus"]).set_index("face_id")["wplus"]
    stored = tables.read_pandas(done.table("reconstructions"), "reconstructions").set_index("face_id")["image"]
    generator = load_stylegan2(done.root / f"{NAME}.pkl", device="cpu")
    drawn = generator.synthesise_256(torch.from_numpy(np.stack(codes.to_list())).reshape(-1, 14, 16)).clamp(-1, 1)
    for face_id, image in zip(codes.index, drawn, strict=True):
        gap = np.abs(decode_image(stored[face_id]).astype(int) - to_uint8(image).astype(int))
        assert gap.max() <= 1, "rounding: another batch size"


def test_later_stages_take_any_number_of_channels(done: Paths) -> None:
    importance = tables.read_pandas(done.table("importance"), "importance")
    assert sorted(set(importance["channel"])) == list(range(14))
    assert tables.read(done.table("map"), "map").num_rows
    assert set(tables.read_pandas(done.table("predictions"), "predictions")["space"]) == {"wplus"}
    assert done.report_html.is_file()


def test_a_search_improves_on_the_mean_code(done: Paths) -> None:
    paths = Paths(done.root)
    project.write_params(
        done.root,
        project.SMALL | SETTINGS | {"invert.quick": {"effort": "fast", "steps": 8}},
    )
    before = tables.read_pandas(paths.table("wplus"), "wplus").set_index("face_id")
    project.run(paths, "invert")
    after = tables.read_pandas(paths.table("wplus"), "wplus").set_index("face_id").loc[before.index]
    assert (after["steps_run"] > 0).all()
    assert after["mse_unit"].median() < before["mse_unit"].median()


def test_a_network_is_converted_once_and_anew_where_it_changed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = bring(folder)
    arguments = {"resolution_px": 256, "allow_noncommercial": True}
    first, sha256 = require_converted(NAME, **arguments)
    assert first.parent == folder
    assert sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    whole, made_ns = first.read_bytes(), first.stat().st_mtime_ns
    network = load_stylegan2(source, device="cpu").weights_sha256
    assert require_converted(NAME, **arguments)[0] == first
    assert first.stat().st_mtime_ns == made_ns
    for place in (-1, 1000):  # a weight; the header
        damaged = bytearray(whole)
        damaged[place] ^= 1
        first.write_bytes(damaged)
        caplog.clear()
        assert require_converted(NAME, **arguments)[0] == first
        assert load_stylegan2(first, device="cpu").weights_sha256 == network
        assert "is not as it was written" in caplog.text
    bring(folder, replace(TOY, seed=5))
    second, other_sha256 = require_converted(NAME, **arguments)
    assert second != first
    assert other_sha256 != sha256
    assert load_stylegan2(second, device="cpu").weights_sha256 != network


class Attack:
    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self._trace}",)


def test_bad_networks_are_one_sentence_and_leave_nothing(folder: Path, tmp_path: Path) -> None:
    file = folder / f"{NAME}.pkl"
    with pytest.raises(UserError, match=rf"not here: run `lf weights fetch {NAME}`, or download https://.* put it at"):
        load()
    whole = bring(folder).read_bytes()
    trace = tmp_path / "was-run"
    cases = {
        "the pickle is damaged": whole[: len(whole) // 2],
        "system": pickle.dumps({"G_ema": Attack(trace)}),
        "expected 'G_ema' or 'g_ema'": pickle.dumps({"weights": {}}),
        "expected a network of 256 px, found one of 64": bring(folder, Toy(64, 2048, 8)).read_bytes(),
    }
    for message, content in cases.items():
        file.write_bytes(content)
        with pytest.raises(UserError, match=f"weights '{NAME}': .*{message}") as caught:
            load()
        assert "\n" not in str(caught.value)
    assert not trace.exists()
    weights.record_sha256(file, hashlib.sha256(whole).hexdigest())  # as `lf weights fetch` leaves it
    with pytest.raises(UserError, match="is not the file that was registered"):
        load()
    assert not list(folder.glob("*.safetensors"))
    file.write_bytes(whole)
    (folder / f"{NAME}-{hashlib.sha256(whole).hexdigest()[:16]}.safetensors").mkdir()
    with pytest.raises(UserError, match=r"cannot write .*\.safetensors"):
        load()


def test_bf16_is_for_the_blocks_trained_in_16_bits_and_for_the_search_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(_STYLEGAN2_PX, NAME, 64)  # many CPUs emulate bfloat16, slowly
    bring(folder, Toy(64, 512, 8, num_fp16_res=3, conv_clamp=256.0))
    networks = load(bf16=True)
    codes = networks.exact.mean_w.expand(1, 10, -1) + 0.5
    exact = networks.exact.synthesise_256(codes)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(networks.exact.synthesise_256(codes), exact)
        searched = networks.generator.synthesise_256(codes)
    assert searched.dtype == torch.float32
    gap = ((searched - exact).square().mean() / exact.square().mean()).sqrt()
    assert 1e-5 < gap < 0.03  # bfloat16 rounds to 1 / 256, over six convolutions


def test_an_in_domain_term_without_an_encoder_is_refused(tmp_path: Path) -> None:
    """At once, not by failing every face."""
    project.write_params(tmp_path, {"invert.encoder": "none", "invert.in_domain_weight": 0.5})
    with pytest.raises(UserError, match="in_domain_weight above 0 needs an encoder"):
        params.load(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("generator", "encoder", "expected"),
    [
        ("mobile", "e4e", "expected auto, none, own"),
        (NAME, "e4e", "expected auto, none"),
        ("stylegan2-ffhq-1024", "own", "expected auto, none, e4e"),
    ],
)
def test_an_encoder_of_another_generator_is_refused(
    tmp_path: Path, generator: str, encoder: str, expected: str
) -> None:
    project.write_params(tmp_path, {"invert.generator": generator, "invert.encoder": encoder})
    with pytest.raises(UserError, match=f"'{encoder}' does not fit generator '{generator}', {expected}"):
        params.load(tmp_path / "params.yaml")


def test_a_mobile_search_may_begin_at_the_mean_code() -> None:
    networks = load(generator="mobile", encoder="none")
    assert networks.encoder is None
    assert networks.head is not None
    assert networks.encoder_name == "mean"
    assert "mobile-encoder" not in networks.hashes


def test_e4e_is_taken_where_it_is_there(folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    name = "stylegan2-ffhq-1024"
    checkpoint = seeded_checkpoint(18)
    tensors = nvidia_tensors(LARGE)
    tensors["mapping.w_avg"] = checkpoint["latent_avg"][0]
    write_nvidia_pickle(folder / f"{name}.pkl", LARGE, tensors)
    assert load(generator=name).encoder is None
    assert "the search begins at the mean code (for a better start, download https://github.com/omertov" in caplog.text
    with pytest.raises(UserError, match=r"'e4e-ffhq-encode' are not here: download .* put it at .*e4e_ffhq_encode\.pt"):
        load(generator=name, encoder="e4e")
    file = folder / "e4e_ffhq_encode.pt"
    torch.save(checkpoint, file)

    paths = project.make(tmp_path, people=[0], kinds=["real"], **SETTINGS | {"invert.generator": name})
    assert {"weights e4e-ffhq-encode", f"weights {name}"} <= {c.name for c in examine(paths) if c.state == "note"}
    project.run(paths, "videos", "faces", "invert")
    (row,) = tables.read_pandas(paths.table("wplus"), "wplus").to_dict("records")
    assert (row["n_channels"], len(row["wplus"])) == (18, 18 * 512)
    assert row["inverter_id"].startswith(f"{name}-e4e-1-")
    assert set(tables.metadata(paths.table("wplus"))["weights"]) == {name, "e4e-ffhq-encode", "stlpips-alex"}

    bring(folder, LARGE, name=name)  # the same network about another mean
    with pytest.raises(UserError, match="'e4e-ffhq-encode': e4e: made for another generator: its mean code lies"):
        load(generator=name)
    file.write_bytes(file.read_bytes()[:-100_000])
    with pytest.raises(UserError, match=r"'e4e-ffhq-encode': .* expected an e4e checkpoint"):
        load(generator=name)
