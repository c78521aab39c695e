"""What every stage needs: its settings, its paths, its fingerprint."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from pipeline import runinfo, tables
from pipeline.params import Params, StageParams
from pipeline.paths import Paths

log = logging.getLogger("latentforensics")


@dataclass(frozen=True)
class Stage:
    """A DVC stage: the settings it reads and the tables it starts from.

    Attributes
    ----------
    sections
        Sections of ``params.yaml`` the stage may read; ``dvc.yaml`` declares the same ones.
    inputs
        Tables it reads; their fingerprints enter its own.
    """

    name: str
    sections: tuple[str, ...]
    inputs: tuple[str, ...] = ()

    def run(self, params: Params, paths: Paths) -> Run:
        """Bind the stage to a project."""
        return Run(self, StageParams(params, self.sections), paths)


@dataclass(frozen=True)
class Run:
    """One run of a stage."""

    stage: Stage
    params: StageParams
    paths: Paths

    @cached_property
    def device(self) -> str:
        """Device the settings lead to; UserError where a demanded GPU is not there."""
        found = runinfo.pick_device(self.params.device)
        if self.params.device == "auto" and found == "cpu":
            log.info("%s: device auto is the CPU here, for torch sees no CUDA device", self.stage.name)
        return found

    def precision(self, wanted: str) -> Literal["bf16", "fp32"]:
        """Number format the setting ``wanted`` leads to on this device."""
        return runinfo.pick_precision(wanted, self.device)

    def fingerprint(self, weights: Mapping[str, str], *, on_device: bool | None = None) -> str:
        """Fingerprint over settings, code, weight hashes, device and the fingerprints of the input tables.

        ``on_device``: whether the device has a part in what comes out; None: where the stage reads that setting.
        """
        inputs = {name: tables.metadata(self.paths.table(name)).get("fingerprint") for name in self.stage.inputs}
        # What 'auto' leads to is part of it: a work folder may be shared by machines.
        device = self.worked_on(on_device) or "cpu"
        return runinfo.fingerprint(
            self.stage.name,
            self.params.as_dict(),
            inputs={"tables": inputs, "weights": dict(weights), "device": device},
        )

    def worked_on(self, on_device: bool | None = None) -> str | None:
        """Device and its number format, such as cuda-bf16; None where the device has no part in what comes out.

        Not asked for needlessly: torch alone knows, and takes seconds to start.
        """
        if on_device if on_device is not None else "device" in self.stage.sections:
            return f"{self.device}-{self.precision('auto')}"
        return None

    def meta(
        self, weights: Mapping[str, str] | None = None, *, on_device: bool | None = None, **more: Any
    ) -> dict[str, Any]:
        """Metadata for the tables this run writes; ``on_device`` as for ``fingerprint``."""
        weights = weights or {}
        return {
            "stage": self.stage.name,
            "fingerprint": self.fingerprint(weights, on_device=on_device),
            "device": self.worked_on(on_device),
            "params": self.params.as_dict(),
            "weights": dict(weights),
            **more,
        }
