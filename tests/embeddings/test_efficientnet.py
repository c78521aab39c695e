"""EfficientNet features against timm run as its authors wrote it, on real weights and a real photograph of a cat."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from embeddings.architectures import FEATURE_MODES, FeatureMode
from embeddings.efficientnet import Embedder, load_embedder
from embeddings.weights import PACKAGED, WeightsError, packaged_path, read_state_dict, to_timm_names

LITE0 = "tf_efficientnet_lite0"
EGYPTIAN_CAT = 285


@pytest.fixture(scope="module")
def reference() -> torch.nn.Module:
    """timm's network, its tensors filled in order from the file: no renaming, no folding."""
    state, _ = read_state_dict(packaged_path(LITE0))
    net = timm.create_model(LITE0).eval()
    wanted = net.state_dict()
    assert [v.shape for v in wanted.values()] == [v.shape for v in state.values()]
    net.load_state_dict(dict(zip(wanted, state.values(), strict=True)))
    return net


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """Three different square cuts of the cat, 256 px."""
    cat = Image.fromarray(skimage.data.chelsea())
    boxes = [(75, 0, 375, 300), (0, 0, 256, 256), (150, 20, 406, 276)]
    return np.stack([np.asarray(cat.crop(box).resize((256, 256), Image.Resampling.BICUBIC)) for box in boxes])


