"""Train a VQ-VAE-2 on a folder of pictures or on faces a generator drew.

    python -m embeddings.vqvae_training --images PATH --work DIR --out FILE

`PATH` is a folder of pictures or a .npy file (`python -m inversion.draw_faces` makes one without any photograph). The
last images are kept out and measured at the end; what was found stands in the file's metadata. A run that was stopped
goes on from its checkpoint under `--work`. Sums in another order give other last digits: files made on another machine
differ in bytes, not in quality.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from embeddings.image_source import ImageSource
from embeddings.quantise import perplexity
from embeddings.vqvae import VqVae2, VqVaeSize
from embeddings.vqvae_codec import VqVaeCodec, load_codec
from embeddings.vqvae_fit import VqVaeFit, fit_vqvae, start_vqvae
from embeddings.vqvae_weights import save_vqvae

OnProgress = Callable[[int, int, float], None]
Facts = dict[str, object]
log = logging.getLogger(__name__)


def train(
    images: ImageSource,
    *,
    work: Path,
    out: Path,
    size: VqVaeSize,
    settings: VqVaeFit,
    n_held: int,
    device: str = "cpu",
    on_progress: OnProgress | None = None,
) -> Facts:
    """Fit, measure on the last ``n_held`` images and write the file.

    Parameters
    ----------
    images
        To learn from and to measure on.
    work
        Folder for the checkpoint; its name depends on the settings.
    out
        The .safetensors file.
    size, settings
        Of the network and of the fit.
    n_held
        Images kept out, at least 1.
    device
        "cpu" or "cuda".
    on_progress
        Called with (steps done, steps in all, mean squared error of the step).

    Returns
    -------
    dict
        What was written into the file's metadata: settings, and ``psnr_db``, ``used_codes`` and ``perplexity`` on the
        images kept out.

    Raises
    ------
    ValueError
        Not more images than are to be kept out.
    """
    if not 1 <= n_held < len(images):
        raise ValueError(f"expected more than {n_held} images (those kept out, at least 1), got {len(images)}")
    for folder in (work, out.parent):
        folder.mkdir(parents=True, exist_ok=True)
    facts: Facts = {"size": asdict(size), "fit": asdict(settings), "n_fit": len(images) - n_held, "n_held": n_held}
    facts["torch"] = torch.__version__
    checkpoint = work / f"vqvae-{hashlib.sha256(repr(facts).encode()).hexdigest()[:8]}.pt"
    model = VqVae2(size)
    start_vqvae(model, seed=settings.seed)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    steps = fit_vqvae(model, images, list(range(len(images) - n_held)), settings, checkpoint=checkpoint)
    for step, error in steps:
        if on_progress is not None:
            on_progress(step, settings.n_steps, error)
    save_vqvae(model, out, facts=facts)
    held = range(len(images) - n_held, len(images))
    facts |= _measure(load_codec(out, features="histogram", device=device), images, held)  # as rounded for the file
    save_vqvae(model, out, facts=facts)
    return facts


def _measure(codec: VqVaeCodec, images: ImageSource, held: range) -> Facts:
    """Median PSNR of reconstructions, and of each level how many codes occur at all and their perplexity."""
    coded = [codec.code(images.read([index])) for index in held]
    indices = np.concatenate([c.indices for c in coded if c.indices is not None])
    levels = dict(zip(("top", "bottom"), codec.split(indices), strict=True))
    psnr_db = np.concatenate([c.psnr_db for c in coded])
    return {
        "psnr_db": round(float(np.median(psnr_db)), 2),
        "used_codes": {level: len(np.unique(found)) for level, found in levels.items()},
        "perplexity": {level: round(perplexity(torch.from_numpy(found)), 1) for level, found in levels.items()},
    }


def main() -> None:
    """Read the command line and train."""
    fit, size = VqVaeFit(), VqVaeSize()
    parser = argparse.ArgumentParser(description="Train a VQ-VAE-2 on images of 256 px.")
    parser.add_argument("--images", type=Path, required=True, help="folder of pictures, or a .npy file")
    parser.add_argument("--limit", type=int, help="only the first so many images")
    parser.add_argument("--work", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--out", type=Path, required=True, help="the .safetensors file to write")
    parser.add_argument("--steps", type=int, default=fit.n_steps)
    parser.add_argument("--batch-size", type=int, default=fit.batch_size)
    parser.add_argument("--window-px", type=int, default=fit.window_px)
    parser.add_argument("--learning-rate", type=float, default=fit.learning_rate)
    parser.add_argument("--channels", type=int, default=size.n_channels, help="width; published networks have 128")
    parser.add_argument("--res-channels", type=int, default=size.n_res_channels)
    parser.add_argument("--held", type=int, default=50, help="images kept out and measured")
    parser.add_argument("--seed", type=int, default=fit.seed)
    parser.add_argument("--bf16", action="store_true", help="convolutions in bfloat16, where the device is quick at it")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    told = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    settings = VqVaeFit(
        n_steps=told.steps,
        batch_size=told.batch_size,
        window_px=told.window_px,
        learning_rate=told.learning_rate,
        seed=told.seed,
        bf16=told.bf16,
    )
    width = VqVaeSize(n_channels=told.channels, n_res_channels=told.res_channels)
    try:
        source = ImageSource(told.images, limit=told.limit)
        facts = train(
            source,
            work=told.work,
            out=told.out,
            size=width,
            settings=settings,
            n_held=told.held,
            device=told.device,
            on_progress=_Progress(),
        )
    except ValueError as error:
        parser.exit(1, f"vqvae_training: {error}\n")
    log.info("%s", facts)


class _Progress:
    """Says every hundred steps how far the fit is, its error and how long the rest will take."""

    def __init__(self) -> None:
        self._started_s = time.monotonic()
        self._first: int | None = None
        self._errors: list[float] = []

    def __call__(self, done: int, total: int, error: float) -> None:
        self._first = done - 1 if self._first is None else self._first
        self._errors.append(error)
        if done % 100 == 0 or done == total:
            rest_s = (time.monotonic() - self._started_s) / (done - self._first) * (total - done)
            log.info("step %d of %d, error %.5f, %.0f s to go", done, total, np.mean(self._errors), rest_s)
            self._errors.clear()


if __name__ == "__main__":
    main()
