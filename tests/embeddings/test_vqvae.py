"""VQ-VAE-2: shapes, files of others, hostile files, codes and their forms, and the trainer on toy images."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from embeddings import vqvae_training
from embeddings.codec import to_unit
from embeddings.image_source import ImageSource
from embeddings.quantise import perplexity
from embeddings.vqvae import VqVae2, VqVaeSize
from embeddings.vqvae_codec import CodeFeatures, load_codec
from embeddings.vqvae_fit import VqVaeFit, fit_vqvae, start_vqvae
from embeddings.vqvae_weights import WeightsError, load_vqvae, save_vqvae

SMALL = VqVaeSize(n_channels=8, n_res_blocks=1, n_res_channels=4, dim=6, n_codes=16)
TOY = VqVaeSize(n_channels=32, n_res_blocks=1, n_res_channels=8, dim=16, n_codes=32)


def published_shapes(c: int = 128, r: int = 32, d: int = 64, k: int = 512) -> dict[str, tuple[int, ...]]:
    """Names and shapes of rosinality/vq-vae-2-pytorch's state dict, written out by hand: two residual blocks each."""
    shapes: dict[str, tuple[int, ...]] = {}

    def layer(name: str, *shape: int, transposed: bool = False) -> None:
        shapes[f"{name}.weight"] = shape
        shapes[f"{name}.bias"] = (shape[1] if transposed else shape[0],)

    def residual(name: str, first: int) -> None:
        for i in (first, first + 1):
            layer(f"{name}.blocks.{i}.conv.1", r, c, 3, 3)
            layer(f"{name}.blocks.{i}.conv.3", c, r, 1, 1)

    layer("enc_b.blocks.0", c // 2, 3, 4, 4)
    layer("enc_b.blocks.2", c, c // 2, 4, 4)
    layer("enc_b.blocks.4", c, c, 3, 3)
    residual("enc_b", 5)
    layer("enc_t.blocks.0", c // 2, c, 4, 4)
    layer("enc_t.blocks.2", c, c // 2, 3, 3)
    residual("enc_t", 3)
    layer("quantize_conv_t", d, c, 1, 1)
    layer("quantize_conv_b", d, d + c, 1, 1)
    for level in "tb":
        shapes[f"quantize_{level}.embed"] = shapes[f"quantize_{level}.embed_avg"] = (d, k)
        shapes[f"quantize_{level}.cluster_size"] = (k,)
    layer("dec_t.blocks.0", c, d, 3, 3)
    residual("dec_t", 1)
    layer("dec_t.blocks.4", c, d, 4, 4, transposed=True)
    layer("upsample_t", d, d, 4, 4, transposed=True)
    layer("dec.blocks.0", c, 2 * d, 3, 3)
    residual("dec", 1)
    layer("dec.blocks.4", c, c // 2, 4, 4, transposed=True)
    layer("dec.blocks.6", c // 2, 3, 4, 4, transposed=True)
    return shapes


def published(**sizes: int) -> dict[str, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return {n: torch.randn(s, generator=random) * 0.1 for n, s in published_shapes(**sizes).items()}


def random_model(size: VqVaeSize = SMALL) -> VqVae2:
    """First weights by seed, and codebooks about as large as the vectors they stand for."""
    model = VqVae2(size)
    start_vqvae(model, seed=3)
    random = torch.Generator().manual_seed(4)
    for quantiser in (model.quantize_t, model.quantize_b):
        quantiser.embed.copy_(torch.randn(quantiser.embed.shape, generator=random) * 0.3)
    return model.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def faces() -> np.ndarray:
    """Smooth images uint8 [3, 256, 256, 3]."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    return coarse.repeat(16, axis=1).repeat(16, axis=2)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "vqvae.safetensors"
    save_vqvae(random_model(), path, facts={"made": "here"})
    return path


def test_the_network_has_the_published_names_and_shapes() -> None:
    ours = {name: tuple(tensor.shape) for name, tensor in VqVae2().state_dict().items()}
    assert ours == published_shapes()


def test_a_face_of_256_px_is_5120_indices() -> None:
    model = random_model()
    code = model.encode(torch.zeros(2, 3, 256, 256))
    assert code.top.shape == (2, 6, 32, 32)
    assert code.bottom.shape == (2, 6, 64, 64)
    assert code.top_indices.shape == (2, 32, 32)
    assert code.bottom_indices.shape == (2, 64, 64)
    assert model(torch.zeros(1, 3, 64, 40))[0].shape == (1, 3, 64, 40)
    for shape in ((2, 3, 60, 64), (3, 64, 64), (2, 1, 64, 64)):
        with pytest.raises(ValueError, match=r"expected images \[N, 3, S, S\]"):
            model.encode(torch.zeros(shape))


def test_a_published_checkpoint_is_read(tmp_path: Path) -> None:
    state = published(c=16, r=4, d=8, k=32)
    path = tmp_path / "vqvae_560.pt"
    torch.save(state, path)
    model, sha256 = load_vqvae(path)
    assert model.size == VqVaeSize(16, 2, 4, 8, 32)
    assert len(sha256) == 64
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    torch.save({f"module.{name}": tensor for name, tensor in state.items()}, path)
    assert load_vqvae(path)[0].size == model.size, "as DataParallel saves it"


def test_our_own_file_brings_the_network_back_in_half_precision(file: Path) -> None:
    model = random_model()
    loaded, _ = load_vqvae(file)
    x = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for name, tensor in model.named_parameters():
        torch.testing.assert_close(loaded.get_parameter(name), tensor.half().float(), rtol=0, atol=0)
    assert torch.isfinite(loaded(x)[0]).all()
    with safe_open(file, "pt") as opened:
        assert "here" in opened.metadata()["facts"]


class _Command:
    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch hostile",)


def _write_hostile(path: Path) -> None:
    path.write_bytes(pickle.dumps({"enc_b.blocks.0.weight": _Command()}))


def _write_hostile_zip(path: Path) -> None:
    torch.save({"enc_b.blocks.0.weight": _Command()}, path)


def _write_truncated(path: Path) -> None:
    torch.save(published(c=16, r=4, d=8, k=32), path)
    path.write_bytes(path.read_bytes()[:5000])


def _write_changed(**changes: torch.Tensor | None) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        state = published(c=16, r=4, d=8, k=32) | {n.replace("__", "."): t for n, t in changes.items()}
        torch.save({n: t for n, t in state.items() if t is not None}, path)

    return write


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_write_hostile, "cannot be read as tensors"),
        (_write_hostile_zip, "cannot be read as tensors"),
        (_write_truncated, "cannot be read as tensors"),
        (lambda p: p.write_bytes(b""), "cannot be read as tensors"),
        (lambda p: torch.save([1, 2], p), "does not hold a state dict"),
        (lambda p: torch.save({"weight": torch.zeros(2)}, p), r"no VQ-VAE-2 of two levels: enc_b\.blocks\.4\.weight"),
        (_write_changed(dec__blocks__0__weight=None), r"1 tensors missing.*dec\.blocks\.0\.weight is missing"),
        (_write_changed(extra=torch.zeros(1)), "1 left over"),
        (_write_changed(upsample_t__bias=torch.zeros(9)), r"upsample_t\.bias expected shape \[8\], got \[9\]"),
        (_write_changed(upsample_t__bias=torch.full((8,), torch.nan)), r"upsample_t\.bias holds NaN"),
        (_write_changed(quantize_b__embed=torch.full((8, 32), torch.inf)), r"quantize_b\.embed holds NaN or infinity"),
        (_write_changed(upsample_t__bias=torch.zeros(8, dtype=torch.int64)), "plain floating-point numbers"),
        (_write_changed(upsample_t__bias=torch.zeros(8).to_sparse()), "plain floating-point numbers"),
        (_write_changed(quantize_t__embed=torch.zeros(8, 40_000)), "n_codes is 40000, expected at most 32767"),
        (_write_changed(quantize_t__embed=torch.zeros(8)), "other dimensions"),
        (_write_changed(enc_b__blocks__4__weight=torch.zeros(2000, 1, 1, 1)), "n_channels is 2000"),
    ],
)
def test_a_hostile_or_damaged_file_is_refused_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], None], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "weights.pt"
    write(path)
    with pytest.raises(WeightsError, match=message) as caught:
        load_vqvae(path)
    assert "weights.pt" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "hostile").exists()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"gone\.pt does not exist"):
        load_vqvae(tmp_path / "gone.pt")


@pytest.mark.parametrize(
    ("features", "n_dims"),
    [("indices", 5120), ("embedded", 2 * 6 * 64), ("onehot", 2 * 16 * 4), ("histogram", 2 * 16)],
)
def test_forms_of_a_code_against_their_definition(
    file: Path, faces: np.ndarray, features: CodeFeatures, n_dims: int
) -> None:
    codec = load_codec(file, features=features)
    coded = codec.code(faces)
    assert coded.code.shape == (3, n_dims)
    assert coded.code.dtype == np.float32
    assert coded.indices is not None
    assert coded.indices.dtype == np.int16
    assert codec.codec_id.endswith(f"-{features}")
    expected = []
    for quantiser, indices in zip(
        (codec.model.quantize_t, codec.model.quantize_b), codec.split(coded.indices), strict=True
    ):
        if features == "indices":
            expected.append(indices.reshape(3, -1))
            continue
        table = quantiser.embed.T.numpy() if features == "embedded" else np.eye(16)
        side = {"embedded": 8, "onehot": 2, "histogram": 1}[features]
        cell = indices.shape[1] // side
        grid = table[indices].reshape(3, side, cell, side, cell, -1).mean(axis=(2, 4))  # [N, side, side, D]
        expected.append(grid.transpose(0, 3, 1, 2).reshape(3, -1))
    np.testing.assert_allclose(coded.code, np.concatenate(expected, axis=1), atol=1e-6)


def test_stored_indices_give_the_image_that_was_judged(file: Path, faces: np.ndarray) -> None:
    codec = load_codec(file, features="histogram")
    coded = codec.code(faces)
    made = codec.decode(coded.indices)
    np.testing.assert_allclose(coded.image, made, atol=1e-6)
    np.testing.assert_allclose(coded.mse_unit, np.square(made - to_unit(faces)).mean(axis=(1, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(codec.code(faces[2:]).indices, coded.indices[2:])
    with pytest.raises(ValueError, match=r"expected indices \[N, 5120\]"):
        codec.decode(coded.indices[:, 1:])
    with pytest.raises(ValueError, match="features: expected one of"):
        load_codec(file, features="hot")  # type: ignore[arg-type]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of six pictures of grey 64 px patches, one of them not square."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype=np.uint8).repeat(3, axis=3)
    faces = coarse.repeat(64, axis=1).repeat(64, axis=2)
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for i in range(6):
        image = Image.fromarray(np.roll(faces[i % 3], 40 * i, axis=0))
        (image.resize((300, 256)) if i == 5 else image).save(folder / ("more" if i % 2 else "") / f"{i}.png")
    return folder


FIT = VqVaeFit(n_steps=60, batch_size=4, window_px=32, learning_rate=1e-2, seed=1)


@pytest.mark.slow
def test_the_loss_falls_and_a_stopped_fit_ends_the_same(pictures: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("embeddings.vqvae_fit.CHECKPOINT_STEPS", 150)
    images = ImageSource(pictures)
    settings = replace(FIT, n_steps=300, batch_size=8, learning_rate=3e-3)
    whole, halves = VqVae2(TOY), VqVae2(TOY)
    for model in (whole, halves):
        start_vqvae(model, seed=1)
    errors = [error for _, error in fit_vqvae(whole, images, [0, 1, 2, 3], settings)]
    assert np.mean(errors[-20:]) < 0.3 * np.mean(errors[:20]), "far below the variance of the pictures, where it starts"
    checkpoint = tmp_path / "fit.pt"
    for step, _ in fit_vqvae(halves, images, [0, 1, 2, 3], settings, checkpoint=checkpoint):
        if step == 160:
            break
    again = VqVae2(TOY)
    steps = [step for step, _ in fit_vqvae(again, images, [0, 1, 2, 3], settings, checkpoint=checkpoint)]
    assert steps[0] == 151
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=1e-4, atol=1e-5)


def test_neither_level_dies(tmp_path: Path) -> None:
    """A short fit reaches 5 and 14 of 32 codes; a level that died would have a perplexity of 1 to 2."""
    coarse = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    smooth = np.stack([np.asarray(Image.fromarray(c).resize((256, 256), Image.Resampling.BICUBIC)) for c in coarse])
    np.save(tmp_path / "smooth.npy", smooth)
    model = VqVae2(TOY)
    start_vqvae(model, seed=1)
    images = ImageSource(tmp_path / "smooth.npy")
    for _ in fit_vqvae(model, images, [0, 1, 2], replace(FIT, learning_rate=3e-3)):
        pass
    code = model.encode(torch.from_numpy(to_unit(smooth)).movedim(-1, 1))
    assert perplexity(code.top_indices) > 3
    assert perplexity(code.bottom_indices) > 8


def test_some_windows_are_decoded_from_the_top_level_alone(pictures: Path, monkeypatch) -> None:
    """Without them a level that both could carry dies after thousands of steps, too long for a test."""
    seen: list[list[bool]] = []
    decode = VqVae2.decode

    def watched(model: VqVae2, top: torch.Tensor, bottom: torch.Tensor) -> torch.Tensor:
        seen.append([bool(b.any()) for b in bottom])
        return decode(model, top, bottom)

    monkeypatch.setattr(VqVae2, "decode", watched)
    model = VqVae2(TOY)
    start_vqvae(model, seed=1)
    list(fit_vqvae(model, ImageSource(pictures), [0, 1], replace(FIT, n_steps=8)))
    assert seen == [[False] * 4] * 2 + [[False, True, True, True]] * 6


def test_the_trainer_writes_a_file_that_can_be_used(pictures: Path, tmp_path: Path, faces: np.ndarray) -> None:
    out = tmp_path / "out" / "vqvae.safetensors"
    seen = []
    facts = vqvae_training.train(
        ImageSource(pictures), work=tmp_path / "work", out=out, size=SMALL, settings=FIT, n_held=2,
        on_progress=lambda done, total, error: seen.append((done, total)),
    )  # fmt: skip
    assert seen[-1] == (60, 60)
    assert facts["n_fit"] == 4
    assert np.isfinite(facts["psnr_db"])
    assert 1 <= facts["perplexity"]["top"] <= facts["used_codes"]["top"] <= 16
    assert load_codec(out, features="embedded").code(faces).code.shape == (3, 768)
    with pytest.raises(ValueError, match="more than 6 images"):
        vqvae_training.train(ImageSource(pictures), work=tmp_path, out=out, size=SMALL, settings=FIT, n_held=6)


def test_images_come_from_folders_and_arrays(pictures: Path, tmp_path: Path, faces: np.ndarray) -> None:
    source = ImageSource(pictures)
    assert len(source) == 6
    assert source.read([0, 5]).shape == (2, 256, 256, 3)
    array = tmp_path / "faces.npy"
    np.save(array, faces)
    np.testing.assert_array_equal(ImageSource(array).read([2, 0]), faces[[2, 0]])
    assert len(ImageSource(array, limit=2)) == 2
    np.save(array, to_unit(faces).transpose(0, 3, 1, 2).astype(np.float16))
    assert np.abs(ImageSource(array).read([1]).astype(int) - faces[[1]]).max() <= 1, "float16 near 1 has 2048 steps"


def test_what_is_no_image_is_said(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is not there"):
        ImageSource(tmp_path / "gone")
    with pytest.raises(ValueError, match="holds no picture"):
        ImageSource(tmp_path)
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as a picture"):
        ImageSource(tmp_path).read([0])
    np.save(tmp_path / "a.npy", np.zeros((2, 64, 64, 3), dtype=np.uint8))
    with pytest.raises(ValueError, match="got uint8"):
        ImageSource(tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", np.array([_Command()], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="cannot be read as an array"):
        ImageSource(tmp_path / "b.npy")
    with pytest.raises(ValueError, match="window_px"):
        VqVaeFit(window_px=100)
