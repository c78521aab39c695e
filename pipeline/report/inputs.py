"""What the report is made of: facts about the run, tables (or why one is missing), and look-ups for stored images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

FaceImages = Callable[[Sequence[str]], Mapping[str, bytes]]
ReconstructionImages = Callable[[Sequence[str], str], Mapping[str, bytes]]


@dataclass(frozen=True)
class WeightUse:
    """A network's weights that the run used, with the terms they stand under."""

    name: str
    source: str
    licence: str
    noncommercial: bool


@dataclass(frozen=True)
class RunFacts:
    """What the run was: everything a reader needs to make it again.

    ``facts`` holds further pairs of name and value, shown as they are. ``created`` is left out of the page where it is
    empty, so that the same tables give the same bytes.
    """

    seed: int
    profile: str
    device: str
    fingerprint: str
    source: str
    versions: Mapping[str, str] = field(default_factory=dict)
    weights: Sequence[WeightUse] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    created: str = ""
    title: str = "LatentForensics report"


@dataclass(frozen=True)
class ReportInput:
    """Everything `render` and `figures` read.

    Parameters
    ----------
    run : RunFacts
    tables : mapping
        Table name -> DataFrame without vector and image columns, or the sentence that says why it is missing.
    face_images : callable
        ``(face_ids) -> {face_id: encoded image}``; unknown ids are left out. May raise UserError.
    reconstructions : callable
        ``(face_ids, inverter_id) -> {face_id: encoded image}``, likewise.
    decoded : callable
        ``(face_ids, codec_id) -> {face_id: encoded image}``, likewise.
    perceptual : str
        Name of the metric in ``wplus.lpips``.
    fingerprints : mapping
        Table name -> fingerprint of the run that wrote it.
    """

    run: RunFacts
    tables: Mapping[str, pd.DataFrame | str]
    face_images: FaceImages
    reconstructions: ReconstructionImages
    decoded: ReconstructionImages
    perceptual: str = "not named in the table"
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> pd.DataFrame | None:
        """A table that is there and has rows, else None."""
        table = self.tables.get(name)
        return table if isinstance(table, pd.DataFrame) and not table.empty else None

    def why_missing(self, name: str) -> str:
        """One sentence on why `get` gives None."""
        table = self.tables.get(name)
        if isinstance(table, str):
            return table
        return f"table '{name}' has no rows." if table is not None else f"table '{name}' was not handed to the report."
