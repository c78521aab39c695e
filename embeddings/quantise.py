"""Vector quantisation with a codebook that follows its vectors by exponential moving averages.

References
----------
van den Oord, Vinyals and Kavukcuoglu (2017). Neural discrete representation learning. NeurIPS, appendix A.1.
Razavi, van den Oord and Vinyals (2019). Generating diverse high-fidelity images with VQ-VAE-2. NeurIPS.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

DECAY = 0.99
EPSILON = 1e-5


class Quantiser(nn.Module):
    """A codebook of ``n_codes`` vectors of ``dim`` numbers.

    Attributes
    ----------
    embed : float32 [dim, n_codes]
        The codebook, one column per code. Buffers carry the names of published checkpoints.
    cluster_size : float32 [n_codes]
        Moving average of how many vectors a batch gives to each code.
    embed_avg : float32 [dim, n_codes]
        Moving average of their sums.
    """

    embed: Tensor
    cluster_size: Tensor
    embed_avg: Tensor

    def __init__(self, dim: int, n_codes: int) -> None:
        super().__init__()
        self.register_buffer("embed", torch.zeros(dim, n_codes))
        self.register_buffer("cluster_size", torch.zeros(n_codes))
        self.register_buffer("embed_avg", torch.zeros(dim, n_codes))

    def nearest(self, vectors: Tensor) -> Tensor:
        """Index of the code nearest (squared Euclidean distance) to each vector.

        Parameters
        ----------
        vectors : float [N, dim, H, W]

        Returns
        -------
        int64 [N, H, W].
        """
        flat = vectors.movedim(1, -1).reshape(-1, len(self.embed)).float()  # [N H W, dim]
        with torch.autocast(flat.device.type, enabled=False):  # bfloat16 would pick other codes
            # |v|^2 is the same for all codes of a vector and stays out: less is lost to rounding.
            distance = self.embed.square().sum(0) - 2 * flat @ self.embed  # [N H W, n_codes]
        return distance.argmin(1).reshape(len(vectors), *vectors.shape[2:])

    def look_up(self, indices: Tensor) -> Tensor:
        """Code vectors float32 [N, dim, H, W] of indices int64 [N, H, W]."""
        return F.embedding(indices, self.embed.T).movedim(-1, 1)

    def forward(self, vectors: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Quantise ``vectors`` float [N, dim, H, W].

        Returns
        -------
        quantised : float32 [N, dim, H, W]
            The nearest codes; gradients pass to ``vectors`` as if nothing had been done (straight through).
        commitment : float32 []
            Mean squared distance of vectors and codes, with a gradient for the vectors alone.
        indices : int64 [N, H, W]
        """
        vectors = vectors.float()
        indices = self.nearest(vectors.detach())
        codes = self.look_up(indices)
        return vectors + (codes - vectors).detach(), (codes.detach() - vectors).square().mean(), indices

    @torch.no_grad()
    def follow(self, vectors: Tensor, indices: Tensor) -> None:
        """One step of the codebook towards the vectors given to it.

        With n_i vectors of sum m_i at code i and decay d: N_i <- d N_i + (1 - d) n_i, M_i <- d M_i + (1 - d) m_i and
        e_i = M_i / N'_i, where N' smooths N so that no code is divided by zero: N'_i = (N_i + eps) / (N + K eps) N.

        Parameters
        ----------
        vectors : float [N, dim, H, W]
        indices : int64 [N, H, W]
            What `forward` gave for them.
        """
        flat = vectors.movedim(1, -1).reshape(-1, len(self.embed)).float()  # [N H W, dim]
        chosen = indices.flatten()
        n_codes = len(self.cluster_size)
        counts = torch.bincount(chosen, minlength=n_codes).to(flat.dtype)
        sums = torch.zeros_like(self.embed.T).index_add_(0, chosen, flat).T  # [dim, n_codes]
        self.cluster_size.lerp_(counts, 1 - DECAY)
        self.embed_avg.lerp_(sums, 1 - DECAY)
        total = self.cluster_size.sum()
        smoothed = (self.cluster_size + EPSILON) / (total + n_codes * EPSILON) * total
        self.embed.copy_(self.embed_avg / smoothed)

    @torch.no_grad()
    def restart(self, vectors: Tensor, *, below: float, random: torch.Generator) -> int:
        """Move codes that are hardly used onto vectors drawn from ``vectors`` [N, dim, H, W]; returns their number.

        A code whose average count is at most ``below`` gets the count of the average code, so that it is not moved
        again at once. ``random`` is a generator on the CPU.
        """
        dead = (self.cluster_size <= below).nonzero().flatten()
        if len(dead) == 0:
            return 0
        flat = vectors.movedim(1, -1).reshape(-1, len(self.embed)).float()
        drawn = flat[torch.randint(len(flat), (len(dead),), generator=random).to(flat.device)]  # [n_dead, dim]
        count = len(flat) / len(self.cluster_size)
        self.embed[:, dead] = drawn.T
        self.embed_avg[:, dead] = drawn.T * count
        self.cluster_size[dead] = count
        return len(dead)


def perplexity(indices: Tensor) -> float:
    """How many codes are in use, counted by how often: exp(-sum p_k log p_k) over the shares p_k in ``indices``.

    1 where all indices (integers of any shape) are one code, K where K codes are equally frequent.
    """
    _, counts = indices.unique(return_counts=True)
    shares = counts.double() / counts.sum()
    return float(torch.exp(-(shares * shares.log()).sum()))
