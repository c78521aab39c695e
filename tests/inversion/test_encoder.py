"""The encoder: its closed form against other implementations, and what the shipped file is worth."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import Ridge
from torch import nn

from inversion.code_set import CodeSet
from inversion.codes import draw_codes
from inversion.encoder import N_FEATURES, MobileEncoder, load_encoder, pooled_features, save_encoder
from inversion.fit_encoder import EncoderFit, fit_encoder, image_features, load_lite0
from inversion.mobile import MobileGenerator
from tests.inversion.conftest import ASSETS

ENCODER = ASSETS / "mobile_encoder.safetensors"


@pytest.fixture(scope="module")
def encoder() -> MobileEncoder:
    return load_encoder(ENCODER)


def noise_images(n: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(n, 3, 256, 256, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def problem(n: int) -> tuple[torch.Tensor, CodeSet]:
    """Draw codes that depend on 40 features linearly, with noise; the first 5 rows are kept out."""
    random = torch.Generator().manual_seed(11)
    features = torch.randn(n, 40, generator=random) * torch.linspace(0.1, 9, 40) + 3
    codes = features @ torch.randn(40, 2 * 6, generator=random) + torch.randn(n, 12, generator=random)
    return features, CodeSet(codes.reshape(n, 2, 6), ("w",) * n, n_held=5)


def apply(encoder: MobileEncoder, features: torch.Tensor) -> torch.Tensor:
    standard = (features - encoder.feature_mean) / encoder.feature_std
    return standard @ encoder.project @ encoder.expand + encoder.offset.flatten()


@pytest.mark.parametrize("n", [30, 120])  # fewer rows than features, and more
def test_the_full_rank_fit_equals_scikit_learns_ridge(lite0: nn.Module, n: int) -> None:
    features, code_set = problem(n)
    told = apply(fit_encoder(lite0, features, code_set, EncoderFit(ridge=7.0, rank=12)), features)
    rows = features[5:]
    standard = ((features - rows.mean(0)) / (rows.std(0) + 1e-4)).double().numpy()
    ridge = Ridge(alpha=7.0).fit(standard[5:], code_set.codes[5:].flatten(1).double().numpy())
    # The map is kept in float32; codes reach some 60.
    assert np.abs(told.numpy() - ridge.predict(standard)).max() < 2e-3


def test_a_lower_rank_keeps_the_leading_part_of_the_fit(lite0: nn.Module) -> None:
    """Against the singular value decomposition of the full fit's values, cut off (Eckart-Young)."""
    features, code_set = problem(60)
    full = apply(fit_encoder(lite0, features, code_set, EncoderFit(ridge=7.0, rank=12)), features[5:]).double()
    low = apply(fit_encoder(lite0, features, code_set, EncoderFit(ridge=7.0, rank=3)), features[5:]).double()
    centre = code_set.codes[5:].flatten(1).double().mean(0)
    u, s, v = torch.linalg.svd(full - centre, full_matrices=False)
    assert torch.allclose(low, (u[:, :3] * s[:3]) @ v[:3] + centre, atol=2e-3)


def test_kept_out_codes_do_not_enter_the_fit(lite0: nn.Module) -> None:
    features, code_set = problem(40)
    before = fit_encoder(lite0, features, code_set, EncoderFit(ridge=7.0, rank=6))
    features[:5] = 1e6
    code_set.codes[:5] = -1e6
    after = fit_encoder(lite0, features, code_set, EncoderFit(ridge=7.0, rank=6))
    assert all(torch.equal(a, after.state_dict()[name]) for name, a in before.state_dict().items())


def test_impossible_fits_are_refused(lite0: nn.Module) -> None:
    features, code_set = problem(40)
    with pytest.raises(ValueError, match="one row of features for each of 40 codes, got 39"):
        fit_encoder(lite0, features[1:], code_set, EncoderFit())
    with pytest.raises(ValueError, match="expected a rank from 1 to 35"):
        fit_encoder(lite0, features, code_set, EncoderFit(rank=36))


