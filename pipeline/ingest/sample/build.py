"""Making the sample set: clips, Kaggle-style ``metadata.json`` and the note on what it is."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from pipeline.ingest.detect import Detector
from pipeline.ingest.sample.cast import CAST, Person
from pipeline.ingest.sample.clips import ClipSettings, person_clips, shoot
from pipeline.ingest.sample.encode import encode_h264
from pipeline.ingest.sample.motion import FloatArray, find_directions, measure_attributes
from pipeline.ingest.sample.render import SampleGenerator, as_bytes, draw_code, find_landmarks, render_squares

#: FaceForensics++'s names for its two H.264 qualities, and their constant rate factors.
CRF = {"c23": 23, "c40": 40}
SAMPLE_SEED = 20
README = Path(__file__).resolve().parent.parent / "sample_data" / "README.md"
N_DIRECTION_CODES = 120
N_CLIPS_PER_PERSON = 3


@dataclass(frozen=True)
class Progress:
    """How far the build is: `n_done` of `n_total` steps, and what the last one made."""

    n_done: int
    n_total: int
    what: str


@dataclass(frozen=True)
class Plan:
    """What a build makes; the defaults make the committed set.

    Attributes
    ----------
    cast : sequence of Person
    clip : ClipSettings
    n_direction_codes : int
        Random faces measured for the directions of motion.
    directions : float array [6, 512], optional
        Given directions instead of measured ones (see `pipeline.ingest.sample.motion.find_directions`).
    """

    cast: Sequence[Person] = CAST
    clip: ClipSettings = field(default_factory=ClipSettings)
    n_direction_codes: int = N_DIRECTION_CODES
    directions: FloatArray | None = None


def build_sample(
    out: Path,
    *,
    generator: SampleGenerator,
    detector: Detector,
    seed: int = SAMPLE_SEED,
    device: torch.device | str = "cpu",
    plan: Plan | None = None,
) -> Iterator[Progress]:
    """Make the sample set under `out`, one event per step.

    Each clip depends on `seed`, its person and the generator alone, so a part of the cast gives the same clips as the
    whole. ``metadata.json`` is written last: a folder that has it is complete. For one seed and one machine
    the files are the same to the bit; networks run on one thread for that.

    Parameters
    ----------
    out : Path
        Folder; made if missing, files of the same names are replaced.
    generator : SampleGenerator
        The `mobile` generator: the cast's seeds were chosen on it.
    detector : Detector
    seed : int
        Draws motion, camera, noise and forgery settings; the faces themselves are the cast's.
    device : torch device of the generator.
    plan : Plan, optional

    Yields
    ------
    Progress

    Raises
    ------
    FaceNotFoundError
        If the detector misses a face that must be there.
    """
    plan = plan or Plan()
    device = torch.device(device)
    names = [person.name for person in plan.cast]
    if not names or len(set(names)) != len(names):
        raise ValueError(f"expected a cast of at least one person with unique names, got {names}")
    out.mkdir(parents=True, exist_ok=True)
    n_measured = plan.n_direction_codes if plan.directions is None else 0
    n_total = n_measured + N_CLIPS_PER_PERSON * len(plan.cast) + 1
    directions, n_done = plan.directions, 0
    if directions is None:
        measured = []
        for face in measured_faces(generator, detector, n_measured, plan.clip.truncation, device):
            measured.append(face)
            n_done += 1
            yield Progress(n_done, n_total, "face measured for the directions of motion")
        directions = find_directions(np.stack([code for code, _ in measured]), np.stack([row for _, row in measured]))
    metadata: dict[str, dict[str, str | None]] = {}
    for person in plan.cast:
        footage_rng, swap_rng, self_blend_rng = (
            np.random.default_rng([seed, person.z_seed, person.donor_z_seed, stream]) for stream in range(3)
        )
        footage = shoot(
            person,
            generator=generator,
            detector=detector,
            directions=directions,
            settings=plan.clip,
            device=device,
            rng=footage_rng,
        )
        for method, clip in person_clips(footage, blend=person.blend, swap_rng=swap_rng, self_blend_rng=self_blend_rng):
            name = f"{person.name}_{method}.mp4"
            encode_h264(out / name, clip, fps=plan.clip.fps, crf=CRF[person.compression])
            metadata[name] = describe(person, method)
            n_done += 1
            yield Progress(n_done, n_total, name)
    if out.resolve() != README.parent:
        shutil.copyfile(README, out / README.name)
    _write_text(out / "metadata.json", json.dumps(metadata, indent=1) + "\n")
    yield Progress(n_total, n_total, "metadata.json")


def describe(person: Person, method: str) -> dict[str, str | None]:
    """One clip's entry of ``metadata.json``: the fields of Kaggle's DFDC, and what else is known."""
    real = method == "real"
    return {
        "label": "REAL" if real else "FAKE",
        "split": "train",
        "original": None if real else f"{person.name}_real.mp4",
        "method": method,
        "compression": person.compression,
        "identity": person.name,
        "source_identity": person.donor_name if method.startswith("swap_") else None,
    }


def measured_faces(
    generator: SampleGenerator, detector: Detector, n: int, truncation: float, device: torch.device
) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Codes of `n` random faces and their attributes: float64 [512] and [6] each.

    Faces in which the detector sees nothing are an error: at the truncations used here that means a wrong generator.
    """
    for z_seed in range(n):
        code = draw_code(generator, z_seed, truncation=truncation, device=device)
        square = next(render_squares(generator, code.expand(1, generator.n_channels, -1)))
        landmarks = find_landmarks(detector, [square], what=f"random face {z_seed}")[0]
        attributes = measure_attributes(as_bytes(square), landmarks)
        yield code.double().cpu().numpy(), attributes


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
