"""Tune the encoder by what its codes draw, from its closed-form start: the in-domain training.

The closed form (`inversion.fit_encoder`) makes codes right on average; what counts is the image. Here the map and all
but the first stages of its network are trained by Adam so that the generator's image of the code resembles the face:

    distance(image(w), x) + mse(image(w), x) + 0.001 |w - mean|^2 + 0.02 |w - w_true|^2,   lengths in std_w,

the last term for drawn faces only, whose codes are known (Zhu et al., "In-Domain GAN Inversion", ECCV 2020, train
theirs on the image and perceptual terms with a discriminator beside). Images come from a light head
(`inversion.head`), whose error the drawn faces' known codes keep in check.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from inversion.encoder import MobileEncoder
from inversion.generator import Generator
from inversion.head import Sketch
from inversion.perceptual import PerceptualDistance

CHECKPOINT_STEPS = 100
#: The perceptual distance is taken at this size: a quarter of the cost of 256 px.
DISTANCE_PX = 128
#: Lite0's stages before this one keep their weights: they see edges and colours, and a backward pass through their
#: large maps would cost as much as through all others.
FIRST_TUNED_STAGE = 2


@dataclass(frozen=True)
class EncoderTuning:
    """How the encoder is tuned.

    Attributes
    ----------
    n_steps
        Adam steps.
    n_photographs, n_drawn
        Faces of either kind in a step; without photographs all are drawn ones.
    learning_rate
        Peak rate of the map, in standard deviations of each factor's entries.
    backbone_rate
        Peak rate of the network's weights.
    code_weight, prior_weight
        Of the distance from the known code and from the mean code.
    seed
        Order of the faces.
    """

    n_steps: int = 800
    n_photographs: int = 6
    n_drawn: int = 2
    learning_rate: float = 0.01
    backbone_rate: float = 4e-4
    code_weight: float = 0.02
    prior_weight: float = 0.001
    seed: int = 0


@dataclass(frozen=True)
class DrawnFaces:
    """Faces the generator drew, with their codes.

    Attributes
    ----------
    images
        Array file [M, 3, 256, 256], not clipped.
    codes
        float32 [M, C, D].
    rows
        Which of them to train on.
    """

    images: npt.NDArray[np.float16]
    codes: Tensor
    rows: list[int]


def tune_encoder(
    encoder: MobileEncoder,
    *,
    generator: Generator,
    sketch: Sketch,
    perceptual: PerceptualDistance,
    drawn: DrawnFaces,
    photographs: Tensor | None,
    settings: EncoderTuning,
    checkpoint: Path | None = None,
) -> Iterator[tuple[int, float]]:
    """Train ``encoder`` in place; yields after each step its number, from 1, and the loss.

    ``photographs`` are aligned faces, uint8 [P, 3, 256, 256]; half of those in a step are mirrored. What a step draws
    depends on the seed and its number alone, so a training that was stopped goes on from its checkpoint as if it had
    not been.
    """
    factors = [encoder.project, encoder.expand, encoder.offset]
    sizes = [float(f.std()) for f in factors[:2]] + [0.1 * float(generator.std_w.mean())]
    stages = list(encoder.backbone.get_submodule("blocks").children())[FIRST_TUNED_STAGE:]
    weights = [parameter for stage in stages for parameter in stage.parameters()]
    tuned: list[Tensor] = [*factors, *weights]
    for tensor in tuned:
        tensor.requires_grad_(True)
    groups = [{"params": [f], "peak": settings.learning_rate * s} for f, s in zip(factors, sizes, strict=True)]
    adam = torch.optim.Adam([*groups, {"params": weights, "peak": settings.backbone_rate}], betas=(0.9, 0.99))
    first = _resume(checkpoint, tuned, adam)
    for step in range(first, settings.n_steps):
        random = np.random.default_rng([settings.seed, step])
        faces, codes = _draw_batch(drawn, photographs, settings, random)
        for group in adam.param_groups:
            group["lr"] = group["peak"] * _rate(step, settings.n_steps)
        w_plus = encoder(faces)
        loss = _image_loss(sketch(w_plus), faces, perceptual)
        loss = loss + settings.prior_weight * ((w_plus - generator.mean_w) / generator.std_w).square().mean()
        away = (w_plus[len(w_plus) - len(codes) :] - codes) / generator.std_w
        loss = loss + settings.code_weight * away.square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        if checkpoint is not None and ((step + 1) % CHECKPOINT_STEPS == 0 or step + 1 == settings.n_steps):
            part = checkpoint.with_suffix(".part")
            torch.save({"step": step + 1, "tuned": tuned, "adam": adam.state_dict()}, part)
            part.replace(checkpoint)
        yield step + 1, loss.item()
    encoder.requires_grad_(False)


def _image_loss(image: Tensor, faces: Tensor, perceptual: PerceptualDistance) -> Tensor:
    """Distance and squared error, means over the batch; ``faces`` are brought to the image's side."""
    target = F.avg_pool2d(faces, faces.shape[-1] // image.shape[-1])
    small = F.avg_pool2d(image, image.shape[-1] // DISTANCE_PX)
    with torch.no_grad():
        goal = perceptual.features(F.avg_pool2d(faces, faces.shape[-1] // DISTANCE_PX))
    return perceptual.distance_to(goal, small).mean() + (image - target).square().mean()


def _draw_batch(
    drawn: DrawnFaces, photographs: Tensor | None, settings: EncoderTuning, random: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Faces [B, 3, 256, 256] in [-1, 1] and the codes of the drawn ones, the last."""
    n_drawn = settings.n_drawn if photographs is not None else settings.n_drawn + settings.n_photographs
    rows = random.choice(drawn.rows, n_drawn, replace=False).tolist()
    faces = [torch.from_numpy(drawn.images[r].astype(np.float32)).clamp(-1, 1) for r in rows]
    if photographs is not None:
        chosen = random.choice(len(photographs), settings.n_photographs, replace=False).tolist()
        mirrored = (random.random(settings.n_photographs) < 0.5).tolist()
        pairs = zip(chosen, mirrored, strict=True)
        faces = [(photographs[i].flip(-1) if m else photographs[i]).float() / 127.5 - 1 for i, m in pairs] + faces
    return torch.stack(faces), drawn.codes[rows]


def _rate(step: int, n_steps: int) -> float:
    """Warm up over 20 steps, then fall to zero along a cosine."""
    return min(1.0, (step + 1) / 20) * 0.5 * (1.0 + math.cos(math.pi * step / n_steps))


def _resume(checkpoint: Path | None, tuned: list[Tensor], adam: torch.optim.Adam) -> int:
    if checkpoint is None or not checkpoint.is_file():
        return 0
    state = torch.load(checkpoint, weights_only=True)
    with torch.no_grad():
        for tensor, stored in zip(tuned, state["tuned"], strict=True):
            tensor.copy_(stored)
    adam.load_state_dict(state["adam"])
    return int(state["step"])