@pytest.fixture(scope="module")
def stages() -> Embedder:
    return load_embedder(LITE0, None, features="stages")


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance between rows, by the norm of the second."""
    return float((np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)).max())


@torch.inference_mode()
def _expected(net: torch.nn.Module, x: torch.Tensor, features: FeatureMode) -> np.ndarray:
    """The same features by hooks on timm's unchanged network and numpy's mean and std."""
    paths = [f"blocks.{i}" for i in range(7)]
    if features == "blocks":
        paths = [f"blocks.{i}.{j}" for i, stage in enumerate(net.blocks) for j in range(len(stage))]
    seen: list[np.ndarray] = []
    handles = [
        net.get_submodule(p).register_forward_hook(lambda _m, _i, y: seen.append(y.numpy())) for p in [*paths, "bn2"]
    ]
    logits = net(x).numpy()
    for handle in handles:
        handle.remove()
    if features == "logits":
        return logits
    if features == "pooled":
        return seen[-1].mean(axis=(2, 3))
    return np.concatenate([part for y in seen for part in (y.mean(axis=(2, 3)), y.std(axis=(2, 3)))], axis=1)


@pytest.mark.parametrize("features", [mode for mode in FEATURE_MODES if mode != "texture"])  # has tests of its own
def test_features_match_timms_network(features: FeatureMode, reference: torch.nn.Module, images: np.ndarray) -> None:
    embedder = load_embedder(LITE0, None, features=features)
    got = embedder.embed(images)
    assert got.shape == (3, embedder.n_dims)
    assert got.dtype == np.float32
    # Folding the normalisation reorders float32 sums through 49 convolutions: some 1e-6 of the norm.
    assert _relative(got, _expected(reference, embedder.preprocess(images), features)) < 1e-5


@pytest.mark.parametrize("name", PACKAGED)
def test_the_cat_is_an_egyptian_cat(name: str) -> None:
    cat = skimage.data.chelsea()[:, 75:375][None]
    assert load_embedder(name, None, features="logits").embed(cat).argmax() == EGYPTIAN_CAT


@pytest.mark.parametrize(("features", "limit"), [("stages", 0.02), ("pooled", 0.05)])
def test_bf16_deviates_by_a_known_amount(features: FeatureMode, limit: float, images: np.ndarray) -> None:
    # bf16 has 8 bits of mantissa (0.4 % per rounding); measured 1.2 % for all stages and 2.3 % for the last layer.
    exact = load_embedder(LITE0, None, features=features).embed(images)
    fast = load_embedder(LITE0, None, features=features, precision="bf16").embed(images)
    assert 1e-4 < _relative(fast, exact) < limit


@pytest.mark.parametrize("features", FEATURE_MODES)
def test_onnx_runtime_gives_the_same_vectors(features: FeatureMode, images: np.ndarray) -> None:
    by_torch = load_embedder(LITE0, None, features=features)
    by_onnx = load_embedder(LITE0, None, features=features, engine="onnx")
    assert by_onnx.embedder_id == by_torch.embedder_id
    together = by_onnx.embed(images)
    assert _relative(together, by_torch.embed(images)) < 1e-5
    np.testing.assert_array_equal(together, by_onnx.embed(images, batch_size=2))


@pytest.mark.parametrize(("precision", "limit"), [("fp32", 1e-5), ("bf16", 1e-2)])
def test_a_vector_does_not_depend_on_its_batch(precision: str, limit: float, images: np.ndarray) -> None:
    embedder = load_embedder(LITE0, None, precision=precision)  # type: ignore[arg-type]
    together = embedder.embed(images[[0, 1, 2, 0, 1]], batch_size=5)
    alone = embedder.embed(images, batch_size=1)
    mixed = embedder.embed(images[[0, 1, 2, 0, 1]], batch_size=3)
    assert _relative(together[:3], alone) < limit
    assert _relative(together, mixed) < limit


def test_two_calls_agree_to_the_bit(stages: Embedder, images: np.ndarray) -> None:
    np.testing.assert_array_equal(stages.embed(images), stages.embed(images))


def test_resizing_is_that_of_pillow(stages: Embedder, images: np.ndarray) -> None:
    got = stages.preprocess(images[:1])[0].permute(1, 2, 0).numpy() * 128 + 127
    pillow = np.asarray(Image.fromarray(images[0]).resize((224, 224), Image.Resampling.BICUBIC), dtype=float)
    # Pillow rounds to whole levels after each of its two passes (at most 0.5 each, and fixed-point weights).
    assert np.abs(got - pillow).max() < 1.6
    assert np.abs(got - pillow).mean() < 0.35


def test_scale_of_black_and_white(stages: Embedder) -> None:
    levels = np.stack([np.full((224, 224, 3), level, dtype=np.uint8) for level in (0, 127, 255)])
    x = stages.preprocess(levels)
    np.testing.assert_allclose(x[:, 0, 0, 0].numpy(), [-127 / 128, 0, 1], atol=1e-6)


def test_centre_crop_keeps_the_middle() -> None:
    embedder = load_embedder(LITE0, None, crop_pct=0.875)
    image = np.zeros((1, 256, 256, 3), dtype=np.uint8)
    image[:, 16:240, 16:240] = 255
    assert (embedder.preprocess(image) == 1).all()
    assert embedder.embedder_id.endswith("-crop87.5")


def test_ids_name_all_that_changes_a_vector() -> None:
    assert load_embedder(LITE0, None).embedder_id == f"{LITE0}-stages-224-57934424"
    other = load_embedder(LITE0, None, features="pooled", input_px=160, precision="bf16")
    assert other.embedder_id == f"{LITE0}-pooled-160-57934424-bf16"
    assert other.weights_sha256 == PACKAGED[LITE0][2]


def test_a_one_by_one_map_has_deviation_zero(images: np.ndarray) -> None:
    vector = load_embedder(LITE0, None, input_px=32).embed(images[:1])
    assert np.isfinite(vector).all()
    assert (vector[0, -1280:] == 0).all()


def test_arrays_of_any_memory_layout(stages: Embedder, images: np.ndarray) -> None:
    expected = stages.embed(images)
    flipped = images[..., ::-1].copy()[..., ::-1]  # negative stride
    frozen = images.copy()
    frozen.flags.writeable = False
    for layout in (flipped, np.asfortranarray(images), frozen):
        np.testing.assert_array_equal(stages.embed(layout), expected)


def test_no_image_gives_no_vector(stages: Embedder) -> None:
    assert stages.embed(np.empty((0, 256, 256, 3), dtype=np.uint8)).shape == (0, 4128)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((1, 64, 64, 3), dtype=np.float32), "uint8.*got float32"),
        ([[[0]]], "NumPy array of uint8.*got list"),
        (np.zeros((64, 64, 3), dtype=np.uint8), r"\[N, H, W, 3\], got \[64, 64, 3\]"),
        (np.zeros((2, 64, 64), dtype=np.uint8), r"\[N, H, W, 3\], got \[2, 64, 64\]"),
        (np.zeros((2, 64, 64, 1), dtype=np.uint8), r"\[N, H, W, 3\], got \[2, 64, 64, 1\]"),
        (np.zeros((2, 64, 64, 4), dtype=np.uint8), r"\[N, H, W, 3\], got \[2, 64, 64, 4\]"),
        (np.zeros((2, 0, 0, 3), dtype=np.uint8), r"\[N, H, W, 3\], got \[2, 0, 0, 3\]"),
        (np.zeros((2, 64, 48, 3), dtype=np.uint8), "square images, got 64 x 48 px"),
    ],
)
def test_other_images_are_refused(stages: Embedder, bad: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        stages.embed(bad)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"features": "layers"}, "features: expected one of stages"),
        ({"precision": "fp16"}, "precision: expected fp32 or bf16"),
        ({"engine": "tvm"}, "engine: expected torch or onnx, got 'tvm'"),
        ({"engine": "onnx", "precision": "bf16"}, "engine: onnx runs in fp32 on a CPU, got bf16 on cpu"),
        ({"input_px": 16}, "input_px: expected at least 32, got 16"),
        ({"crop_pct": 0}, r"crop_pct: expected a share in \(0, 1\]"),
    ],
)
def test_other_settings_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_embedder(LITE0, None, **options)  # type: ignore[arg-type]


def test_batch_size_is_checked_before_any_work(stages: Embedder, images: np.ndarray) -> None:
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        stages.embed_batches(images, batch_size=0)


# --- weights ---------------------------------------------------------------------------------------------------


def _random_file(name: str, folder: Path, *, suffix: str = ".safetensors") -> tuple[Path, torch.nn.Module]:
    """A file in timm's format for a network whose real weights exist only online."""
    torch_state = torch.random.get_rng_state()
    net = timm.create_model(name).eval()
    torch.random.set_rng_state(torch_state)
    path = folder / f"{name}{suffix}"
    state = {k: v.contiguous() for k, v in net.state_dict().items()}
    save_file(state, path) if suffix == ".safetensors" else torch.save({"state_dict": state}, path)
    return path, net


