"""The e4e encoder against its authors' own code (stored codes of a random network), and against bad checkpoints."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from inversion.e4e import E4eEncoder, E4eWeightsError, load_e4e
from tests.data.make_e4e_fixture import N_STYLES, OUT, seeded_checkpoint, seeded_faces


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> E4eEncoder:
    file = tmp_path_factory.mktemp("e4e") / "seeded.pt"
    torch.save(seeded_checkpoint(), file)
    loaded = load_e4e(file, n_styles=N_STYLES)
    file.unlink()
    return loaded


def flat_checkpoint(**changes: Any) -> dict[str, Any]:
    """A small file in the right form: each tensor repeats one number."""
    with torch.device("meta"):
        shapes = {key: value.shape for key, value in E4eEncoder(N_STYLES).state_dict().items()}
    state = {f"encoder.{key}": torch.full([1] * len(shape), 0.01).expand(shape) for key, shape in shapes.items()}
    opts = {"encoder_type": "Encoder4Editing", "start_from_latent_avg": True, "stylegan_size": 32}
    return {"state_dict": state, "latent_avg": torch.zeros(N_STYLES, 512), "opts": opts} | changes


def saved(folder: Path, checkpoint: object, **options: Any) -> Path:
    file = folder / "e4e.pt"
    torch.save(checkpoint, file, **options)
    return file


def test_equals_the_authors_own_code(encoder):
    codes = encoder(seeded_faces())
    assert codes.dtype == torch.float32
    # The same layers in float32, codes of size 1: 3e-7 apart when measured. Other convolution kernels through 30 layers
    # may reach 1e-5; a wrong level, slope or scale shows in the first digit.
    np.testing.assert_allclose(codes.numpy(), np.load(OUT)["codes"], rtol=0, atol=2e-5)


def test_a_face_of_a_batch_gets_what_it_gets_alone(encoder):
    faces = seeded_faces()
    # Batch normalisation must stand still; convolutions may be blocked differently for another batch size.
    torch.testing.assert_close(encoder(faces[1:]), encoder(faces)[1:], rtol=0, atol=1e-5)


def test_the_loaded_encoder_is_frozen_and_named(encoder):
    assert not encoder.training
    assert not any(p.requires_grad for p in encoder.parameters())
    assert encoder.name == "e4e"
    assert len(encoder.weights_sha256) == 64


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (torch.zeros(1, 3, 224, 224), r"got \[1, 3, 224, 224\]"),
        (torch.zeros(0, 3, 256, 256), "N of at least 1"),
        (torch.zeros(1, 3, 256, 256, dtype=torch.uint8), "torch.uint8"),
        (torch.full((1, 3, 256, 256), torch.nan), "NaN"),
    ],
)
def test_wrong_images_are_named(encoder, images, expected):
    with pytest.raises(ValueError, match=expected):
        encoder(images)


@pytest.mark.parametrize("mean", [torch.ones(512), torch.ones(1, 512), torch.ones(N_STYLES, 512)])
def test_the_mean_code_may_be_stored_once_or_for_each_style(tmp_path, mean):
    loaded = load_e4e(saved(tmp_path, flat_checkpoint(latent_avg=mean)), n_styles=N_STYLES)
    assert torch.equal(loaded.latent_avg, torch.ones(N_STYLES, 512))


@pytest.mark.parametrize("zipped", [True, False])
def test_options_may_be_a_namespace(tmp_path, zipped):
    checkpoint = flat_checkpoint(opts=Namespace(**flat_checkpoint()["opts"]))
    file = saved(tmp_path, checkpoint, _use_new_zipfile_serialization=zipped)
    assert load_e4e(file, n_styles=N_STYLES).n_styles == N_STYLES


class Attack:
    """Runs a command when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self._trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self._trace}",)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("place", ["state_dict", "opts", "latent_avg", "namespace"])
def test_a_file_that_carries_code_is_refused_and_not_run(tmp_path, place, zipped):
    trace = tmp_path / "was-run"
    attack = Attack(trace)
    change = {"opts": Namespace(encoder_type=attack)} if place == "namespace" else {place: attack}
    file = saved(tmp_path, flat_checkpoint(**change), _use_new_zipfile_serialization=zipped)
    with pytest.raises(E4eWeightsError, match=r"refers to (posix|nt)\.system, which is not weights and is never run"):
        load_e4e(file, n_styles=N_STYLES)
    assert not trace.exists()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("zipped", [True, False])
