"""The bench's yardsticks: NVIDIA's projector against a table of its schedule, and plain steps."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from benchmarks import projector
from benchmarks.plain import descend
from tests.inversion.toy import ToyGenerator, toy_codes, toy_distance


@pytest.fixture(scope="module")
def targets() -> Tensor:
    return ToyGenerator().synthesise(toy_codes(2, seed=1))


@pytest.mark.parametrize(
    ("t", "rate"),
    [
        (0.0, 0.0),  # warm-up over 5 %: at 0 nothing moves
        (0.025, 0.05),
        (0.05, 0.1),
        (0.5, 0.1),
        (0.75, 0.1),
        (0.875, 0.05),  # half way down the cosine
        (0.95, 0.1 * (0.5 - 0.5 * math.cos(0.2 * math.pi))),
    ],
)
def test_the_projectors_rate_is_the_published_one(t: float, rate: float) -> None:
    assert projector.RATE * projector._rate_factor(t) == pytest.approx(rate, abs=1e-12)


def test_the_projector_searches_w_and_comes_nearer(targets: Tensor) -> None:
    generator = ToyGenerator()

    def find(steps: int, *, full_size: bool = False) -> Tensor:
        return projector.project(
            targets, generator=generator, perceptual=toy_distance(), steps=steps, seed=0, full_size=full_size
        )

    codes = find(200)
    assert torch.equal(codes, codes[:, :1].expand(-1, 3, -1)), "one code for all channels"
    mean = generator.synthesise(generator.mean_w.expand(2, 3, 4))
    assert (toy_distance()(generator.synthesise(codes), targets) < 0.7 * toy_distance()(mean, targets)).all()
    torch.testing.assert_close(find(5, full_size=True), find(5), rtol=0, atol=1e-5)  # this generator's image is 256 px
    assert torch.equal(find(1), generator.mean_w.expand(2, 3, 4)), "the rate of the first step is 0"


def test_plain_steps_are_adams(targets: Tensor) -> None:
    """Adam's first step moves every number by the rate, down the gradient."""
    generator = ToyGenerator()
    start = generator.mean_w.expand(2, 3, 4)
    one = descend(targets, generator=generator, perceptual=toy_distance(), steps=1, rate=0.01)
    torch.testing.assert_close((one - start).abs(), torch.full((2, 3, 4), 0.01), rtol=1e-3, atol=0)

    def error(codes: Tensor) -> Tensor:
        return (generator.synthesise(codes) - targets).square().mean(dim=(1, 2, 3))

    many = descend(targets, generator=generator, perceptual=toy_distance(), steps=100, rate=0.03)
    assert (error(many) < 0.3 * error(start)).all()
