"""Ways from a face to a W+ code, side by side on the same faces: seconds and memory they take, quality they reach.

    uv run lf bench invert --faces FOLDER --n-faces 20 --methods mean encoder encoder+20 projector+100

FOLDER holds aligned 256 px faces that nothing was fitted to. Quality is that of the full generator's image of the code.
"plain+N" are N plain steps from the mean code (`benchmarks.plain`), "plain@0.03+N" the same at another rate;
"mean+N" and "encoder+N" our search from either start; "projector+N" NVIDIA's projector (`benchmarks.projector`) on
equal terms, "published+N" the same as published, one face at a time through the full-size image. Each method runs in a
process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import machine
from benchmarks.faces import last_faces, read_faces
from benchmarks.plain import IDINVERT_RATE, descend
from benchmarks.projector import project
from inversion.memory import keep_freed_memory
from inversion.optimise import invert
from inversion.quality import measure
from inversion.schedule import EFFORTS, InversionSettings
from pipeline import params
from pipeline.paths import Paths
from pipeline.stages.invert import STAGE
from pipeline.stages.inverter import Inverter, load_inverter

DEFAULT_METHODS = (
    *("mean", "encoder", "plain+20", "plain@0.03+20", "mean+20", "encoder+20"),
    *("plain+100", "plain@0.03+100", "mean+100", "encoder+100", "projector+100", "projector+300", "published+10"),
)


@dataclass(frozen=True)
class Outcome:
    """What one method took and reached."""

    method: str
    inverter_id: str
    seconds_per_face: float
    peak_gb: float
    perceptual: np.ndarray
    mse_unit: np.ndarray
    psnr_db: np.ndarray
    w_distance_std: np.ndarray


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run each method, print one line each."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=Path, required=True, help="folder of aligned 256 px faces")
    parser.add_argument("--n-faces", type=int, default=20, help="the last so many of them by name")
    parser.add_argument("--batch-size", type=int, default=3)
    parser.add_argument("--methods", nargs="+", default=list(DEFAULT_METHODS))
    asked = parser.parse_args(arguments)
    if asked.batch_size < 1:
        parser.error("expected a batch of at least one face")
    try:
        files = last_faces(asked.faces, asked.n_faces)
    except ValueError as error:
        parser.error(str(error))
    print(machine.facts())
    print(
        f"{len(files)} faces, {files[0].name} to {files[-1].name}, batches of {asked.batch_size}; mean, 95 % interval"
    )
    print(f"{'method':16}{'s/face':>9}{'peak GB':>9}{'perceptual':>24}{'MSE':>9}{'PSNR dB':>9}{'std from mean':>15}")
    for method in asked.methods:
        found = _in_own_process(method, files, asked.batch_size)
        low, high = _interval(found.perceptual)
        print(
            f"{method:16}{found.seconds_per_face:9.3f}{found.peak_gb:9.2f}"
            f"{f'{found.perceptual.mean():.4f} [{low:.4f}, {high:.4f}]':>24}{found.mse_unit.mean():9.4f}"
            f"{found.psnr_db.mean():9.2f}{found.w_distance_std.mean():15.3f}",
            flush=True,
        )
    print(f"generator, encoder and perceptual distance: {found.inverter_id}")


def _interval(values: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over faces, by bootstrap."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(0, len(values), (2000, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def _in_own_process(method: str, files: list[Path], batch_size: int) -> Outcome:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(theirs, method, files, batch_size))
    process.start()
    theirs.close()
    try:
        found: Outcome = ours.recv()
    except EOFError:
        sys.exit(f"{method} failed: see above")
    process.join()
    return found


def _run(pipe: Any, method: str, files: list[Path], batch_size: int) -> None:
    keep_freed_memory()
    current = STAGE.run(params.load(Paths().params), Paths())
    inverter = load_inverter(current)
    faces = read_faces(files).to(current.device)
    _codes(method, faces[:1], inverter, warm_up=True)
    _finish(current.device)
    started_s = time.perf_counter()
    codes = torch.cat([_codes(method, batch, inverter) for batch in faces.split(batch_size)])
    _finish(current.device)
    seconds = time.perf_counter() - started_s
    if current.device == "cuda":
        peak = torch.cuda.max_memory_allocated()
    else:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    quality = measure(faces, codes, generator=inverter.exact, perceptual=inverter.perceptual)
    values = [getattr(quality, n).cpu().numpy() for n in ("perceptual", "mse_unit", "psnr_db", "w_distance_std")]
    pipe.send(Outcome(method, inverter.inverter_id, seconds / len(faces), peak / 1e9, *values))


def _finish(device: str) -> None:
    """Wait for the GPU: a call returns before its work is done."""
    if device == "cuda":
        torch.cuda.synchronize()


def _codes(method: str, faces: Tensor, inverter: Inverter, *, warm_up: bool = False) -> Tensor:
    """Codes of one batch; `warm_up` takes at most one step: page faults and first calls are not what is measured."""
    start, _, n = method.partition("+")
    steps = min(int(n or 0), 1) if warm_up else int(n or 0)
    start, _, rate = start.partition("@")
    if start in ("projector", "published"):
        as_published = start == "published"
        found_codes = [
            project(
                part,
                generator=inverter.generator,
                perceptual=inverter.perceptual,
                steps=steps,
                seed=0,
                full_size=as_published,
            )
            for part in faces.split(1 if as_published else len(faces))
        ]
        return torch.cat(found_codes)
    if start == "plain":
        return descend(
            faces,
            generator=inverter.generator,
            perceptual=inverter.perceptual,
            steps=steps,
            rate=float(rate or IDINVERT_RATE),
        )
    if start not in ("mean", "encoder"):
        sys.exit(f"{method}: expected mean, encoder, mean+N, encoder+N, plain+N, projector+N or published+N")
    if steps == 0:
        if start == "encoder":
            if inverter.encoder is None:
                sys.exit("encoder: this generator has none here")
            with torch.no_grad():
                return inverter.encoder(faces)
        return inverter.exact.mean_w.expand(len(faces), inverter.exact.n_channels, -1).clone()
    found = invert(
        faces,
        generator=inverter.generator,
        head=inverter.head,
        coarse=inverter.coarse,
        encoder=inverter.encoder if start == "encoder" else None,
        perceptual=inverter.perceptual,
        settings=_settings(inverter.settings, steps),
    )
    return found.wplus


def _settings(told: InversionSettings, steps: int) -> InversionSettings:
    """Those of the effort that takes so many steps, of `fast` for another number; objective and precision as told."""
    named = next((settings for settings in EFFORTS.values() if settings.steps == steps), EFFORTS["fast"])
    return replace(
        named,
        steps=steps,
        mse_weight=told.mse_weight,
        prior_weight=told.prior_weight,
        in_domain_weight=told.in_domain_weight,
        latent=told.latent,
        code_noise=told.code_noise,
        seed=told.seed,
        autocast_bf16=told.autocast_bf16,
    )


if __name__ == "__main__":
    main()
