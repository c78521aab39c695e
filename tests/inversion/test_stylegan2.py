"""StyleGAN2 against the authors' own images, from every file format; and files that hold something else."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from safetensors.torch import load_file, save_file

from inversion.generator import Generator
from inversion.safe_names import PickleRefused
from inversion.stylegan2 import StyleGan2, load_stylegan2, upsample
from inversion.stylegan2_formats import convert, read_network
from inversion.stylegan2_state import Layout, WeightsError, load_state
from tests.data.make_stylegan2_fixture import ROSINALITY, STORED, codes_of
from tests.inversion.stylegan2_toy import (
    Persistent,
    Tensors,
    Toy,
    fake_modules,
    nvidia_tensors,
    persistent_network,
    rosinality_names,
    write_nvidia_pickle,
)

FIXTURE = np.load(Path(__file__).resolve().parents[1] / "data" / "stylegan2_parity.npz")
TOY = Toy(seed=7)
#: Float32 sums in another order, over some thousand terms of size 1; 1.5e-5 was seen over networks up to 1024 px.
TOLERANCE = 5e-5


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> StyleGan2:
    path = tmp_path_factory.mktemp("small") / "network.pkl"
    return load_stylegan2(write_nvidia_pickle(path, TOY, nvidia_tensors(TOY)), device="cpu")


@torch.no_grad()
@pytest.mark.parametrize("name", sorted(STORED))
def test_images_and_codes_equal_the_authors(name: str, tmp_path: Path) -> None:
    toy = STORED[name]
    path = write_nvidia_pickle(tmp_path / "network.pkl", toy, nvidia_tensors(toy))
    generator = load_stylegan2(path, device="cpu")
    z, w_plus = codes_of(toy)
    image = generator.synthesise(w_plus)
    assert image.dtype == torch.float32
    assert np.abs(image.numpy() - FIXTURE[f"{name}.image"]).max() < TOLERANCE
    assert np.abs(generator.map(z, 0.7).numpy() - FIXTURE[f"{name}.w"]).max() < 2e-5
    silent = load_stylegan2(path, device="cpu", noise="none")
    assert np.abs(silent.synthesise(w_plus).numpy() - FIXTURE[f"{name}.image_without_noise"]).max() < TOLERANCE
    # What the tolerance must see: the noise, the channels' order, and the clamp where there is one.
    assert np.abs(FIXTURE[f"{name}.image"] - FIXTURE[f"{name}.image_without_noise"]).max() > 100 * TOLERANCE
    assert np.abs(generator.synthesise(w_plus.flip(1)).numpy() - FIXTURE[f"{name}.image"]).max() > 0.1
    assert silent.weights_sha256 != generator.weights_sha256
    if toy.conv_clamp is not None:
        free = write_nvidia_pickle(tmp_path / "free.pkl", replace(toy, conv_clamp=None), nvidia_tensors(toy))
        difference = load_stylegan2(free, device="cpu").synthesise(w_plus).numpy() - FIXTURE[f"{name}.image"]
        assert np.abs(difference).max() > 100 * TOLERANCE


@torch.no_grad()
@pytest.mark.parametrize("zipped", [True, False])
def test_a_rosinality_checkpoint_gives_its_authors_image(zipped: bool, tmp_path: Path) -> None:
    tensors = nvidia_tensors(ROSINALITY)
    content = {"g_ema": rosinality_names(tensors), "latent_avg": tensors["mapping.w_avg"]}
    path = tmp_path / "checkpoint.pt"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    generator = load_stylegan2(path, device="cpu")
    image = generator.synthesise(codes_of(ROSINALITY)[1]).numpy()
    assert np.abs(image - FIXTURE["rosinality.image"]).max() < TOLERANCE
    assert torch.equal(generator.mean_w, tensors["mapping.w_avg"])


def test_a_mean_code_that_a_file_lacks_is_drawn(tmp_path: Path) -> None:
    """rosinality's training writes none."""
    torch.save({"g_ema": rosinality_names(nvidia_tensors(ROSINALITY))}, tmp_path / "training.pt")
    generator = load_stylegan2(tmp_path / "training.pt", device="cpu")
    z = torch.randn(20_000, generator.w_dim, generator=torch.Generator().manual_seed(5))
    error = (generator.mean_w - generator.map(z).mean(0)) / generator.std_w
    # Two means of 10,000 and 20,000 draws: a deviation of 0.012.
    assert error.abs().max() < 0.06
    assert error.abs().max() > 0


