"""Quality figures against their definitions, on images whose error is known."""

import math

import pytest
import torch

from inversion.quality import measure, reconstruct
from tests.inversion.toy import ToyGenerator, toy_codes, toy_distance


@pytest.fixture
def generator() -> ToyGenerator:
    return ToyGenerator()


def test_an_exact_reconstruction_has_no_error(generator):
    codes = toy_codes(3, seed=3)
    quality = measure(generator.synthesise(codes), codes, generator=generator, perceptual=toy_distance())
    assert quality.perceptual.tolist() == [0.0] * 3
    assert quality.mse_unit.tolist() == [0.0] * 3
    assert quality.psnr_db.tolist() == [math.inf] * 3


def test_a_known_offset_gives_the_closed_form(generator):
    """Targets 0.1 brighter than the reconstruction: MSE 0.01 and 10 log10(4 / 0.01) dB."""
    codes = toy_codes(2, seed=3, spread=0.1)  # far from the clip at 1
    quality = measure(generator.synthesise(codes) + 0.1, codes, generator=generator, perceptual=toy_distance())
    torch.testing.assert_close(quality.mse_unit, torch.full((2,), 0.01), rtol=1e-4, atol=0)
    torch.testing.assert_close(quality.psnr_db, torch.full((2,), 10 * math.log10(400)), rtol=1e-5, atol=0)
    expected = toy_distance()(generator.synthesise(codes), generator.synthesise(codes) + 0.1)
    torch.testing.assert_close(quality.perceptual, expected)


def test_distance_of_codes_is_in_standard_deviations(generator):
    codes = torch.stack([generator.mean_w.expand(3, 4), (generator.mean_w - 2.5 * generator.std_w).expand(3, 4)])
    targets = generator.synthesise(codes)
    quality = measure(targets, codes, generator=generator, perceptual=toy_distance())
    torch.testing.assert_close(quality.w_distance_std, torch.tensor([0.0, 2.5]))


def test_drawn_codes_lie_about_one_deviation_out(generator):
    codes = toy_codes(50, seed=4, spread=1.0)
    quality = measure(torch.zeros(50, 3, 256, 256), codes, generator=generator, perceptual=toy_distance())
    # Root mean square of 12 normal numbers: 1 within 0.2; of the mean over 50 codes: within 0.1.
    assert quality.w_distance_std.mean().item() == pytest.approx(1.0, abs=0.1)


def test_images_are_clipped_as_they_are_seen(generator):
    class Glaring(ToyGenerator):
        def synthesise_256(self, w_plus: torch.Tensor) -> torch.Tensor:
            return torch.full((len(w_plus), 3, 256, 256), 1.5)

    quality = measure(torch.ones(1, 3, 256, 256), toy_codes(1, seed=5), generator=Glaring(), perceptual=toy_distance())
    assert quality.mse_unit.item() == 0.0


def test_batch_size_changes_nothing_and_bounds_the_work(generator):
    codes = toy_codes(5, seed=6)
    targets = generator.synthesise(toy_codes(5, seed=7))
    whole = measure(targets, codes, generator=generator, perceptual=toy_distance(), batch_size=8)
    for batch_size in (1, 2, 5):
        parts = measure(targets, codes, generator=generator, perceptual=toy_distance(), batch_size=batch_size)
        for name in ("perceptual", "mse_unit", "psnr_db", "w_distance_std"):
            torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=1e-5, atol=1e-7)
    assert [len(image) for image in reconstruct(codes, generator=generator, batch_size=2)] == [2, 2, 1]


@pytest.mark.parametrize(
    ("targets", "codes", "message"),
    [
        (torch.zeros(2, 3, 256, 256), torch.zeros(3, 3, 4), r"expected 3 targets .*got \[2, 3, 256, 256\]"),
        (torch.zeros(2, 3, 128, 128), torch.zeros(2, 3, 4), r"got \[2, 3, 128, 128\]"),
        (torch.zeros(2, 3, 256, 256), torch.zeros(2, 4, 4), r"expected codes \[N, 3, 4\].*got \[2, 4, 4\]"),
        (torch.zeros(2, 3, 256, 256), torch.full((2, 3, 4), torch.nan), "expected finite codes"),
    ],
)
def test_what_does_not_fit_is_named(generator, targets, codes, message):
    with pytest.raises(ValueError, match=message):
        measure(targets, codes, generator=generator, perceptual=toy_distance())


def test_batch_size_below_one_is_named(generator):
    with pytest.raises(ValueError, match="batch size of at least 1, got 0"):
        next(reconstruct(toy_codes(1, seed=0), generator=generator, batch_size=0))
