"""One person's clips: the real footage and the forgeries made from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.ingest.detect import Detector
from pipeline.ingest.sample.camera import CameraPath, add_sensor_noise, camera_path, film
from pipeline.ingest.sample.cast import Person
from pipeline.ingest.sample.forgery import DonorView, SelfBlendSettings, SwapSettings, self_blend, swap_face
from pipeline.ingest.sample.geometry import FloatImage, Points
from pipeline.ingest.sample.mask import N_ANGLES, skin_reach
from pipeline.ingest.sample.motion import GENTLE, FloatArray, code_offsets
from pipeline.ingest.sample.render import (
    SQUARE_RENDER_PX,
    SampleGenerator,
    draw_code,
    find_landmarks,
    render_squares,
)

Clip = list[NDArray[np.uint8]]
Rng = np.random.Generator
_N_KNOTS = 9
# What is left of the forger's landmark tracking error after smoothing, per coordinate.
_LANDMARK_JITTER_PX = 0.25


@dataclass(frozen=True)
class ClipSettings:
    """What all clips of a set share.

    Attributes
    ----------
    n_frames, fps : int
    n_donor_views : int
        Images of the donor per clip, spread evenly; a frame mixes the two nearest.
    truncation : float
        StyleGAN's psi of every drawn face, in (0, 1].
    """

    n_frames: int = 16
    fps: int = 12
    n_donor_views: int = 5
    truncation: float = 0.75

    def __post_init__(self) -> None:
        if self.n_frames < 1 or self.fps < 1 or self.n_donor_views < 1:
            raise ValueError(
                "n_frames, fps and n_donor_views must be at least 1, got "
                f"{self.n_frames}, {self.fps} and {self.n_donor_views}"
            )
        if not 0 < self.truncation <= 1:
            raise ValueError(f"truncation must be in (0, 1], got {self.truncation}")


@dataclass(frozen=True, eq=False)
class Footage:
    """A person's clean footage and all that a forger has: frames, landmarks, views of the donor.

    Attributes
    ----------
    frames : list of float32 arrays [H, W, 3] in [0, 255], before noise
    landmarks_px : float64 array [T, 5, 2], smoothed over time
    camera : CameraPath
    donor_images : list of float32 arrays [S, S, 3] in [0, 255]
    donor_landmarks_px : float64 array [V, 5, 2]
    donor_position : int array [V], the frame each view belongs to
    skin_reach, donor_skin_reach : float64 arrays [N_ANGLES], see `pipeline.ingest.sample.mask.skin_reach`
    """

    frames: list[FloatImage]
    landmarks_px: Points
    camera: CameraPath
    donor_images: list[FloatImage]
    donor_landmarks_px: Points
    donor_position: NDArray[np.int64]
    skin_reach: FloatArray
    donor_skin_reach: FloatArray


def shoot(
    person: Person,
    *,
    generator: SampleGenerator,
    detector: Detector,
    directions: FloatArray,
    settings: ClipSettings,
    device: torch.device,
    rng: Rng,
) -> Footage:
    """Render a person's footage, and the donor moving as the person does.

    Raises
    ------
    FaceNotFoundError
        If the detector misses the face in any frame.
    """
    offsets = code_offsets(
        directions, settings.n_frames, fps=settings.fps, n_channels=generator.n_channels, settings=GENTLE, rng=rng
    )
    camera = camera_path(settings.n_frames, fps=settings.fps, canvas_square_px=SQUARE_RENDER_PX, rng=rng)

    def codes(z_seed: int, moved: NDArray[np.float32]) -> torch.Tensor:
        base = draw_code(generator, z_seed, truncation=settings.truncation, device=device)
        return base + torch.from_numpy(moved).to(device)  # [T, n_channels, 512]

    squares = render_squares(generator, codes(person.z_seed, offsets))
    frames = [film(square, camera, i) for i, square in enumerate(squares)]
    landmarks = smooth_over_time(find_landmarks(detector, frames, what=person.name))
    n_views = min(settings.n_donor_views, settings.n_frames)
    position = np.rint(np.linspace(0, settings.n_frames - 1, n_views)).astype(np.int64)
    donor_images = list(render_squares(generator, codes(person.donor_z_seed, offsets[position])))
    donor_landmarks = find_landmarks(detector, donor_images, what=person.donor_name)
    return Footage(
        frames=frames,
        landmarks_px=landmarks,
        camera=camera,
        donor_images=donor_images,
        donor_landmarks_px=donor_landmarks,
        donor_position=position,
        skin_reach=skin_reach(frames, landmarks),
        donor_skin_reach=skin_reach(donor_images, donor_landmarks),
    )


def smooth_over_time(landmarks_px: Points) -> Points:
    """Binomial (1, 2, 1) / 4 smoothing along the first axis, ends repeated: float64 [T, 5, 2]."""
    padded = np.concatenate([landmarks_px[:1], landmarks_px, landmarks_px[-1:]])
    return (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4


def person_clips(footage: Footage, *, blend: str, swap_rng: Rng, self_blend_rng: Rng) -> Iterator[tuple[str, Clip]]:
    """The person's clips, each with its method: real, swapped, self-blended."""
    yield "real", real_clip(footage)
    yield f"swap_{blend}", swap_clip(footage, blend=blend, rng=swap_rng)
    yield "self_blend", self_blend_clip(footage, rng=self_blend_rng)


