"""MobileStyleGAN against OpenVINO's own output and against closed forms."""

import copy
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from inversion.generator import Generator
from inversion.mobile import MobileGenerator, inverse_haar, load_mobile
from inversion.mobile_weights import read_state
from inversion.openvino_ir import IrError

FIXTURE = Path(__file__).resolve().parents[1] / "data" / "mobile_parity.npz"
CROP = slice(448, 512)


def codes(generator: MobileGenerator, n: int, *, seed: int) -> torch.Tensor:
    """Draw mixed codes: every channel its own."""
    random = torch.Generator().manual_seed(seed)
    return generator.map(torch.randn(n * 16, 512, generator=random), 0.7).reshape(n, 16, 512)


def test_it_is_a_generator(mobile: MobileGenerator) -> None:
    assert isinstance(mobile, Generator)
    assert (mobile.n_channels, mobile.w_dim, mobile.resolution_px) == (16, 512, 1024)
    assert not any(parameter.requires_grad for parameter in mobile.parameters())


@torch.no_grad()
def test_images_and_codes_equal_openvinos(mobile: MobileGenerator) -> None:
    """The first fixture code is one for all channels, the second differs in each channel.

    Float32 sums in another order: OpenVINO itself lies up to 1e-4 from a float64 run at single pixels of the whole
    image and 1e-5 in this crop and in 16 x 16 means; codes reach 4, and 5e-6 was seen.
    """
    fixture = np.load(FIXTURE)
    assert np.abs(mobile.map(torch.from_numpy(fixture["z"])).numpy() - fixture["w"]).max() < 2e-5
    images = mobile.synthesise(torch.from_numpy(fixture["w_plus"]))
    assert images.shape == (2, 3, 1024, 1024)
    assert images.dtype == torch.float32
    assert np.abs(images[:, :, CROP, CROP].numpy() - fixture["crop"]).max() < 5e-5
    assert np.abs(F.avg_pool2d(images, 16).numpy() - fixture["small"]).max() < 5e-5
    # A shifted channel would show: the fixture's pixels spread a hundred thousand times wider than the tolerance.
    assert fixture["crop"].std() > 0.2


@torch.no_grad()
def test_the_small_image_is_the_full_one_reduced_by_area(mobile: MobileGenerator) -> None:
    w_plus = codes(mobile, 1, seed=1)
    whole = F.avg_pool2d(mobile.synthesise(w_plus), 4)
    assert torch.allclose(mobile.synthesise_256(w_plus), whole, atol=5e-6, rtol=0)  # 16 float32 sums of values up to 2


@torch.no_grad()
def test_a_channel_reaches_its_layers_alone(mobile: MobileGenerator) -> None:
    w_plus = codes(mobile, 1, seed=2)
    features = mobile.features(w_plus)
    assert features.shape == (1, mobile.n_feature_channels, 128, 128)
    late = w_plus.clone()
    late[:, 11:] += 1.0
    assert torch.equal(mobile.features(late), features)
    early = w_plus.clone()
    early[:, 10] += 1.0
    assert not torch.allclose(mobile.features(early), features, atol=1e-3)


@torch.no_grad()
def test_a_batch_does_not_change_its_items(mobile: MobileGenerator, mobile_bf16: MobileGenerator) -> None:
    w_plus = codes(mobile, 3, seed=3)
    together, alone = mobile.features(w_plus), mobile.features(w_plus[1:2])
    # Features reach 50; kernels for other batch sizes may sum in another order.
    assert torch.allclose(together[1:2], alone, atol=2e-4, rtol=1e-4)
    coarse, fine = mobile_bf16.features(w_plus[1:2]).float(), alone
    assert (coarse - fine).norm() / fine.norm() < 0.02  # 8 bits of mantissa, 11 layers


def test_gradients_agree_with_differences(mobile: MobileGenerator) -> None:
    exact = copy.deepcopy(mobile).double()
    w_plus = codes(mobile, 1, seed=4).double().requires_grad_()
    random = torch.Generator().manual_seed(5)
    weights = torch.randn(1, 256, 128, 128, generator=random, dtype=torch.float64) / 128
    direction = torch.randn(1, 16, 512, generator=random, dtype=torch.float64)
    (exact.features(w_plus) * weights).sum().backward()
    assert w_plus.grad is not None
    step = 1e-6
    with torch.no_grad():
        change = exact.features(w_plus + step * direction) - exact.features(w_plus - step * direction)
    slope = float((change * weights).sum()) / (2 * step)
    # Of four million leaky ReLUs some have their kink within any step: 0.2 % was seen at this one, 10 % at 1e-4.
    assert float((w_plus.grad * direction).sum()) == pytest.approx(slope, rel=0.01)
    assert float(w_plus.grad[:, 11:].abs().max()) == 0.0


