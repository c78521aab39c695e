"""Clips that were judged, as ``lf predict CLIP --out cases`` leaves them. Nothing here draws.

Names come from the folder itself: one that an address asks for is looked up among them and never made into a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st
from pydantic import ValidationError

from dashboard import privacy
from pipeline.errors import UserError
from pipeline.predict.result import FORMAT, Frame, Result
from pipeline.predict.stills import stills
from pipeline.predict.store import ANNOTATED, REPORT, RESULT
from pipeline.report.images import data_uri, encode

MAX_RESULT_BYTES = 64_000_000  # 2,000 frames of eight faces take 10 MB
#: Shown around a face, as a share of its box on each side.
MARGIN = 0.4


@dataclass(frozen=True)
class Case:
    """A judged clip: its folder and what ``result.json`` says."""

    folder: Path
    result: Result

    @property
    def annotated(self) -> Path | None:
        """The clip with boxes."""
        return self._own(ANNOTATED)

    @property
    def report(self) -> Path | None:
        """The case report."""
        return self._own(REPORT)

    def _own(self, name: str) -> Path | None:
        """A file of the case under the name this program gives it, whatever the JSON says; None where it is not."""
        file = self.folder / name
        return file if file.is_file() and not file.is_symlink() else None


def names(folder: Path) -> list[str]:
    """Judged clips below a folder, the newest first; links and what they lead to are left out."""
    found = []
    for file in (*folder.glob("*/" + RESULT), *folder.glob("*/*/" + RESULT)):
        inside = file.relative_to(folder)
        if inside.parts[0].startswith(".") or any(p.is_symlink() for p in (file, *file.parents[: len(inside.parts)])):
            continue
        try:
            found.append((file.stat().st_mtime_ns, inside.parent.as_posix()))
        except FileNotFoundError:  # replaced by a run that goes on
            continue
    return [name for _, name in sorted(found, reverse=True)]


def read(folder: Path) -> Case:
    """One judged clip.

    Raises
    ------
    UserError
        Its ``result.json`` is missing, too large, damaged, or of another version; the message is one sentence.
    """
    file = folder / RESULT
    try:
        if file.stat().st_size > MAX_RESULT_BYTES:
            raise UserError(f"{file} is larger than {MAX_RESULT_BYTES // 1_000_000} MB: not a result of lf predict")
        found = Result.model_validate_json(file.read_bytes())
    except ValidationError as error:
        raise UserError(
            f"{file} is damaged or of another version of the program ({_place(error)}): judge the clip again"
        ) from error
    except OSError as error:
        raise UserError(f"{file} cannot be read: {error.strerror or error}") from error
    if found.format != FORMAT:
        raise UserError(f"{file} has format {found.format}, this program reads {FORMAT}: judge the clip again")
    return Case(folder, found)


def _place(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}"


def frames(result: Result) -> pd.DataFrame:
    """Every face of every sampled frame: ``frame_index, time_s, track_id, p_fake, verdict, status, reason``."""
    columns = ["frame_index", "time_s", "track_id", "p_fake", "verdict", "status", "reason"]
    rows = pd.DataFrame([[getattr(f, c) for c in columns] for f in result.frames], columns=columns)
    return rows.astype({"p_fake": "float64", "time_s": "float64"})


def telling(result: Result) -> list[Frame]:
    """The frames that tell most, as the case report shows them."""
    wanted = [(t.frame_index, t.track_id) for t in result.telling]
    known = {(f.frame_index, f.track_id): f for f in result.frames}
    return [known[key] for key in wanted if key in known]


def pictures(case: Case, wanted: list[Frame], *, size_px: int) -> list[str | None]:
    """Faces of the annotated clip with their surroundings, as data addresses, as the reader wants faces seen."""
    if case.annotated is None or privacy.mode() == "hidden":
        return [None] * len(wanted)
    stat = case.annotated.stat()
    places = tuple((f.time_s, tuple(f.box_xyxy_px) if f.box_xyxy_px else None) for f in wanted)
    found = _pictures(str(case.annotated), (stat.st_mtime_ns, stat.st_size), places, size_px)
    seen = [privacy.protect(picture, privacy.mode()) for picture in found]
    return [None if picture is None else data_uri(picture) for picture in seen]


@st.cache_data(max_entries=16, show_spinner=False)
def _pictures(
    clip: str, version: tuple[int, int], places: tuple[tuple[float | None, tuple[float, ...] | None], ...], size_px: int
) -> list[bytes | None]:
    shown = stills(Path(clip), [time_s or 0.0 for time_s, _ in places])
    return [
        None if rgb is None or box is None else encode(_cut(rgb, box), size_px=size_px)
        for rgb, (_, box) in zip(shown, places, strict=True)
    ]


def _cut(rgb: np.ndarray, box: tuple[float, ...]) -> np.ndarray:
    """A square around a box, as far as the picture [H, W, 3] reaches."""
    left, top, right, bottom = box
    half = max((0.5 + MARGIN) * max(right - left, bottom - top), 1.0)
    x, y = (left + right) / 2, (top + bottom) / 2
    height, width = rgb.shape[:2]
    x0, x1 = (round(float(np.clip(v, 0, width))) for v in (x - half, x + half))
    y0, y1 = (round(float(np.clip(v, 0, height))) for v in (y - half, y + half))
    cut = rgb[y0:y1, x0:x1]
    return cut if cut.size else rgb