def real_clip(footage: Footage) -> Clip:
    """The untouched footage with its sensor noise."""
    return _develop(footage.frames, footage.camera)


def swap_clip(footage: Footage, *, blend: str, rng: Rng) -> Clip:
    """The footage with the donor's inner face in every frame; `blend` is "poisson" or "feather"."""
    settings = SwapSettings(
        blend=blend,
        reach=np.minimum(footage.skin_reach, footage.donor_skin_reach) * _hand_cut(rng),
        feather_rel=float(rng.uniform(0.04, 0.08) if blend == "poisson" else rng.uniform(0.12, 0.30)),
        colour_strength=float(rng.uniform(0.75, 1.0)),
        resample=float(rng.uniform(0.55, 0.9)),
    )
    tracked = _jitter(footage.landmarks_px, rng)
    forged = [
        swap_face(frame, landmarks, _donor_views(footage, i), settings)
        for i, (frame, landmarks) in enumerate(zip(footage.frames, tracked, strict=True))
    ]
    return _develop(forged, footage.camera)


def self_blend_clip(footage: Footage, *, rng: Rng) -> Clip:
    """The footage with a slightly transformed copy of the face blended over it in every frame."""
    blur = bool(rng.random() < 0.5)
    settings = SelfBlendSettings(
        shift_rel=(_signed(rng, 0.015, 0.045), _signed(rng, 0.015, 0.045)),
        zoom=1 + _signed(rng, 0.015, 0.05),
        angle_deg=_signed(rng, 0.5, 2.0),
        gain=(1 + _signed(rng, 0.02, 0.07) + rng.uniform(-0.02, 0.02, 3)).astype(np.float32),
        offset=rng.uniform(-4, 4, 3).astype(np.float32),
        resample=float(rng.uniform(0.4, 0.7)) if blur else 1.0,
        sharpen=0.0 if blur else float(rng.uniform(0.4, 0.9)),
        reach=footage.skin_reach * _hand_cut(rng),
        feather_rel=float(rng.uniform(0.10, 0.30)),
    )
    tracked = _jitter(footage.landmarks_px, rng)
    forged = [self_blend(frame, landmarks, settings) for frame, landmarks in zip(footage.frames, tracked, strict=True)]
    return _develop(forged, footage.camera)


def _develop(frames: Sequence[FloatImage], camera: CameraPath) -> Clip:
    """Noise and rounding come last and are the same for real and forged clips."""
    return [add_sensor_noise(frame, camera, i) for i, frame in enumerate(frames)]


def _donor_views(footage: Footage, frame_index: int) -> list[DonorView]:
    position, images, points = footage.donor_position, footage.donor_images, footage.donor_landmarks_px
    after = int(np.searchsorted(position, frame_index))
    if after == len(position):  # past the last view
        return [DonorView(images[-1], points[-1], 1.0)]
    if position[after] == frame_index:
        return [DonorView(images[after], points[after], 1.0)]
    share = float((frame_index - position[after - 1]) / (position[after] - position[after - 1]))
    return [
        DonorView(images[after - 1], points[after - 1], 1 - share),
        DonorView(images[after], points[after], share),
    ]


def _jitter(landmarks_px: Points, rng: Rng) -> Points:
    return landmarks_px + rng.normal(0, _LANDMARK_JITTER_PX, landmarks_px.shape)


def _signed(rng: Rng, low: float, high: float) -> float:
    return float(rng.choice([-1, 1]) * rng.uniform(low, high))


def _hand_cut(rng: Rng) -> FloatArray:
    """No two forgers cut alike: smooth shares in [0.86, 0.98] of the reach, float64 [N_ANGLES]."""
    knots = rng.uniform(0.86, 0.98, _N_KNOTS)
    at = np.arange(N_ANGLES) * (_N_KNOTS / N_ANGLES)
    return np.interp(at, np.arange(_N_KNOTS), knots, period=_N_KNOTS)
