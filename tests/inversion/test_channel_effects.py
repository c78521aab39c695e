"""Where channels act, on a generator whose channels act in known places."""

from __future__ import annotations

import pytest
import torch

from inversion.channel_effects import change_maps, moved_images
from tests.inversion.toy import ToyGenerator


class Quarters(ToyGenerator):
    """Channel c brightens its own quarter of the image by the mean of its numbers, in standard deviations."""

    def synthesise(self, w_plus: torch.Tensor) -> torch.Tensor:
        strength = ((w_plus - self.mean_w) / self.std_w).abs().mean(dim=2)  # [N, C]
        image = torch.zeros(len(w_plus), 3, 256, 256)
        for c, (row, column) in enumerate(((0, 0), (0, 1), (1, 0))):
            image[:, :, 128 * row : 128 * row + 128, 128 * column : 128 * column + 128] = (
                0.1 * (c + 1) * strength[:, c, None, None, None]
            )
        return image


def test_each_channel_acts_where_it_acts_and_as_strongly_as_it_does() -> None:
    generator = Quarters()
    code = generator.mean_w.repeat(3, 1)
    maps = change_maps(*moved_images(generator, code, seed=0), n_cells=8)
    assert maps.shape == (3, 8, 8)
    for c, (row, column) in enumerate(((0, 0), (0, 1), (1, 0))):
        inside = maps[c, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        # Moving every number by one deviation, up or down, moves their mean distance by one.
        assert torch.allclose(inside, torch.full((4, 4), 0.1 * (c + 1)), atol=1e-5)
        assert maps[c].sum() == pytest.approx(float(inside.sum()), rel=1e-5)


def test_one_channel_alone_is_moved_as_far_as_asked_to_both_sides() -> None:
    generator = Quarters()
    code = generator.mean_w.repeat(3, 1)
    before, moved = moved_images(generator, code, seed=0, channels=[1], n_std=2.0)
    assert moved.shape == (1, 2, 3, 256, 256)
    expected = before.clone()
    expected[:, :128, 128:] = 0.1 * 2 * 2.0  # Quarters: 0.1 * (c + 1) per standard deviation
    assert torch.allclose(moved[0], expected.expand(2, -1, -1, -1), atol=1e-5)


def test_bad_codes_and_cells_are_refused() -> None:
    generator = Quarters()
    with pytest.raises(ValueError, match=r"\[N, 3, 4\]"):
        moved_images(generator, torch.zeros(2, 4), seed=0)
    with pytest.raises(ValueError, match=r"from 0 to 2, got \[3\]"):
        moved_images(generator, torch.zeros(3, 4), seed=0, channels=[3])
    with pytest.raises(ValueError, match="divides 256"):
        change_maps(torch.zeros(3, 256, 256), torch.zeros(1, 2, 3, 256, 256), n_cells=7)