@torch.no_grad()
def test_bfloat16_stays_close(mobile: MobileGenerator, mobile_bf16: MobileGenerator) -> None:
    w_plus = codes(mobile, 1, seed=7)
    exact, coarse = mobile.synthesise_256(w_plus), mobile_bf16.synthesise_256(w_plus)
    psnr_db = 10 * math.log10(4 / F.mse_loss(coarse, exact).item())
    assert psnr_db > 44  # 48 to 49 was seen over codes
    assert coarse.dtype == torch.float32
    assert torch.equal(mobile.mean_w, mobile_bf16.mean_w)


@torch.no_grad()
def test_mean_and_spread_of_codes(mobile: MobileGenerator) -> None:
    w = mobile.map(torch.randn(4000, 512, generator=torch.Generator().manual_seed(8)))
    error = (w.mean(0) - mobile.mean_w).abs() / mobile.std_w
    # Standard error of two means of 4,000 and 10,000: 0.0187; the largest of 512 stays under 5 of them.
    assert float(error.max()) < 0.0935
    assert torch.allclose(w.std(0), mobile.std_w, rtol=0.12)
    z = torch.randn(2, 512, generator=torch.Generator().manual_seed(9))
    assert torch.allclose(mobile.map(z, 0.0), mobile.mean_w.expand(2, -1), atol=1e-6)
    assert torch.allclose(mobile.map(z, 0.5), (mobile.map(z) + mobile.mean_w) / 2, atol=1e-6)
    assert torch.allclose(mobile.map(3 * z), mobile.map(z), atol=1e-5)  # z is normalised first


def test_inverse_haar_is_the_transposed_analysis() -> None:
    """Against analysis filters written out: low, vertical, horizontal and diagonal detail, each of norm 1."""
    filters = 0.5 * torch.tensor([[[1, 1], [1, 1]], [[1, 1], [-1, -1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1.0]]])
    image = torch.randn(2, 5, 6, 8, generator=torch.Generator().manual_seed(10))
    kernel = filters[:, None].repeat_interleave(5, 0)  # band by band, [20, 1, 2, 2]
    bands = F.conv2d(image.repeat(1, 4, 1, 1), kernel, stride=2, groups=20)
    assert torch.allclose(inverse_haar(bands), image, atol=1e-6)
    assert inverse_haar(bands).square().sum().item() == pytest.approx(bands.square().sum().item(), rel=1e-5)


@pytest.mark.parametrize("shape", [(16, 512), (1, 14, 512), (1, 16, 256), (0, 16, 512)])
def test_codes_of_another_shape_are_refused(mobile: MobileGenerator, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected W\+ codes of shape \[N, 16, 512\], got"):
        mobile.synthesise_256(torch.zeros(shape))


def test_other_wrong_arguments_are_refused(mobile: MobileGenerator, mobile_data: Path) -> None:
    with pytest.raises(ValueError, match=r"in floating point, got torch\.int64"):
        mobile.features(torch.zeros(1, 16, 512, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"expected z as floating point \[N, 512\]"):
        mobile.map(torch.zeros(512))
    with pytest.raises(ValueError, match=r"float32 or torch.bfloat16, got torch.float16"):
        load_mobile(mobile_data, device="cpu", dtype=torch.float16)


def test_missing_and_changed_weights_are_fatal(mobile_data: Path, tmp_path: Path) -> None:
    with pytest.raises(IrError, match=r"MappingNetwork\.xml: weight file is missing"):
        load_mobile(tmp_path, device="cpu")
    for path in mobile_data.glob("*Network.*"):
        shutil.copy(path, tmp_path)
    changed = bytearray((tmp_path / "SynthesisNetwork.bin").read_bytes())
    changed[1000] ^= 1
    (tmp_path / "SynthesisNetwork.bin").write_bytes(changed)
    with pytest.raises(IrError, match=r"SynthesisNetwork\.bin: expected SHA-256"):
        load_mobile(tmp_path, device="cpu")
    assert read_state(tmp_path, expected_sha256=None)[1] != read_state(mobile_data)[1]
    (tmp_path / "SynthesisNetwork.bin").write_bytes(changed[:1_000_000])
    with pytest.raises(IrError, match=r"but the \.bin file has only 1000000 bytes"):
        load_mobile(tmp_path, device="cpu", expected_sha256=None)
