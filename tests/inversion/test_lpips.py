"""LPIPS against its authors' own package, on random trunks stored as torchvision stores its own."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from unittest.mock import patch

import pytest
import torch
from torch import Tensor, nn

from inversion.lpips import load_lpips
from inversion.perceptual import PerceptualWeightsError
from tests.data.make_stlpips_fixture import seeded_images
from tests.inversion.conftest import packaged

NETS = ("alex", "vgg", "squeeze")
SIDES_PX = [("alex", 256), ("alex", 97), ("vgg", 97), ("squeeze", 97), ("squeeze", 96)]  # odd and even: poolings differ


def linear_path(net: str) -> Path:
    return packaged("lpips", f"lpips/weights/v0.1/{net}.pth")


def published(net: str) -> nn.Module:
    """The authors' module with their linear weights, on a trunk of random weights."""
    import lpips

    with (
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(),
        # The classifiers, 120 million numbers of VGG-16 alone, are not used: leave them as they are.
        patch.object(nn.Linear, "reset_parameters"),
        patch.object(nn.init, "normal_"),
    ):
        warnings.simplefilter("ignore")  # torchvision's, about the argument the package uses
        torch.manual_seed(NETS.index(net))
        return lpips.LPIPS(net=net, pnet_rand=True, verbose=False)


def torchvision_state(module: nn.Module) -> dict[str, Tensor]:
    """Its trunk under torchvision's names, with a classifier behind it."""
    trunk = module.get_submodule("net").state_dict()
    state = {f"features.{key.split('.', 1)[1]}": value for key, value in trunk.items()}
    return state | {"classifier.1.weight": torch.zeros(10, 9), "classifier.1.bias": torch.full((10,), torch.nan)}


@pytest.fixture(scope="module")
def trunks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[nn.Module, Path]]:
    """For each network: the authors' module and the file of its trunk."""
    made = {}
    for net in NETS:
        module, file = published(net), tmp_path_factory.mktemp("trunks") / f"{net}.pth"
        # The files of AlexNet and VGG-16 are older than torch's zip format.
        torch.save(torchvision_state(module), file, _use_new_zipfile_serialization=net == "squeeze")
        made[net] = (module, file)
    return made


@pytest.mark.parametrize(("net", "side_px"), SIDES_PX)
def test_equals_the_authors_own_code(trunks, net, side_px):
    module, file = trunks[net]
    ours = load_lpips(file, linear_path(net), net=net)
    x, y = seeded_images(side_px)
    with torch.inference_mode():
        # The same operations on the same numbers, but for the mean, taken here before the channels are weighted:
        # float32 sums in another order, 2e-7 relative when measured; 1e-5 leaves room for other convolution kernels.
        torch.testing.assert_close(ours(x, y), module(x, y).flatten(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("net", NETS)
def test_is_zero_on_equal_images_with_finite_gradients(trunks, net):
    ours = load_lpips(trunks[net][1], linear_path(net), net=net)
    x, y = (images[:1] for images in seeded_images(64))
    assert ours(x, x).tolist() == [0.0]
    flat = torch.zeros(1, 3, 64, 64, requires_grad=True)
    (gradient,) = torch.autograd.grad(ours(flat, y).sum(), flat)
    assert gradient.isfinite().all()
    assert not any(p.requires_grad for p in ours.parameters())


def test_name_and_hash_tell_the_weights(trunks, tmp_path):
    alex = load_lpips(trunks["alex"][1], linear_path("alex"), net="alex")
    assert alex.name == "lpips-alex"
    other = tmp_path / "other.pth"
    state = torchvision_state(trunks["alex"][0])
    torch.save(state | {"features.0.bias": state["features.0.bias"] + 1}, other)
    assert load_lpips(other, linear_path("alex"), net="alex").weights_sha256 != alex.weights_sha256


def test_a_trunk_for_another_network_is_named(trunks):
    with pytest.raises(PerceptualWeightsError, match=r"LPIPS 'alex' trunk: expected its 10 tensors, got 26"):
        load_lpips(trunks["vgg"][1], linear_path("alex"), net="alex")


def test_linear_weights_for_another_network_are_named(trunks):
    with pytest.raises(PerceptualWeightsError, match=r"linear weights: lin1.*expected shape \[1, 192, 1, 1\]"):
        load_lpips(trunks["alex"][1], linear_path("vgg"), net="alex")


def test_swapped_files_are_named(trunks):
    with pytest.raises(PerceptualWeightsError, match=r"trunk: .*unknown: lin0"):
        load_lpips(linear_path("alex"), trunks["alex"][1], net="alex")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_a_truncated_trunk_is_named(trunks, tmp_path, net, share):
    broken = tmp_path / "broken.pth"
    content = trunks[net][1].read_bytes()
    broken.write_bytes(content[: int(share * len(content))])
    with pytest.raises(PerceptualWeightsError, match=r"broken\.pth: expected a torchvision weight file, got \d+ bytes"):
        load_lpips(broken, linear_path(net), net=net)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_trunk_that_carries_code_is_refused_and_not_run(tmp_path, zipped):
    trace = tmp_path / "was-run"

    class Attack:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.system, (f"touch {trace}",)

    file = tmp_path / "attack.pth"
    torch.save({"features.0.weight": Attack()}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(PerceptualWeightsError, match=r"refers to (posix|nt)\.system, which is not weights") as caught:
        load_lpips(file, linear_path("alex"), net="alex")
    assert "weights_only" not in str(caught.value), "torch's advice to run it all the same"
    assert not trace.exists()


@pytest.mark.parametrize(
    ("key", "tensor", "expected"),
    [
        ("features.0.weight", torch.zeros(64, 3, 7, 7), r"features.0.weight: expected shape \[64, 3, 11, 11\]"),
        ("features.3.bias", torch.full((192,), torch.nan), "features.3.bias: expected finite weights"),
        ("features.3.bias", torch.zeros(192, dtype=torch.int64), "expected floating-point weights, got torch.int64"),
        pytest.param(
            "features.3.bias",
            torch.zeros(192).to_sparse(),
            "features.3.bias: expected a dense tensor",
            marks=pytest.mark.filterwarnings("ignore:Validating sparse tensor"),
        ),
        ("features.12.weight", torch.zeros(1), "unknown: features.12.weight"),
    ],
)
def test_damaged_trunks_are_named(trunks, tmp_path, key, tensor, expected):
    file = tmp_path / "alex.pth"
    torch.save({**torchvision_state(trunks["alex"][0]), key: tensor}, file)
    with pytest.raises(PerceptualWeightsError, match=expected):
        load_lpips(file, linear_path("alex"), net="alex")


def test_missing_files_and_unknown_networks_are_errors(trunks, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        load_lpips(tmp_path / "nowhere.pth", linear_path("alex"), net="alex")
    with pytest.raises(ValueError, match="expected net 'alex', 'vgg', 'squeeze', got 'resnet'"):
        load_lpips(trunks["alex"][1], linear_path("alex"), net="resnet")
