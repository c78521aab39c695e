"""What all clips of one run share: settings, the chosen model, networks that are loaded once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from classifiers.aggregate import Aggregation
from pipeline import params as settings_of
from pipeline import runinfo, tables, weights
from pipeline.errors import UserError
from pipeline.ingest.detect import Detector
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.predict import describe
from pipeline.predict.assemble import Rules
from pipeline.predict.choice import SAMPLE_NOTICE, Choice
from pipeline.predict.decision import Decision
from pipeline.predict.drawing import Overlay
from pipeline.predict.footage import Footage, Sampling
from pipeline.predict.result import Run
from pipeline.predict.scorer import Scorer, open_scorer
from pipeline.predict.spaces import Projector, open_projector

log = logging.getLogger("latentforensics")

#: Aggregations whose answer grows with the number of frames.
GROWING: tuple[Aggregation, ...] = ("topk", "noisy_or")


@dataclass
class Clock:
    """Seconds by part."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what the block takes, and say that it begins."""
        log.debug("predict: %s", name, extra={"part": name})
        start = time.monotonic()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - start

    @property
    def total_s(self) -> float:
        """All parts."""
        return sum(self.seconds.values())


def frame_count_warnings(aggregate: Aggregation, measured: settings_of.Sampling, here: Sampling) -> list[str]:
    """Whether P(fake) of a clip grows with the number of frames and that differs from what the model was measured on.

    Parameters
    ----------
    measured : frames of a video in the project.
    here : frames of a clip to judge.
    """
    n = measured.n if measured.mode in ("uniform", "random") else None
    if aggregate not in GROWING or (n is not None and here.n_frames == n):
        return []
    asked = "another number of frames" if n is None else f"{n} frames"
    mend = "" if n is None else f"; --n-frames {n} makes them comparable"
    return [
        f"P(fake) of a clip grows with its number of frames (train.aggregate: {aggregate}), and the model's figures "
        f"were measured on {asked} of a video, so they do not hold for this run{mend}."
    ]


@dataclass
class Session:
    """What all clips of a run share; networks are loaded when the first clip needs them."""

    params: Params
    paths: Paths
    out: Path
    choice: Choice
    sampling: Sampling
    device: str

    @cached_property
    def scorer(self) -> Scorer:
        """The model and what makes its vectors."""
        return open_scorer(self.choice, self.params, self.paths, device=self.device)

    @cached_property
    def detector(self) -> Detector | None:
        """The detector of the settings; None where whole images are faces."""
        from pipeline.stages.face_work import wanted_detector

        if self.params.faces.crop == "whole":
            return None
        weights.require("mtcnn", allow_noncommercial=self.params.weights.allow_noncommercial)
        return wanted_detector(self.params.faces, self.device)

    @cached_property
    def overlay(self) -> Overlay:
        """What is written over every frame."""
        said = [SAMPLE_NOTICE] if SAMPLE_NOTICE in self.choice.warnings() else []
        said += [self.decision.text] if self.decision.is_set else []
        return Overlay(self.decision.band, " ".join(said))

    @cached_property
    def decision(self) -> Decision:
        """What P(fake) has to be for a verdict."""
        return Decision.of(self.params)

    def warnings(self) -> list[str]:
        """What a reader of any score of this run has to know first."""
        params = self.params
        return self.choice.warnings() + frame_count_warnings(params.train.aggregate, params.sampling, self.sampling)

    @cached_property
    def inverter(self) -> Projector:
        """The inversion of the settings, for pictures beside a model that reads other vectors; UserError without."""
        if "wplus" not in self.params.spaces:
            raise UserError("'wplus' is not among spaces in params.yaml")
        return open_projector("wplus", self.params, self.paths)

    def fingerprint(self, sha256: str | None) -> str:
        """Everything a result depends on."""
        settings = self.params.model_dump(mode="json", by_alias=True)
        own = {name: settings[name] for name in ("seed", "profile", "faces", "invert", "embed", "codes", "train")}
        own |= {"decision": asdict(self.decision)}
        shown = {name: tables.metadata(self.paths.table(name)).get("fingerprint") for name in ("metrics", "clusters")}
        said = [self.choice.why, *self.warnings()]  # they differ with who chose the model
        model = {"card": self.choice.card["card_sha256"], "said": said}
        inputs = {"clip": sha256, "model": model, "tables": shown, "device": self.device}
        return runinfo.fingerprint("predict", own | {"sampling": vars(self.sampling)}, inputs=inputs)

    def rules(self, footage: Footage) -> Rules:
        """How this clip's faces become a verdict."""
        train = self.params.train
        return Rules(
            aggregate=train.aggregate,
            decision=self.decision,
            decides=self.params.faces.keep,
            step_s=footage.step_s,
            duration_s=footage.info.duration_s,
        )

    def run_facts(self, fingerprint: str, clock: Clock, footage: Footage | None) -> Run:
        """How a clip was worked on."""
        scorer, length_s = self.scorer, footage.info.duration_s if footage else 0.0
        used = {} if self.params.faces.crop == "whole" else {"mtcnn": weights.sha256("mtcnn")}
        return Run(
            fingerprint=fingerprint,
            versions=describe.versions(),
            code=runinfo.code_hash()[:16],
            device=self.device,
            weights=used | scorer.projector.weights,
            perceptual=scorer.projector.perceptual,
            aggregate=self.params.train.aggregate,
            uncertain_band=self.decision.band,
            decision=self.decision.told(),
            n_frames_sampled=len(footage.indices) if footage else 0,
            step_s=footage.step_s if footage else 0.0,
            seconds={name: round(s, 3) for name, s in clock.seconds.items()},
            seconds_per_video_second=clock.total_s / length_s if length_s else None,
        )