@pytest.mark.parametrize(
    ("name", "suffix"), [("tf_efficientnet_b0", ".safetensors"), ("tf_efficientnet_lite1", ".pth")]
)
def test_a_users_file_of_another_network(name: str, suffix: str, tmp_path: Path, images: np.ndarray) -> None:
    path, net = _random_file(name, tmp_path, suffix=suffix)
    embedder = load_embedder(name, path, features="stages", input_px=64)
    got = embedder.embed(images)
    assert got.shape == (3, embedder.architecture.n_dims("stages"))
    # Untrained layers shrink the signal; the tolerance is on the norm of the whole vector.
    assert _relative(got, _expected(net, embedder.preprocess(images), "stages")) < 1e-5


def test_renaming_equals_the_order_in_the_file(reference: torch.nn.Module) -> None:
    state, _ = read_state_dict(packaged_path(LITE0))
    renamed = to_timm_names(state, (1, 2, 2, 3, 3, 4, 1))
    for key, value in reference.state_dict().items():
        assert torch.equal(renamed[key], value), key


def test_a_network_without_a_package_needs_a_file() -> None:
    with pytest.raises(WeightsError, match=r"tf_efficientnet_b4: no installed package brings its weights"):
        load_embedder("tf_efficientnet_b4", None)


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"of another network: \d+ tensors missing, \d+ left over"):
        load_embedder("tf_efficientnet_b0", packaged_path(LITE0))


def test_missing_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"absent\.pth does not exist"):
        load_embedder(LITE0, tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match="does not exist"):
        load_embedder(LITE0, tmp_path)
    whole = packaged_path(LITE0).read_bytes()
    for name, content in (
        ("cut.pth", whole[: len(whole) // 2]),
        ("empty.pth", b""),
        ("text.pth", b"not weights at all"),
        ("text.safetensors", b"not weights at all"),
        ("empty.safetensors", b""),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(WeightsError, match=f"{name} cannot be read as tensors"):
            load_embedder(LITE0, tmp_path / name)
    (tmp_path / "weights.onnx").write_bytes(whole)
    with pytest.raises(WeightsError, match=r"expected .safetensors, .pth, .pt or .bin"):
        load_embedder(LITE0, tmp_path / "weights.onnx")


class _Payload:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (Path("ran"),))  # type: ignore[return-value]


def test_a_file_with_code_is_refused_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"a": _Payload()}, tmp_path / "code.pth")
    with pytest.raises(WeightsError, match="cannot be read as tensors"):
        load_embedder(LITE0, tmp_path / "code.pth")
    assert not (tmp_path / "ran").exists()


def test_changed_tensors_are_refused(tmp_path: Path) -> None:
    state, _ = read_state_dict(packaged_path(LITE0))
    path = tmp_path / "lite0.pth"
    for changed, message in (
        ({"_fc.weight": torch.zeros(2, 1280)}, r"classifier.weight expected shape \[1000, 1280\], got \[2, 1280\]"),
        ({"_bn0.bias": torch.full((32,), float("nan"))}, r"bn1.bias holds NaN or infinity"),
    ):
        torch.save({**state, **changed}, path)
        with pytest.raises(WeightsError, match=message):
            load_embedder(LITE0, path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="does not hold a state dict"):
        load_embedder(LITE0, path)