def test_a_truncated_file_is_named(tmp_path, share, zipped):
    file = saved(tmp_path, flat_checkpoint(), _use_new_zipfile_serialization=zipped)
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(E4eWeightsError, match=r"e4e\.pt: expected an e4e checkpoint, got \d+ bytes"):
        load_e4e(file, n_styles=N_STYLES)


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_give_an_encoder_or_one_error(tmp_path, seed):
    """Bytes of the pickled part: whatever the reader stumbles over becomes the one error."""
    file = saved(tmp_path, {"state_dict": {}, "opts": {"encoder_type": "x"}}, _use_new_zipfile_serialization=False)
    rng = np.random.default_rng(seed)
    content = np.frombuffer(file.read_bytes(), dtype=np.uint8).copy()
    content[rng.integers(0, len(content), 3)] = rng.integers(0, 256, 3)
    file.write_bytes(content.tobytes())
    with pytest.raises(E4eWeightsError, match=r"e4e\.pt"):
        load_e4e(file, n_styles=N_STYLES)


def test_an_encoder_for_another_generator_is_named(tmp_path):
    with pytest.raises(E4eWeightsError, match="expected an encoder of 18 styles, as the generator has, got 8"):
        load_e4e(saved(tmp_path, flat_checkpoint()), n_styles=18)


def test_a_missing_mean_code_is_named(tmp_path):
    checkpoint = flat_checkpoint()
    del checkpoint["latent_avg"]
    with pytest.raises(E4eWeightsError, match="expected the mean code in 'latent_avg', got none"):
        load_e4e(saved(tmp_path, checkpoint), n_styles=N_STYLES)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"latent_avg": torch.zeros(14, 512)}, r"latent_avg: expected shape \[1, 512\], got \[14, 512\]"),
        ({"latent_avg": torch.full((512,), torch.nan)}, "latent_avg: expected finite"),
        ({"opts": None}, "options of the encoder's training in 'opts', got none"),
        # pSp's encoder: the same tensors, other meaning.
        ({"opts": {"encoder_type": "GradualStyleEncoder"}}, "type 'Encoder4Editing', got 'GradualStyleEncoder'"),
        (
            {"opts": {"encoder_type": "Encoder4Editing", "start_from_latent_avg": False}},
            "got start_from_latent_avg: False",
        ),
        ({"state_dict": None}, "with 'state_dict', got dict without"),
    ],
)
def test_other_checkpoints_are_named(tmp_path, change, expected):
    with pytest.raises(E4eWeightsError, match=expected):
        load_e4e(saved(tmp_path, flat_checkpoint(**change)), n_styles=N_STYLES)


@pytest.mark.parametrize(
    ("key", "tensor", "expected"),
    [
        ("body.3.res_layer.3.weight", torch.tensor(torch.nan).expand(128, 128, 3, 3), "res_layer.3.weight: .*NaN"),
        ("latlayer1.weight", torch.zeros(512, 128, 1, 1), r"latlayer1.weight: expected shape \[512, 256, 1, 1\]"),
        ("body.0.res_layer.4.running_var", torch.full((64,), -1.0), "running_var: expected variances"),
        ("latlayer1.bias", "text", "latlayer1.bias: expected a dense tensor, got str"),
        ("body.24.res_layer.0.weight", torch.zeros(512), "unknown: body.24.res_layer.0.weight"),
    ],
)
def test_damaged_tensors_are_named(tmp_path, key, tensor, expected):
    checkpoint = flat_checkpoint()
    checkpoint["state_dict"][f"encoder.{key}"] = tensor
    with pytest.raises(E4eWeightsError, match=expected):
        load_e4e(saved(tmp_path, checkpoint), n_styles=N_STYLES)


def test_a_list_and_a_missing_file_are_errors(tmp_path):
    with pytest.raises(E4eWeightsError, match="got list without"):
        load_e4e(saved(tmp_path, [1, 2]), n_styles=N_STYLES)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pt"):
        load_e4e(tmp_path / "nowhere.pt", n_styles=N_STYLES)