@torch.no_grad()
def test_the_shipped_encoder_knows_the_generators_faces(encoder: MobileEncoder, mobile_bf16: MobileGenerator) -> None:
    """On faces of a seed that no fit has seen; README.md of the assets states R2 on the codes kept out."""
    codes = draw_codes(mobile_bf16, 6, kind="w", random=torch.Generator().manual_seed(90))
    told = encoder.predict(torch.cat([mobile_bf16.synthesise_256(code[None]) for code in codes]))
    assert told.shape == (6, 16, 512)
    assert told.dtype == torch.float32
    missed = (told - codes).square().sum() / (codes - mobile_bf16.mean_w).square().sum()
    assert float(missed) < 0.75  # 0.59 over the kept-out codes; the mean code misses all, 1.0
    distance = torch.cdist(told.flatten(1), codes.flatten(1))
    assert torch.equal(distance.argmin(1), torch.arange(6))  # each face is nearest to its own code


def test_a_batch_does_not_change_its_items(encoder: MobileEncoder) -> None:
    images = noise_images(3)
    assert torch.allclose(encoder(images)[1:2], encoder(images[1:2]), atol=2e-3)  # codes reach 4


def test_pixels_beyond_the_range_are_clipped(encoder: MobileEncoder) -> None:
    images = noise_images(1) * 1.5
    assert torch.equal(encoder(images), encoder(images.clamp(-1, 1)))


def test_features_fill_the_given_array(lite0: nn.Module) -> None:
    images = noise_images(5).half()
    out = torch.full((5, N_FEATURES), float("nan"))
    assert list(image_features(lite0, images.numpy(), out, batch_size=2)) == [2, 4, 5]
    assert torch.allclose(out[4:], pooled_features(lite0, images[4:].float()), atol=1e-4)


def test_wrong_images_are_refused(encoder: MobileEncoder) -> None:
    with pytest.raises(ValueError, match=r"\[N, 3, 256, 256\], got torch.float32 \[1, 3, 224, 224\]"):
        encoder(torch.zeros(1, 3, 224, 224))
    with pytest.raises(ValueError, match=r"got torch\.uint8"):
        encoder(torch.zeros(1, 3, 256, 256, dtype=torch.uint8))
    with pytest.raises(ValueError, match="expected finite pixels"):
        encoder(torch.full((1, 3, 256, 256), float("nan")))


def test_the_encoder_owns_its_network(lite0: nn.Module) -> None:
    features, code_set = problem(40)
    fitted = fit_encoder(lite0, features, code_set, EncoderFit(ridge=7.0, rank=6))
    next(fitted.backbone.parameters()).data.zero_()
    assert next(lite0.parameters()).abs().max() > 0


def test_an_encoder_survives_its_file(encoder: MobileEncoder, tmp_path: Path) -> None:
    save_encoder(encoder, tmp_path / "again.safetensors", facts={})
    images = noise_images(1)
    assert torch.equal(load_encoder(tmp_path / "again.safetensors")(images), encoder(images))


def test_files_that_are_no_encoder_are_refused(encoder: MobileEncoder, mobile: MobileGenerator, tmp_path: Path) -> None:
    path = tmp_path / "encoder.safetensors"
    with pytest.raises(ValueError, match="weight file is missing"):
        load_encoder(path)
    path.write_bytes(ENCODER.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="not a readable encoder"):
        load_encoder(path)
    save_file({"x": torch.zeros(1)}, path, metadata={"format": "mobile-encoder-2"})
    with pytest.raises(ValueError, match=r"tensors are not those of an encoder: \w+"):
        load_encoder(path)
    save_encoder(encoder, path, facts={"generator_sha256": "0" * 64})
    with pytest.raises(ValueError, match="fitted to generator 0000"):
        load_encoder(path, generator_sha256=mobile.weights_sha256)
    assert load_encoder(ENCODER, generator_sha256=mobile.weights_sha256)
    encoder = load_encoder(ENCODER)
    encoder.offset.data[0, 0] = float("inf")
    save_encoder(encoder, path, facts={})
    with pytest.raises(ValueError, match="holds NaN or infinity"):
        load_encoder(path)


def test_a_file_of_another_network_is_no_lite0(tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="tensors of EfficientNet-Lite0"):
        load_lite0(tmp_path / "other.pth")