def test_every_format_gives_one_digest(small: StyleGan2, tmp_path: Path) -> None:
    tensors = nvidia_tensors(TOY)
    files = [write_nvidia_pickle(tmp_path / f"p{n}.pkl", TOY, tensors, protocol=n) for n in (3, 4, 5)]
    for name, content in (("flat.pt", tensors), ("nested.pt", {"G_ema": tensors})):
        torch.save(content, tmp_path / name)
        files.append(tmp_path / name)
    arrays = tmp_path / "arrays.pkl"
    arrays.write_bytes(pickle.dumps({name: tensor.numpy() for name, tensor in tensors.items()}))
    files.append(arrays)
    torch.save({"g_ema": rosinality_names(tensors), "latent_avg": tensors["mapping.w_avg"]}, tmp_path / "r.pt")
    for file in (*files, tmp_path / "r.pt"):
        convert(file, tmp_path / "out.safetensors")
        assert load_stylegan2(tmp_path / "out.safetensors", device="cpu").weights_sha256 == small.weights_sha256, file
    assert not list(tmp_path.glob(".*"))


def test_layout_is_read_off_the_file(tmp_path: Path) -> None:
    toy = Toy(64, 1024, 32, 24, 3, "resnet", 256.0, 2, seed=8)
    _, layout = read_network(write_nvidia_pickle(tmp_path / "n.pkl", toy, nvidia_tensors(toy)))
    assert layout == Layout((32, 32, 32, 32, 16), (24, 24, 24, 24), "resnet", 256.0, 2)
    assert (layout.n_channels, layout.resolution_px, layout.w_dim) == (10, 64, 24)
    assert Layout((8,) * 7, (8, 8)).n_channels == 14  # 256 px
    assert Layout((8,) * 9, (8, 8)).n_channels == 18  # 1024 px


