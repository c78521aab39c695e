"""The quantiser against brute force, the closed form of its moving averages, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from embeddings.quantise import DECAY, EPSILON, Quantiser, perplexity


@pytest.fixture
def quantiser() -> Quantiser:
    random = torch.Generator().manual_seed(0)
    made = Quantiser(5, 7)
    made.embed.copy_(torch.randn(5, 7, generator=random))
    made.embed_avg.copy_(made.embed * 3)
    made.cluster_size.fill_(3)
    return made


def vectors(n: int = 2, seed: int = 1) -> torch.Tensor:
    return torch.randn(n, 5, 4, 6, generator=torch.Generator().manual_seed(seed))


def brute_force(x: np.ndarray, book: np.ndarray) -> np.ndarray:
    """Nearest column of ``book`` [dim, K] for each vector of ``x`` [N, dim, H, W], one at a time."""
    out = np.empty((x.shape[0], *x.shape[2:]), dtype=np.int64)
    for place in np.ndindex(out.shape):
        vector = x[place[0], :, place[1], place[2]].astype(np.float64)
        out[place] = min(range(book.shape[1]), key=lambda k: ((vector - book[:, k]) ** 2).sum())
    return out


def test_nearest_codes_are_those_of_brute_force(quantiser: Quantiser) -> None:
    x = vectors()
    found = quantiser.nearest(x)
    np.testing.assert_array_equal(found, brute_force(x.numpy(), quantiser.embed.double().numpy()))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(quantiser.nearest(x), found), "reduced precision would pick other codes"
    quantised, _, indices = quantiser(x)
    assert torch.equal(indices, found)
    np.testing.assert_allclose(quantised[1, :, 2, 3], quantiser.embed[:, found[1, 2, 3]], atol=1e-6)


def test_moving_averages_follow_their_closed_form(quantiser: Quantiser) -> None:
    size, total = quantiser.cluster_size.double().numpy(), quantiser.embed_avg.double().numpy()
    for step in range(3):
        x = vectors(seed=step)
        indices = quantiser.nearest(x)
        quantiser.follow(x, indices)
        flat, chosen = x.movedim(1, -1).reshape(-1, 5).double().numpy(), indices.flatten().numpy()
        size = DECAY * size + (1 - DECAY) * np.array([(chosen == k).sum() for k in range(7)])
        sums = np.stack([flat[chosen == k].sum(axis=0) for k in range(7)], axis=1)
        total = DECAY * total + (1 - DECAY) * sums
        smoothed = (size + EPSILON) / (size.sum() + 7 * EPSILON) * size.sum()
        # float32 sums of some tens of vectors.
        np.testing.assert_allclose(quantiser.embed, total / smoothed, rtol=1e-5, atol=1e-6)


def test_a_codebook_settles_on_the_means_of_what_it_gets(quantiser: Quantiser) -> None:
    centres = torch.tensor([[3.0] * 5, [-3.0] * 5])
    quantiser.embed[:, :2] = centres.T * 0.8
    quantiser.embed_avg[:, :2] = quantiser.embed[:, :2] * 3
    x = centres[:, :, None, None].expand(2, 5, 4, 6)
    for _ in range(1500):
        quantiser.follow(x, quantiser.nearest(x))
    np.testing.assert_allclose(quantiser.embed[:, :2].T, centres, rtol=1e-3)


def test_gradients_pass_straight_through(quantiser: Quantiser) -> None:
    x = vectors().requires_grad_()
    weight = vectors(seed=5)
    quantised, commitment, _ = quantiser(x)
    (quantised * weight).sum().backward()
    assert torch.equal(x.grad, weight), "as if nothing had been quantised"
    x.grad = None
    quantised, commitment, _ = quantiser(x)
    commitment.backward()
    expected = 2 * (x.detach() - quantised.detach()) / x.numel()
    np.testing.assert_allclose(x.grad, expected, atol=1e-7)


def test_unused_codes_are_moved_onto_vectors(quantiser: Quantiser) -> None:
    quantiser.cluster_size[[1, 4]] = 0.01
    before = quantiser.embed.clone()
    x = vectors()
    assert quantiser.restart(x, below=0.1, random=torch.Generator().manual_seed(0)) == 2
    rows = x.movedim(1, -1).reshape(-1, 5)
    for code in (1, 4):
        assert (rows == quantiser.embed[:, code]).all(dim=1).any()
    kept = [0, 2, 3, 5, 6]
    assert torch.equal(quantiser.embed[:, kept], before[:, kept])
    assert quantiser.restart(x, below=0.1, random=torch.Generator()) == 0


def test_perplexity_counts_codes_by_how_often_they_occur() -> None:
    assert perplexity(torch.full((2, 3, 4), 7)) == pytest.approx(1)
    assert perplexity(torch.arange(50).reshape(5, 10) * 3) == pytest.approx(50)
    # Shares 1/2, 1/4, 1/4: entropy 1.5 ln 2.
    assert perplexity(torch.tensor([1, 1, 5, 9])) == pytest.approx(2**1.5)
