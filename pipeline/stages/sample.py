"""``lf sample``: make the sample set again."""

from __future__ import annotations

import logging
from pathlib import Path

from inversion.mobile import load_mobile
from pipeline import weights
from pipeline.ingest.detect import make_detector
from pipeline.ingest.sample.build import SAMPLE_SEED, build_sample
from pipeline.progress import progress_bar

log = logging.getLogger("latentforensics")


def run(out: Path, *, seed: int | None) -> None:
    """Write clips and ``metadata.json`` to ``out``."""
    generator = load_mobile(weights.require("mobile-ffhq-1024", allow_noncommercial=True), device="cpu")
    detector = make_detector("mtcnn", device="cpu")
    with progress_bar(what="sample", unit="step") as show:
        for event in build_sample(
            out, generator=generator, detector=detector, seed=SAMPLE_SEED if seed is None else seed
        ):
            show(event.n_done, event.n_total)
            log.debug("sample: %s", event.what)
    log.info("sample: complete in %s", out)
