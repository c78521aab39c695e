"""The search with the real generator, head, encoder and distance, on faces that the generator drew itself."""

import pytest
import torch
from torch import Tensor

from inversion.codes import draw_codes
from inversion.encoder import MobileEncoder, load_encoder
from inversion.head import Sketch, load_head
from inversion.mobile import MobileGenerator
from inversion.optimise import InversionResult, InversionSettings, invert
from inversion.perceptual import PerceptualDistance, load_stlpips
from inversion.quality import measure
from tests.inversion.conftest import ASSETS
from tests.inversion.test_perceptual import stlpips_path

SETTINGS = InversionSettings(steps=4, learning_rate=0.04, correct_every=2)


@pytest.fixture(scope="module")
def head(mobile: MobileGenerator) -> Sketch:
    return Sketch(mobile, load_head(ASSETS / "mobile_head.safetensors"))


@pytest.fixture(scope="module")
def encoder() -> MobileEncoder:
    return load_encoder(ASSETS / "mobile_encoder.safetensors")


@pytest.fixture(scope="module")
def alex() -> PerceptualDistance:
    return load_stlpips(stlpips_path("alex"), net="alex")


@pytest.fixture(scope="module")
def targets(mobile: MobileGenerator) -> Tensor:
    """Two faces, drawn by a seed that no fit has seen; codes differ between channels, as found codes do."""
    codes = draw_codes(mobile, 2, kind="drift", random=torch.Generator().manual_seed(101))
    with torch.inference_mode():
        return mobile.synthesise_256(codes).clamp(-1, 1).clone()


@pytest.fixture(scope="module")
def found(
    targets: Tensor, mobile: MobileGenerator, head: Sketch, encoder: MobileEncoder, alex: PerceptualDistance
) -> InversionResult:
    return invert(targets, generator=mobile, head=head, encoder=encoder, perceptual=alex, settings=SETTINGS)


def test_four_steps_from_the_encoder_come_closer(found):
    assert found.wplus.shape == (2, 16, 512)
    assert (found.loss_best < 0.85 * found.loss_start).all()
    assert (found.best_step > 0).all()
    assert not found.diverged.any()


def test_the_reported_loss_is_that_of_the_full_image_of_the_code(found, targets, mobile, alex):
    quality = measure(targets, found.wplus, generator=mobile, perceptual=alex, batch_size=1)
    prior = SETTINGS.prior_weight * quality.w_distance_std.square()
    told = quality.perceptual + SETTINGS.mse_weight * quality.mse_unit + prior
    # The judged image is clipped to [-1, 1], the optimised one is not: they differ in the few pixels that overshoot.
    torch.testing.assert_close(told, found.loss_best, rtol=5e-3, atol=0)


def test_a_real_face_alone_gets_what_it_gets_in_a_batch(found, targets, mobile, head, encoder, alex):
    alone = invert(targets[1:], generator=mobile, head=head, encoder=encoder, perceptual=alex, settings=SETTINGS)
    # Convolutions are blocked differently for one face and for two, and Adam turns the rounding of gradients near zero
    # into whole steps: single numbers may differ by a step (0.04), the code as a whole and its loss hardly.
    difference = (alone.wplus - found.wplus[1:]) / mobile.std_w
    moved = (found.wplus[1:] - encoder(targets[1:])) / mobile.std_w
    assert difference.square().mean().sqrt() < 0.05 * moved.square().mean().sqrt()
    torch.testing.assert_close(alone.loss_best, found.loss_best[1:], rtol=5e-3, atol=0)
    assert alone.best_step.tolist() == found.best_step[1:].tolist()
