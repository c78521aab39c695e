"""Adam for a batch of independent codes: a rate for each row, and rows that may leave."""

from __future__ import annotations

import torch
from torch import Tensor

#: Short memories for short searches (docs/decisions.md).
BETAS = (0.8, 0.95)
#: Adam divides each gradient by its own size, which would make a full step of rounding noise; below this it is damped.
#: Gradients per standard deviation of W are about 2e-4 (median), 4e-6 (1st percentile); quality is the same.
EPS = 1e-5


class RowAdam:
    """Kingma and Ba, "Adam: A Method for Stochastic Optimization", ICLR 2015, algorithm 1.

    torch's optimiser has one rate for a whole tensor and keeps its state by tensor, so rows could neither slow down
    apart from each other nor leave.

    Parameters
    ----------
    values
        float [N, C, D], whose rows will be updated; only its shape, dtype and device matter here.
    """

    def __init__(self, values: Tensor) -> None:
        self._mean = torch.zeros_like(values)
        self._square = torch.zeros_like(values)
        self._n_steps = 0

    @torch.no_grad()
    def step(self, gradient: Tensor, rate: Tensor) -> Tensor:
        """Give the update [N, C, D] to add, for `gradient` [N, C, D] and a learning rate [N] for each row."""
        self._n_steps += 1
        self._mean.lerp_(gradient, 1.0 - BETAS[0])
        self._square.lerp_(gradient.square(), 1.0 - BETAS[1])
        mean = self._mean / (1.0 - BETAS[0] ** self._n_steps)
        size = (self._square / (1.0 - BETAS[1] ** self._n_steps)).sqrt()
        return -rate[:, None, None] * mean / (size + EPS)

    def keep(self, rows: Tensor) -> None:
        """Forget all rows but those of a bool mask [N]."""
        self._mean, self._square = self._mean[rows], self._square[rows]
