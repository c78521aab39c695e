"""Area means from a summed-area table against torch's own pooling."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import adaptive_avg_pool2d

from pipeline.ingest.area_means import AreaMeans

SIDES = st.integers(1, 40)


def _frames(height: int, width: int) -> torch.Tensor:
    return torch.randint(0, 256, (2, height, width, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def _planes(frames: torch.Tensor) -> torch.Tensor:
    return frames.permute(0, 3, 1, 2).double()


@settings(max_examples=40, deadline=None)
@given(height=SIDES, width=SIDES, to_height=SIDES, to_width=SIDES)
def test_pooling_is_that_of_torch(height: int, width: int, to_height: int, to_width: int) -> None:
    frames = _frames(height, width)
    expected = adaptive_avg_pool2d(_planes(frames), (to_height, to_width))
    got = AreaMeans(frames).pooled(to_height, to_width)
    torch.testing.assert_close(got.double(), expected, rtol=1e-6, atol=0)
    assert got.is_contiguous(memory_format=torch.channels_last)


@settings(max_examples=40, deadline=None)
@given(data=st.data(), side=st.sampled_from([1, 3, 24, 48]))
def test_crops_are_those_of_torch(data: st.DataObject, side: int) -> None:
    frames = _frames(30, 41)
    left, top = data.draw(st.integers(0, 40)), data.draw(st.integers(0, 29))
    right, bottom = data.draw(st.integers(left + 1, 41)), data.draw(st.integers(top + 1, 30))
    edges = torch.tensor([[left, top, right, bottom], [0, 0, 41, 30]])
    got = AreaMeans(frames).crops(torch.tensor([1, 0]), edges, side)
    expected = [
        adaptive_avg_pool2d(_planes(frames)[1:, :, top:bottom, left:right], side),
        adaptive_avg_pool2d(_planes(frames)[:1], side),
    ]
    torch.testing.assert_close(got.double(), torch.cat(expected), rtol=1e-6, atol=0)


def test_sums_that_run_over_still_give_right_means() -> None:
    frames = torch.full((1, 3000, 3000, 3), 255, dtype=torch.uint8)  # 2.3e9 in all, above what int32 holds
    areas = AreaMeans(frames)
    assert (areas.pooled(7, 5) == 255).all()
    assert (areas.crops(torch.tensor([0]), torch.tensor([[2000, 2000, 3000, 3000]]), 24) == 255).all()


def test_no_crops() -> None:
    areas = AreaMeans(_frames(8, 8))
    assert areas.crops(torch.zeros(0, dtype=torch.long), torch.zeros(0, 4, dtype=torch.long), 24).shape == (
        0,
        3,
        24,
        24,
    )
