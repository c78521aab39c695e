"""How well stored codes reproduce faces, measured on the full generator's images and on nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from inversion.generator import Generator
from inversion.perceptual import PerceptualDistance

#: Peak to peak of pixels in [-1, 1].
PEAK_TO_PEAK = 2.0


@dataclass(frozen=True, kw_only=True)
class ReconstructionQuality:
    """Per face, float32 [N] on the CPU, and the images that were judged.

    Attributes
    ----------
    perceptual
        Distance of target and reconstruction; its scale is that of the distance used (`PerceptualDistance.name`).
    mse_unit
        Mean squared error over pixels and colours, in squared units of [-1, 1].
    psnr_db
        10 log10(2^2 / mse_unit), in dB; infinite for an exact reconstruction.
    w_distance_std
        Root mean square of (code - mean) / standard deviation, over channels and dimensions: about 1 for codes that the
        mapping network draws, the larger the farther a code lies from what the generator was trained on.
    image
        float32 [N, 3, 256, 256] in [-1, 1] on the CPU: the full generator's image of the code.
    """

    perceptual: Tensor
    mse_unit: Tensor
    psnr_db: Tensor
    w_distance_std: Tensor
    image: Tensor


def measure(
    targets: Tensor,
    wplus: Tensor,
    *,
    generator: Generator,
    perceptual: PerceptualDistance,
    batch_size: int = 4,
    autocast_bf16: bool = False,
    drawn: Tensor | None = None,
) -> ReconstructionQuality:
    """Measure the images that `wplus` gives against `targets`.

    Parameters
    ----------
    targets
        float32 [N, 3, 256, 256] in [-1, 1].
    wplus
        float32 [N, n_channels, w_dim], as stored.
    generator
        Draws the whole image, reduced to 256 px by area and clipped to [-1, 1], as one would look at it.
    perceptual
        The distance to report.
    batch_size
        Faces drawn at a time: bounds the memory; changes results by float32 rounding only.
    autocast_bf16
        Draw in bfloat16 (the measures themselves stay float32).
    drawn
        The generator's images of the codes [N, 3, 256, 256], where they have been made already.

    Raises
    ------
    ValueError
        Shapes that do not fit, or codes that are not finite.
    """
    if targets.ndim != 4 or tuple(targets.shape[1:]) != (3, 256, 256) or len(targets) != len(wplus):
        raise ValueError(f"expected {len(wplus)} targets [N, 3, 256, 256], as many as codes, got {list(targets.shape)}")
    if drawn is None:
        made = reconstruct(wplus, generator=generator, batch_size=batch_size, autocast_bf16=autocast_bf16)
    elif drawn.shape != targets.shape:
        raise ValueError(f"expected drawn images {list(targets.shape)} like the targets, got {list(drawn.shape)}")
    else:
        made = iter(drawn.clamp(-1.0, 1.0).split(batch_size))
    distances, errors, images = [], [], []
    for target, image in zip(targets.split(batch_size), made, strict=True):
        with torch.inference_mode():
            distances.append(perceptual(image, target).cpu())
            errors.append((image - target).square().mean(dim=(1, 2, 3)).cpu())  # [n]
            images.append(image.cpu())
    mse_unit = torch.cat(errors)
    offset = (wplus - generator.mean_w) / generator.std_w
    return ReconstructionQuality(
        perceptual=torch.cat(distances),
        mse_unit=mse_unit,
        psnr_db=10.0 * torch.log10(PEAK_TO_PEAK**2 / mse_unit),
        w_distance_std=offset.square().mean(dim=(1, 2)).sqrt().cpu(),
        image=torch.cat(images),
    )


def reconstruct(
    wplus: Tensor, *, generator: Generator, batch_size: int = 4, autocast_bf16: bool = False
) -> Iterator[Tensor]:
    """Yield the full generator's images of `wplus`, float32 [n, 3, 256, 256] clipped to [-1, 1], n up to `batch_size`.

    Parameters are those of `measure`, and so are the errors raised.
    """
    expected = (generator.n_channels, generator.w_dim)
    if wplus.ndim != 3 or tuple(wplus.shape[1:]) != expected or len(wplus) == 0:
        raise ValueError(
            f"expected codes [N, {expected[0]}, {expected[1]}] with N of at least 1, got {list(wplus.shape)}"
        )
    if not bool(wplus.isfinite().all()):
        raise ValueError("expected finite codes, got NaN or infinity")
    if batch_size < 1:
        raise ValueError(f"expected a batch size of at least 1, got {batch_size}")
    for codes in wplus.split(batch_size):
        with torch.inference_mode(), torch.autocast(wplus.device.type, dtype=torch.bfloat16, enabled=autocast_bf16):
            image = generator.synthesise_256(codes)
        yield image.float().clamp(-1.0, 1.0)
