"""Rendering codes to small square images, and finding the one face in them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from inversion.pixels import to_uint8
from pipeline.ingest.detect import Detector
from pipeline.ingest.sample.geometry import FloatImage, Points

#: Side of a rendered square after area reduction: a little more than the frame shows, so that filming is not blurry.
SQUARE_RENDER_PX = 320


class SampleGenerator(Protocol):
    """What the sample set needs of a generator (see `inversion.generator`)."""

    n_channels: int
    w_dim: int

    def map(self, z: torch.Tensor, truncation: float = 1.0) -> torch.Tensor:
        """[N, 512] -> [N, 512]."""
        ...

    def synthesise(self, w_plus: torch.Tensor) -> torch.Tensor:
        """[N, n_channels, 512] -> [N, 3, R, R] in [-1, 1]."""
        ...


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch on one thread and set the number back: other numbers sum in another order and change last bits."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


class FaceNotFoundError(RuntimeError):
    """A rendered frame in which the detector does not see exactly the face that must be there."""


def draw_code(generator: SampleGenerator, z_seed: int, *, truncation: float, device: torch.device) -> torch.Tensor:
    """The code of the face that `z_seed` stands for: float32 [w_dim]."""
    z = np.random.default_rng(z_seed).standard_normal((1, generator.w_dim), dtype=np.float32)
    with one_thread(), torch.inference_mode():
        return generator.map(torch.from_numpy(z).to(device), truncation)[0]


def render_squares(generator: SampleGenerator, w_plus: torch.Tensor) -> Iterator[FloatImage]:
    """Render codes one at a time.

    Parameters
    ----------
    w_plus : float32 tensor [N, n_channels, 512]
        One image per forward pass: the result then cannot depend on a batch, and memory stays small.

    Yields
    ------
    float32 array [SQUARE_RENDER_PX, SQUARE_RENDER_PX, 3] in [0, 255]
    """
    for code in w_plus:
        with one_thread(), torch.inference_mode():
            rgb = to_uint8(generator.synthesise(code[None]))[0]
        square = cv2.resize(rgb.astype(np.float32), (SQUARE_RENDER_PX, SQUARE_RENDER_PX), interpolation=cv2.INTER_AREA)
        yield np.clip(square, 0, 255)


def as_bytes(image: FloatImage) -> NDArray[np.uint8]:
    """Round a float image in [0, 255] to 8 bits."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def find_landmarks(detector: Detector, images: Sequence[FloatImage], *, what: str) -> Points:
    """The landmarks of the largest face of each image.

    Parameters
    ----------
    detector : Detector
    images : sequence of float32 arrays [H, W, 3] in [0, 255]
    what : str
        Names the images in the error.

    Returns
    -------
    float64 array [N, 5, 2]
        In pixels, pixel centres at integers.

    Raises
    ------
    FaceNotFoundError
        If an image has no face.
    """
    with one_thread():
        found = detector.detect([as_bytes(image) for image in images])
    missing = [i for i, faces in enumerate(found) if not faces]
    if missing:
        raise FaceNotFoundError(f"{what}: {detector.detector_id} finds no face in image {missing[0]} of {len(images)}")
    # The detector counts pixel i as [i, i + 1); OpenCV's warps put its centre at i.
    return np.stack([faces[0].landmarks_px - 0.5 for faces in found])
