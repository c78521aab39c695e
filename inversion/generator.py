"""What every face generator offers."""

from typing import Protocol, runtime_checkable

import torch


@runtime_checkable
class Generator(Protocol):
    """A frozen generator seen from the inversion: codes in, images out, differentiable with respect to the codes.

    The W+ code alone determines the image: noise is fixed and part of the generator.

    Attributes
    ----------
    n_channels
        Number of W+ channels that reach the image.
    w_dim
        Numbers per channel.
    resolution_px
        Side of the square image.
    mean_w, std_w
        ``float32`` [w_dim]: mean and standard deviation of ``map(z)`` over normal ``z``, per dimension.
    weights_sha256
        One digest over all weight files: codes of different weights never mix.
    """

    n_channels: int
    w_dim: int
    resolution_px: int
    mean_w: torch.Tensor
    std_w: torch.Tensor
    weights_sha256: str

    def map(self, z: torch.Tensor, truncation: float = 1.0) -> torch.Tensor:
        """Map normal ``z`` [N, w_dim] to ``w`` [N, w_dim], pulled to the mean code by ``truncation``."""
        ...

    def synthesise(self, w_plus: torch.Tensor) -> torch.Tensor:
        """Turn codes [N, n_channels, w_dim] into images [N, 3, resolution_px, resolution_px], nominally [-1, 1]."""
        ...

    def synthesise_256(self, w_plus: torch.Tensor) -> torch.Tensor:
        """Give the full image reduced to [N, 3, 256, 256] by area."""
        ...


def check_w_plus(w_plus: torch.Tensor, *, n_channels: int, w_dim: int) -> None:
    """Raise ``ValueError`` unless ``w_plus`` is floating point [N, n_channels, w_dim] with N of at least 1."""
    expected = f"expected W+ codes of shape [N, {n_channels}, {w_dim}]"
    if w_plus.ndim != 3 or tuple(w_plus.shape[1:]) != (n_channels, w_dim) or w_plus.shape[0] < 1:
        raise ValueError(f"{expected}, got {list(w_plus.shape)}")
    if not w_plus.is_floating_point():
        raise ValueError(f"{expected} in floating point, got {w_plus.dtype}")