def test_it_is_a_generator(small: StyleGan2) -> None:
    assert isinstance(small, Generator)
    assert (small.n_channels, small.w_dim, small.resolution_px) == (6, 16, 16)
    assert len(small.weights_sha256) == 64
    assert not any(parameter.requires_grad for parameter in small.parameters())
    z = torch.randn(4000, 16, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(small.map(z).std(0), small.std_w, rtol=0.12)  # 5 standard errors of 1 / sqrt(2 * 4,000)
    assert torch.equal(small.mean_w, nvidia_tensors(TOY)["mapping.w_avg"])
    assert torch.allclose(small.map(z, 0.0), small.mean_w.expand(4000, -1), atol=1e-6)


@torch.no_grad()
def test_the_image_at_256_px(small: StyleGan2, tmp_path: Path) -> None:
    w_plus = codes_of(TOY)[1]
    assert torch.equal(
        small.synthesise_256(w_plus), F.interpolate(small.synthesise(w_plus), size=(256, 256), mode="bilinear")
    )
    for side in (256, 512, 1024):
        toy = Toy(side, 2048, 16, seed=9)
        generator = load_stylegan2(write_nvidia_pickle(tmp_path / "n.pkl", toy, nvidia_tensors(toy)), device="cpu")
        codes = codes_of(toy)[1]
        whole = generator.synthesise(codes)
        blocks = whole.reshape(1, 3, 256, side // 256, 256, side // 256).mean((3, 5))
        assert torch.allclose(generator.synthesise_256(codes), blocks, atol=1e-6)


@torch.no_grad()
def test_a_channel_reaches_its_layers_alone(small: StyleGan2) -> None:
    """Channel 5, the last of 6, feeds the last image output alone, which is linear in it."""
    w_plus = codes_of(TOY)[1]
    step = torch.zeros_like(w_plus)
    step[:, 5] = 1.0
    one, two, zero = (small.synthesise(w_plus + k * step) for k in (1, 2, 0))
    assert torch.allclose(two - zero, 2 * (one - zero), atol=1e-5)
    for channel in range(6):
        changed = w_plus.clone()
        changed[:, channel] += 1.0
        assert not torch.allclose(small.synthesise(changed), zero, atol=1e-3)


def test_gradients_agree_with_differences(small: StyleGan2) -> None:
    double = StyleGan2(*read_small(small)).double()
    w_plus = codes_of(TOY)[1].double().requires_grad_()
    direction = codes_of(replace(TOY, seed=21))[1].double()
    pattern = torch.sin(torch.arange(3 * 16 * 16, dtype=torch.float64)).reshape(1, 3, 16, 16)
    (double.synthesise(w_plus) * pattern).sum().backward()
    assert w_plus.grad is not None
    with torch.no_grad():
        ends = [(double.synthesise(w_plus + k * direction) * pattern).sum() for k in (1e-6, -1e-6)]
    assert float((w_plus.grad * direction).sum()) == pytest.approx(float(ends[0] - ends[1]) / 2e-6, rel=1e-3)


def read_small(generator: StyleGan2) -> tuple[Tensors, Layout]:
    state = {name: t for name, t in generator.state_dict().items() if name not in ("mean_w", "std_w")}
    return state | {"w_avg": generator.mean_w}, generator.layout


@torch.no_grad()
def test_a_batch_does_not_change_its_items(small: StyleGan2) -> None:
    w_plus = torch.cat([codes_of(replace(TOY, seed=s))[1] for s in (31, 32, 33)])
    assert torch.allclose(small.synthesise(w_plus)[1:2], small.synthesise(w_plus[1:2]), atol=1e-5)


def test_upsampling_keeps_a_plane_and_doubles_its_size() -> None:
    """Inside, a linear image stays linear; against values written out by hand for [1, 3, 3, 1]."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
    row = upsample(torch.tensor([[[[0.0, 4.0, 8.0]]]]).expand(1, 1, 3, 3), torch.outer(taps, taps))[0, 0, 2]
    assert row[1:5].tolist() == [1.0, 3.0, 5.0, 7.0]


@pytest.mark.parametrize("shape", [(6, 16), (1, 5, 16), (1, 6, 8), (0, 6, 16)])
def test_codes_of_another_shape_are_refused(small: StyleGan2, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected W\+ codes of shape \[N, 6, 16\], got"):
        small.synthesise(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"expected z as floating point \[N, 16\]"):
        small.map(torch.zeros(16))


def dropped(name: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {key: tensor for key, tensor in tensors.items() if key != name}


def changed(name: str, tensor: torch.Tensor) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: tensor}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (changed("synthesis.b8.conv0.bias", torch.full((16,), torch.nan)), r"'blocks\.1\.conv0\.bias' holds NaN"),
        (changed("synthesis.b4.const", torch.full((16, 4, 4), torch.inf)), "'constant' holds NaN or infinity"),
        (changed("synthesis.b8.conv1.weight", torch.zeros(16, 16, 5, 5)), r"expected float32 \[16, 16, 3, 3\], got"),
        (changed("synthesis.b8.conv1.noise_const", torch.zeros(3, 3)), r"expected float32 \[1, 1, 8, 8\], got"),
        (changed("synthesis.b8.conv1.noise_const", torch.zeros(3)), "noise of shape"),
        (changed("synthesis.b8.torgb.weight", torch.zeros(1, 16, 1, 1)), r"expected float32 \[3, 16, 1, 1\]"),
        (changed("synthesis.b4.conv1.bias", torch.zeros(4, 4)), "is no vector"),
        (changed("synthesis.b8.extra", torch.zeros(1)), r"tensors not known: \['synthesis\.b8\.extra'\]"),
        (changed("synthesis.b8.resample_filter", torch.eye(4)), "different low-pass filters"),
        (changed("mapping.embed.weight", torch.zeros(16, 10)), "class-conditional"),
        (changed("mapping.fc0.weight", torch.zeros(16, 8)), "z has 8 numbers and w 16"),
        (changed("synthesis.input.freqs", torch.zeros(16, 2)), "StyleGAN3"),
        (dropped("synthesis.b8.conv0.affine.weight"), r"no tensor 'synthesis\.b8\.conv0\.affine\.weight'"),
        (dropped("synthesis.b4.conv1.weight"), "0 blocks"),
    ],
)
def test_other_networks_are_refused(change: Callable[[Tensors], Tensors], message: str, tmp_path: Path) -> None:
    path = write_nvidia_pickle(tmp_path / "network.pkl", TOY, change(nvidia_tensors(TOY)))
    with pytest.raises(WeightsError, match=message) as caught:
        load_stylegan2(path, device="cpu")
    assert str(path) in str(caught.value)


def written(path: Path, content: object) -> Path:
    path.write_bytes(pickle.dumps(content))
    return path


def test_files_without_a_generator_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    for content, message in (
        ([1, 2, 3], "expected a network, found a list"),
        ({"D": 1, "training_set_kwargs": None}, r"expected 'G_ema' or 'g_ema', found \[D, training_set_kwargs\]"),
        ({"G_ema": None}, "found a NoneType"),
        ({"g_ema": {"x": torch.zeros(2), "y": 3}}, "holds 'y', which is no tensor"),
        ({"g_ema": {"x": torch.zeros(2)}}, "0 blocks and 0 mapping layers"),
        ({"input.input": torch.zeros(2), "conv1.conv.weight": torch.zeros(2), "z": torch.zeros(2)}, "'z' is no tensor"),
    ):
        with pytest.raises(WeightsError, match=message):
            read_network(written(path, content))


def test_objects_that_are_no_generators_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "file.pkl"
    layers: dict[str, object] = {"_parameters": {}, "_buffers": {}, "_modules": {}}
    with fake_modules():
        discriminator = persistent_network(TOY, nvidia_tensors(TOY), class_name="Discriminator")
        bomb = Persistent("Layer", layers)
        for _ in range(40):  # each level names the one below twice: 2^40 modules if walked
            bomb = Persistent("Generator", layers | {"_modules": {"a": bomb, "b": bomb}})
        wide = Persistent("Generator", layers | {"_modules": {str(i): Persistent("Layer", layers) for i in range(9)}})
        for _ in range(5):
            wide = Persistent("Generator", layers | {"_modules": {str(i): wide for i in range(9)}})
        alike = Persistent("Layer", layers)
        for _ in range(6):  # names that differ past any length a module's has: walked, these are 60^6 modules
            alike = Persistent("Generator", layers | {"_modules": {"a" * 80 + str(i): alike for i in range(60)}})
        for content, message in (
            (alike, "which is no name of a module"),
            (discriminator, "found 'Discriminator'"),
            (Persistent("Generator", {}), "has no _parameters: not a torch module"),
            (Persistent("Generator", layers | {"_modules": {"a": 1}}), "'a' is a int, not a module"),
            (Persistent("Generator", layers | {"_buffers": {"a": "b"}}), "'a' is a str, not a tensor"),
            (bomb, "nested too deeply"),
            (wide, "too many parts"),
        ):
            with pytest.raises(WeightsError, match=message):
                read_network(written(path, {"G_ema": content}))


def test_attributes_that_are_not_built_here_are_refused(tmp_path: Path) -> None:
    for key, value, message in (
        ("activation", "relu", "activation 'relu' is not supported"),
        ("conv_clamp", 3.0, "clamped to different bounds"),
        ("bias_gain", "x", "is no number"),
    ):
        with fake_modules():
            network = persistent_network(TOY, nvidia_tensors(TOY))
            part = ("mapping", "fc0") if key == "bias_gain" else ("synthesis", "b8", "conv0")
            module = network
            for name in part:
                module = module.state["_modules"][name]  # type: ignore[index]
            module.state[key] = value
            path = written(tmp_path / "file.pkl", {"G_ema": network})
        with pytest.raises(WeightsError, match=message):
            read_network(path)


def test_the_source_text_in_a_pickle_is_never_run(tmp_path: Path) -> None:
    path = write_nvidia_pickle(tmp_path / "n.pkl", TOY, nvidia_tensors(TOY))
    assert Persistent.SOURCE.encode() in path.read_bytes()
    read_network(path)  # SystemExit if it were
    with pytest.raises(PickleRefused, match=r"asks for '(posix|nt)\.getcwd'"):
        read_network(written(path, {"G_ema": _Call()}))


def test_damaged_files_give_one_of_the_two_errors_or_numbers(tmp_path: Path) -> None:
    """Changed, missing and added bytes in all three containers; 7,500 of them showed two leaks of the zip reader."""
    toy = Toy(8, 64, 4, 4, 1)
    tensors = nvidia_tensors(toy)
    files = [write_nvidia_pickle(tmp_path / "a", toy, tensors), tmp_path / "b", tmp_path / "c"]
    torch.save(tensors, files[1])
    torch.save({"g_ema": rosinality_names(tensors)}, files[2], _use_new_zipfile_serialization=False)
    rng = np.random.default_rng(0)
    n_refused = 0
    for file in files:
        good = file.read_bytes()
        for _ in range(150):
            damaged = bytearray(good)
            for place in rng.integers(len(good) - 10, size=rng.integers(1, 6)):
                start, length = int(place), int(rng.integers(1, 8))
                damaged[start : start + int(rng.integers(0, 2)) * length] = rng.bytes(int(rng.integers(0, 2)) * length)
            (tmp_path / "damaged").write_bytes(damaged)
            try:
                read_network(tmp_path / "damaged")
            except (PickleRefused, WeightsError):
                n_refused += 1
    assert n_refused > 300


class _Call:
    def __reduce__(self) -> tuple[object, ...]:
        return (os.getcwd, ())


def test_damaged_safetensors_are_refused(small: StyleGan2, tmp_path: Path) -> None:
    good = tmp_path / "good.safetensors"
    torch.save(nvidia_tensors(TOY), tmp_path / "n.pt")
    convert(tmp_path / "n.pt", good)
    bad = tmp_path / "bad.safetensors"
    with pytest.raises(WeightsError, match="weight file is missing"):
        load_state(bad)
    bad.write_bytes(good.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not a network of this version"):
        load_state(bad)
    save_file(load_file(good), bad)
    with pytest.raises(WeightsError, match="expected format stylegan2-1, found None"):
        load_state(bad)
    save_file(load_file(good), bad, metadata={"format": "stylegan2-1", "layout": '{"widths": 3}'})
    with pytest.raises(WeightsError, match="not a network of this version"):
        load_state(bad)
    with pytest.raises(ValueError, match="expected noise 'const' or 'none'"):
        load_stylegan2(good, device="cpu", noise="random")  # type: ignore[arg-type]
