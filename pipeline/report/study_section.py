"""The report's chapter on the reconstruction study: projectors side by side, and quality against effort."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from pipeline import projectors
from pipeline.errors import UserError
from pipeline.report import blocks, scores
from pipeline.report.blocks import Block, Section
from pipeline.report.images import DIFFERENCE_GAIN, data_uri, decode, difference, encode
from pipeline.report.inputs import ReportInput

N_COMPARED = 6  # faces on the sheet
_COMPARED_PX = 160
MEASURES = {
    "lpips": "perceptual distance",
    "mse_unit": "MSE",
    "psnr_db": "PSNR (dB)",
    "w_distance_std": "code from mean (std)",
    "share_poor": "share poor",
}
IN_FIT_NOTE = (
    "* fitted on faces of this study, so its figures say nothing about new faces "
    "(train.protocol: holdout keeps faces apart)."
)

NO_CURVE = "the first codes were taken as they are; with steps (`invert.quick`, `invert.paper`) this is a curve."


def study_section(data: ReportInput, figs: Mapping[str, bytes]) -> Section:
    """Figures and pictures of every projector on the same faces, and the effort curve."""
    study = data.get("study")
    if study is None:
        out: list[Block] = [blocks.missing(data.why_missing("study"))]
    else:
        table = study_table(study)
        out = [
            blocks.table(
                [str(c) for c in table.columns],
                table.to_numpy().tolist(),
                note=study_note(study),
            )
        ]
        out += _sheet(data)
    if data.get("codes") is None:
        out.append(blocks.missing(data.why_missing("codes")))
    out.append(blocks.heading("Quality against effort"))
    effort = data.get("effort")
    reason = data.why_missing("effort") if effort is None else NO_CURVE
    out.append(blocks.figure(figs.get("effort"), "quality against steps and seconds", effort_caption(), reason=reason))
    intro = (
        "Each projector turns the same faces into codes and back, as in Fig. 4 of LatentForensics. Means over faces "
        "with 95 % intervals from drawing whole source groups."
    )
    return Section("study", "Reconstruction study", intro, out)


def study_table(study: pd.DataFrame) -> pd.DataFrame:
    """Table ``study`` for reading: a row per projector, a column per measure with its interval."""
    rows: list[dict[str, Any]] = []
    for key, part in study.groupby(["space", "projector_id"], sort=True):
        space, projector_id = cast(tuple[str, str], key)
        known = part.set_index("measure")
        row: dict[str, Any] = {"space": space + (" *" if known["n_in_fit"].any() else ""), "projector": projector_id}
        for measure, name in MEASURES.items():
            row[name] = _cell(cast(pd.Series, known.loc[measure])) if measure in known.index else "—"
        rows.append(row | {"faces": int(known["n_faces"].max()), "groups": int(known["n_groups"].max())})
    order = {"wplus": 0}
    rows.sort(key=lambda row: (order.get(row["space"].split()[0], 1), row["space"]))
    return pd.DataFrame(rows)


def _cell(row: pd.Series) -> str:
    values = [None if pd.isna(row[c]) else float(row[c]) for c in ("value", "ci_low", "ci_high")]
    return scores.format_interval((values[0], values[1], values[2]))


def study_note(study: pd.DataFrame) -> str:
    """What a reader of the study's table needs to know."""
    metric = ", ".join(sorted(study["perceptual"].unique()))
    return (
        f"Perceptual distance: {metric}; low is good."
        + (f" {IN_FIT_NOTE}" if study["n_in_fit"].any() else "")
        + scores.remarks(study["reason"].dropna())
    )


def has_curve(effort: pd.DataFrame) -> bool:
    """Whether codes were rated at more than one number of steps."""
    return effort["step"].nunique() > 1


def effort_caption() -> str:
    """What the effort curve shows."""
    return (
        "Mean over faces of the full generator's image after each rated step, with its 95 % interval. A face that has "
        "left the search keeps its last value. Seconds are those of this run's machine, shared among a batch's faces."
    )


def compared_faces(wplus: pd.DataFrame | None, codes: pd.DataFrame | None) -> tuple[list[str], list[tuple[str, str]]]:
    """Faces of the sheet, from best to worst, and ``(space, projector_id)`` of its rows."""
    rows = projectors.comparable(projectors.judged(wplus, codes))
    names = rows[["space", "projector_id"]].drop_duplicates().itertuples(index=False, name=None)
    return projectors.spread(rows, N_COMPARED), list(names)


def picture_rows(
    originals: Mapping[str, bytes], made: Mapping[tuple[str, str], Mapping[str, bytes]], faces: list[str]
) -> list[tuple[str, list[np.ndarray | None]]]:
    """Rows of the sheet: the faces, then for each projector what it gives back and the residual.

    Parameters
    ----------
    made
        (space, projector_id) -> face_id -> encoded image.
    """
    before = [decode(originals.get(face)) for face in faces]
    out: list[tuple[str, list[np.ndarray | None]]] = [("face", before)]
    for (space, _), images in made.items():
        after = [decode(images.get(face)) for face in faces]
        gaps = [
            difference(a, b) if a is not None and b is not None else None for a, b in zip(before, after, strict=True)
        ]
        out += [(space, after), (f"|{space} - face| × {DIFFERENCE_GAIN}", gaps)]
    return out


def _sheet(data: ReportInput) -> list[Block]:
    faces, names = compared_faces(data.get("wplus"), data.get("codes"))
    if not faces:
        return [blocks.missing("no face was given back by every projector.")]
    try:
        originals = data.face_images(faces)
        made = {
            (space, name): (data.reconstructions if space == "wplus" else data.decoded)(faces, name)
            for space, name in names
        }
    except UserError as error:
        return [blocks.missing(str(error))]
    rows = [
        {"name": name, "images": [_jpeg(rgb) for rgb in pictures]}
        for name, pictures in picture_rows(originals, made, faces)
    ]
    title = f"{blocks.plural(len(faces), 'face')}, from the best to the worst by mean perceptual distance"
    return [{"kind": "compare", "title": title, "rows": rows, "n": len(faces)}]


def _jpeg(rgb: np.ndarray | None) -> str | None:
    return None if rgb is None else data_uri(encode(rgb, kind="JPEG", size_px=_COMPARED_PX), kind="jpeg")
