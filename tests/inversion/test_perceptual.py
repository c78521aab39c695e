"""ST-LPIPS against its authors' own code (stored distances), and against what a distance must do."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from inversion.perceptual import PerceptualDistance, PerceptualWeightsError, load_stlpips
from tests.data.make_stlpips_fixture import OUT, SIDES_PX, seeded_images


def stlpips_path(net: str) -> Path:
    """The weight file inside the installed package, which is not imported."""
    spec = importlib.util.find_spec("stlpips_pytorch")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "weights" / "vST0.0" / f"{net}_shift_tolerant.pth"


@pytest.fixture(scope="module")
def alex() -> PerceptualDistance:
    return load_stlpips(stlpips_path("alex"), net="alex")


@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_equals_the_authors_own_code(net):
    distance = load_stlpips(stlpips_path(net), net=net)
    stored = np.load(OUT)
    for side_px in SIDES_PX[net]:
        with torch.inference_mode():
            got = distance(*seeded_images(side_px)).numpy()
        # float32 sums of up to 10^5 terms in another order: 1e-5; 1e-4 leaves room for other CPUs' convolutions.
        np.testing.assert_allclose(got, stored[f"{net}_{side_px}"], rtol=1e-4)


def test_name_and_hash_tell_the_weights(alex):
    assert alex.name == "stlpips-alex"
    assert len(alex.weights_sha256) == 64
    assert alex.weights_sha256 == load_stlpips(stlpips_path("alex"), net="alex").weights_sha256


def test_is_zero_on_equal_images_and_symmetric(alex):
    x, y = seeded_images(96)
    with torch.inference_mode():
        assert alex(x, x).tolist() == [0.0] * 4
        torch.testing.assert_close(alex(x, y), alex(y, x), rtol=1e-6, atol=0)


def test_a_face_of_a_batch_gets_what_it_gets_alone(alex):
    x, y = seeded_images(96)
    with torch.inference_mode():
        together = alex(x, y)
        alone = torch.cat([alex(x[k : k + 1], y[k : k + 1]) for k in range(4)])
    # Convolutions may be blocked differently for another batch size: float32 rounding only.
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=0)


def test_precomputed_features_give_the_same_distance(alex):
    x, y = seeded_images(96)
    with torch.inference_mode():
        assert torch.equal(alex.distance_to(alex.features(y), x), alex(x, y))


def test_gradient_is_the_slope(alex):
    """Directional derivative against a central difference."""
    x, y = seeded_images(96)
    target = alex.features(y[:1])
    image = x[:1].clone().requires_grad_()
    (gradient,) = torch.autograd.grad(alex.distance_to(target, image).sum(), image)
    # Along the gradient, the slope is its length: by far the largest slope, so float32 differences resolve it.
    direction = gradient / gradient.norm()
    step = 0.05
    with torch.no_grad():
        up = alex.distance_to(target, image + step * direction)
        down = alex.distance_to(target, image - step * direction)
    slope = ((up - down) / (2 * step)).item()
    # ReLU and max-pooling bend within a step: 2 % is far below what a wrong factor or a lost slice would make.
    assert gradient.norm().item() == pytest.approx(slope, rel=2e-2)


@pytest.mark.parametrize("value", [-1.0, 0.0, 1.0])
def test_flat_images_have_finite_gradients(alex, value):
    _, y = seeded_images(96)
    image = torch.full((1, 3, 96, 96), value, requires_grad=True)
    (gradient,) = torch.autograd.grad(alex(image, y[:1]).sum(), image)
    assert gradient.isfinite().all()


def test_weights_are_frozen(alex):
    assert not any(p.requires_grad for p in alex.parameters())
    assert not alex.training


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        (torch.zeros(1, 3, 96, 96), torch.zeros(2, 3, 96, 96), "equal shape"),
        (torch.zeros(1, 1, 96, 96), torch.zeros(1, 1, 96, 96), r"\[1, 1, 96, 96\]"),
        (torch.zeros(1, 3, 32, 96), torch.zeros(1, 3, 32, 96), "at least 64 px"),
        (torch.zeros(1, 3, 96, 96, dtype=torch.uint8), torch.zeros(1, 3, 96, 96, dtype=torch.uint8), "torch.uint8"),
    ],
)
def test_wrong_images_are_named(alex, x, y, expected):
    with pytest.raises(ValueError, match=expected):
        alex(x, y)


def test_a_truncated_file_is_named(tmp_path):
    broken = tmp_path / "alex.pth"
    content = stlpips_path("alex").read_bytes()
    for n_bytes in (0, 10, 1000, len(content) // 2, len(content) - 1):
        broken.write_bytes(content[:n_bytes])
        with pytest.raises(
            PerceptualWeightsError, match=f"alex.pth: expected an ST-LPIPS weight file, got {n_bytes} bytes"
        ):
            load_stlpips(broken, net="alex")


def test_a_file_for_another_network_is_named():
    with pytest.raises(PerceptualWeightsError, match="ST-LPIPS 'alex': expected its 20 tensors, got 37"):
        load_stlpips(stlpips_path("vgg"), net="alex")


def test_damaged_tensors_are_named(tmp_path):
    state = torch.load(stlpips_path("alex"), weights_only=True, map_location="cpu")
    file = tmp_path / "alex.pth"
    for key, tensor, expected in [
        ("lin0.model.1.weight", torch.zeros(1, 65, 1, 1), r"lin0.*expected shape \[1, 64, 1, 1\], got \[1, 65, 1, 1\]"),
        ("net.slice1.0.bias", torch.full((64,), torch.nan), "slice1.0.bias: expected finite"),
        ("scaling_layer.scale", torch.ones(1, 3, 1, 1), "scaling_layer.scale: expected the published constant"),
    ]:
        torch.save({**state, key: tensor}, file)
        with pytest.raises(PerceptualWeightsError, match=expected):
            load_stlpips(file, net="alex")
    torch.save([1, 2], file)
    with pytest.raises(PerceptualWeightsError, match="dictionary of tensors, got list"):
        load_stlpips(file, net="alex")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth"):
        load_stlpips(tmp_path / "nowhere.pth", net="alex")


def test_unknown_network_is_named():
    with pytest.raises(ValueError, match="expected net 'alex' or 'vgg', got 'squeeze'"):
        load_stlpips(stlpips_path("alex"), net="squeeze")
