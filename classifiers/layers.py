"""The layers of the fully connected networks, drawing every random number from a generator that is handed in."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn

# Linear, ReLU, dropout: the step between the Linear layers' positions, and so between their names in a state dict.
MODULES_PER_LAYER = 3


class SeededDropout(nn.Module):
    """Dropout with its own generator, so that training neither reads nor moves torch's global random state."""

    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__()
        self.p = p
        self.generator = generator

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        keep = torch.rand(x.shape, generator=self.generator, device=x.device) >= self.p
        return x * keep / (1 - self.p)


def build_network(
    n_features: int, hidden: tuple[int, ...], *, dropout: float, seed: int, generator: torch.Generator
) -> nn.Sequential:
    """Linear layers with ReLU and dropout between them, one logit out: [n, n_features] -> [n, 1].

    Weights and biases start uniform in +-1 / sqrt(fan in) (torch's default for Linear), drawn on the CPU from ``seed``,
    so that they are the same on every device. ``generator`` (on the network's device) feeds the dropout.
    """
    weights = torch.Generator().manual_seed(seed)
    modules: list[nn.Module] = []
    sizes = (n_features, *hidden, 1)
    for i, (n_in, n_out) in enumerate(pairwise(sizes)):
        if i > 0:
            modules += [nn.ReLU(), SeededDropout(dropout, generator)]
        layer = nn.utils.skip_init(nn.Linear, n_in, n_out)  # the plain constructor would draw from the global state
        bound = 1 / math.sqrt(n_in)
        with torch.no_grad():
            layer.weight.uniform_(-bound, bound, generator=weights)
            layer.bias.uniform_(-bound, bound, generator=weights)
        modules.append(layer)
    return nn.Sequential(*modules)


def widen_first_layer(network: nn.Sequential, directions: torch.Tensor) -> None:
    """Let a network trained on ``x @ directions`` take x itself: W (x D) = (W D^T) x.

    Parameters
    ----------
    directions : float32 [d, r], on the network's device; the first layer has r inputs and gets d.
    """
    narrow = network[0]
    assert isinstance(narrow, nn.Linear)
    wide = nn.utils.skip_init(nn.Linear, len(directions), narrow.out_features, device=directions.device)
    with torch.no_grad():
        wide.weight.copy_(narrow.weight @ directions.T)
        wide.bias.copy_(narrow.bias)
    network[0] = wide
