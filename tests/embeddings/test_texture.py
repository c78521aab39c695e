"""Regional statistics and correlations against plain numpy; what they must and must not depend on."""

from __future__ import annotations

import numpy as np
import torch

from embeddings.efficientnet import load_embedder
from embeddings.texture import ELLIPSE, N_DIRECTIONS, correlations, n_correlations, n_regional, regional


def maps(n: int = 2, channels: int = 5, side: int = 28, *, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 3 + 100


def test_regions_are_those_of_the_ellipse() -> None:
    """At 448 positions a side each position is wholly inside or outside."""
    y = maps(1, 2, 448)
    axis = (np.arange(448) + 0.5) / 448 * 2 - 1
    inside = (axis[None] / ELLIPSE[0]) ** 2 + ((axis[:, None] - ELLIPSE[2]) / ELLIPSE[1]) ** 2 < 1
    found = regional(y)[0].reshape(4, 2).numpy()
    for c in range(2):
        within, around = y[0, c].numpy()[inside], y[0, c].numpy()[~inside]
        expected = [within.mean(), within.std(), around.mean(), around.std()]
        np.testing.assert_allclose(found[:, c], expected, rtol=1e-4)


def test_a_change_inside_the_face_leaves_the_outside_as_it_was() -> None:
    y = maps()
    changed = y.clone()
    changed[:, :, 12:16, 12:16] += 50
    before, after = regional(y).reshape(2, 4, 5), regional(changed).reshape(2, 4, 5)
    assert (after[:, 0] - before[:, 0]).min() > 1
    torch.testing.assert_close(after[:, 2:], before[:, 2:], rtol=1e-4, atol=1e-3)


def test_a_map_of_one_position_has_two_equal_regions_without_deviation() -> None:
    found = regional(maps(side=1)).reshape(2, 4, 5)
    torch.testing.assert_close(found[:, 0], found[:, 2])
    assert found[:, [1, 3]].abs().max() < 1e-3


def test_correlations_of_few_channels_are_numpys() -> None:
    y = maps(1, 4)
    expected = np.corrcoef(y[0].flatten(1).numpy())[np.triu_indices(4)]
    np.testing.assert_allclose(correlations(y)[0].numpy(), expected, atol=1e-3)


def test_correlations_ignore_scale_and_offset_and_many_channels_are_projected() -> None:
    y = maps(2, 64)
    found = correlations(y)
    assert found.shape == (2, n_correlations(64)) == (2, N_DIRECTIONS * (N_DIRECTIONS + 1) // 2)
    torch.testing.assert_close(correlations(y * 7 - 30), found, atol=1e-3, rtol=1e-3)
    assert (correlations(maps(2, 64, seed=1)) - found).abs().max() > 0.01


def test_a_constant_map_gives_finite_numbers() -> None:
    flat = torch.full((1, 3, 7, 7), 5.0)
    assert correlations(flat).abs().max() == 0
    assert regional(flat).isfinite().all()


def test_an_embedding_is_as_long_as_said_and_does_not_depend_on_its_batch() -> None:
    embedder = load_embedder("tf_efficientnet_lite0", None, features="texture", input_px=64)
    images = np.random.default_rng(0).integers(0, 256, (3, 64, 64, 3), dtype=np.uint8)
    vectors = embedder.embed(images)
    assert vectors.shape == (3, embedder.n_dims) == (3, 16988)
    blocks = [16, 24, 24, 40, 40, *[80] * 3, *[112] * 3, *[192] * 4, 320]
    assert embedder.n_dims == sum(n_regional(c) + n_correlations(c) for c in blocks) + n_regional(1280)
    np.testing.assert_allclose(embedder.embed(images[1:2])[0], vectors[1], rtol=1e-2, atol=2e-3)
