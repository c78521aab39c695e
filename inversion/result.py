"""What a search gives back."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Trace:
    """How a search went, at the K steps where the full generator's images were made.

    Attributes
    ----------
    step
        int64 [K]: updates made before.
    seconds_per_face
        float64 [K]: wall time since the search began, the encoder included, divided by the number of faces.
    perceptual, mse_unit
        float32 [K, N]: distance and mean squared error of these images, in the search's precision; NaN where a face
        had left the batch.
    """

    step: Tensor
    seconds_per_face: Tensor
    perceptual: Tensor
    mse_unit: Tensor


@dataclass(frozen=True, kw_only=True)
class InversionResult:
    """Codes of a batch of faces, and how the search went.

    Attributes
    ----------
    wplus
        float32 [N, n_channels, w_dim]: for each face the best code among those rated.
    image
        float32 [N, 3, 256, 256], not clipped: the full generator's image of it, in the search's precision.
    loss_start, loss_best
        float32 [N]: objective of the start and of `wplus`. `loss_start` is not finite for a face that could not be
        rated at all.
    best_step
        int64 [N]: number of updates that led to `wplus`; 0 is the start.
    steps_run
        int64 [N]: updates made; fewer than asked for where a face had converged.
    diverged
        bool [N]: loss or gradient stopped being finite; the face left, `wplus` holds its best code until then.
    trace
        See `Trace`.
    """

    wplus: Tensor
    image: Tensor
    loss_start: Tensor
    loss_best: Tensor
    best_step: Tensor
    steps_run: Tensor
    diverged: Tensor
    trace: Trace
