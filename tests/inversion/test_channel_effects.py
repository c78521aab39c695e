"""Where channels act, on a generator whose channels act in known places."""

from __future__ import annotations

import pytest
import torch

from inversion.channel_effects import channel_effects
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
    maps = channel_effects(generator, code, n_cells=8, seed=0)
    assert maps.shape == (3, 8, 8)
    for c, (row, column) in enumerate(((0, 0), (0, 1), (1, 0))):
        inside = maps[c, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        # Moving every number by one deviation, up or down, moves their mean distance by one.
        assert torch.allclose(inside, torch.full((4, 4), 0.1 * (c + 1)), atol=1e-5)
        assert maps[c].sum() == pytest.approx(float(inside.sum()), rel=1e-5)


def test_bad_codes_and_cells_are_refused() -> None:
    generator = Quarters()
    with pytest.raises(ValueError, match=r"\[N, 3, 4\]"):
        channel_effects(generator, torch.zeros(2, 4), seed=0)
    with pytest.raises(ValueError, match="divides 256"):
        channel_effects(generator, torch.zeros(3, 4), n_cells=7, seed=0)
