"""The report's chapters on material, inversions and classifiers: tables in, `Section`s out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.errors import UserError
from pipeline.report import blocks, charts, notes, score_blocks, scores, summary
from pipeline.report.blocks import Block, Section
from pipeline.report.images import DIFFERENCE_GAIN, data_uri, decode, difference, encode
from pipeline.report.inputs import ReportInput
from pipeline.report.palette import metric_name, model_name

Figures = Mapping[str, bytes]
SHEET_SIZE_PX = 192
CURVES_CAPTION = (
    "All models (the eight of the highest ROC-AUC) on the same items. Dashed: chance, the share of fakes, and the "
    "errors of always answering the majority class. Where risk falls to the left, unsure answers are the wrong ones."
)
PCA_NOTE = (
    "* Components of 'pca' were fitted on all faces, the judged ones among them (never on their labels), so new faces "
    "may do worse."
)
N_SHEET_ROWS = 4  # faces in each of best, middle and worst


def run_section(data: ReportInput) -> Section:
    """How the run was made, and under which terms its weights stand."""
    run = data.run
    pairs = [("data source", run.source), ("profile", run.profile), ("seed", run.seed), ("device", run.device)]
    pairs += [("fingerprint", run.fingerprint)] + ([("created", run.created)] if run.created else [])
    pairs += list(run.facts.items())
    pairs += [("versions", ", ".join(f"{k} {v}" for k, v in run.versions.items()))] if run.versions else []
    out: list[Block] = [blocks.facts(pairs)]
    if run.weights:
        rows = [(w.name, w.licence, "no" if w.noncommercial else "yes", w.source) for w in run.weights]
        out += [blocks.heading("Weights used"), blocks.table(["weights", "licence", "commercial use", "source"], rows)]
        if limited := [w.name for w in run.weights if w.noncommercial]:
            out.append(
                blocks.text(
                    f"Non-commercial: the licence of {', '.join(limited)} forbids commercial use. Setting "
                    "weights.allow_noncommercial to false in params.yaml refuses such weights."
                )
            )
    if data.fingerprints:
        out += [blocks.heading("Tables"), blocks.table(["table", "fingerprint"], data.fingerprints.items())]
    return Section("run", "The run", blocks=out)


def data_section(data: ReportInput) -> Section:
    """What was catalogued and in how many sampled frames a face was found."""
    out: list[Block] = []
    videos, faces = data.get("videos"), data.get("faces")
    if videos is None:
        out.append(blocks.missing(data.why_missing("videos")))
    else:
        columns = ["data set", "label", "method", "compression", "videos", "usable", "source groups", "minutes"]
        counts = [[*r[:7], f"{r[7]:.1f}"] for r in summary.material(videos).itertuples(index=False, name=None)]
        out += [blocks.heading("Videos"), blocks.table(columns, counts)]
        out += _reasons(videos, "Files by outcome", "files")
    if faces is None:
        out.append(blocks.missing(data.why_missing("faces")))
    else:
        found = summary.coverage(faces)
        rows: list[Sequence[Any]] = [
            (by, key, n, n_ok, blocks.percent(share))
            for by in ("label", "method")
            for key, n, n_ok, share in summary.coverage_by(faces, by).itertuples(index=False, name=None)
        ]
        rows.append(("all", "", found.n_frames, found.n_ok, blocks.percent(found.share)))
        out += [blocks.heading("Face coverage of sampled frames")]
        out += [blocks.table(["by", "value", "frames", "with a face", "coverage"], rows)]
        out += _reasons(faces, "Face rows by outcome", "rows")
    corrected = data.tables.get("overrides")  # no rows are an answer here: nothing was corrected
    out.append(blocks.heading("Corrected by hand"))
    if not isinstance(corrected, pd.DataFrame):
        out.append(blocks.missing(data.why_missing("overrides")))
    else:
        out.append(blocks.text(summary.overrides_sentence(corrected)))
    return Section("data", "Data and coverage", blocks=out)


def _reasons(table: pd.DataFrame, title: str, unit: str) -> list[Block]:
    rows = summary.reasons(table)
    return [
        blocks.heading(title),
        blocks.table(["outcome", "reason", unit], rows.itertuples(index=False, name=None), max_rows=25),
    ]


def inversion_section(data: ReportInput, figs: Figures) -> Section:
    """Quality of reconstructions, and sheets of the best, middle and worst ones."""
    wplus = charts.labelled_wplus(data)
    if wplus is None:
        return Section("inversion", "Inversion", blocks=[blocks.missing(data.why_missing("wplus"))])
    inverter_id = wplus["inverter_id"].iloc[0]
    intro = (
        "Every figure is measured between the aligned face and the full generator's image of the stored code. "
        f"The perceptual distance is the one named {data.perceptual}; low is good. 'Good' and 'poor' are the "
        "values that a tenth of the faces are better and worse than."
    )
    quality = summary.quality_summary(wplus)
    rows = [
        (i, f"{m}{f' ({u})' if u else ''}", n, *values)
        for i, m, u, n, *values in quality.itertuples(index=False, name=None)
    ]
    out = [blocks.table(["inverter", "measure", "faces", "median", "good", "poor", "worst"], rows)]
    out += _reasons(wplus, "Codes by outcome", "faces") if wplus["status"].ne("ok").any() else []
    caption = f"Quality of {len(wplus)} inversions by label ({inverter_id})."
    out.append(blocks.figure(figs.get("quality"), "histograms of quality", caption, reason="no quality was measured."))
    return Section("inversion", "Inversion", intro, out + _sheets(data, wplus, inverter_id))


def _sheets(data: ReportInput, wplus: pd.DataFrame, inverter_id: str) -> list[Block]:
    picks = summary.quality_picks(wplus, n_each=N_SHEET_ROWS)
    ids = pd.concat(picks.values())["face_id"].tolist()
    try:
        originals, reconstructions = data.face_images(ids), data.reconstructions(ids, inverter_id)
    except UserError as error:
        return [blocks.heading("Reconstructions"), blocks.missing(str(error))]
    out: list[Block] = []
    for key, rows in picks.items():
        if not rows.empty:
            cards = [
                _card(r, originals.get(r["face_id"]), reconstructions.get(r["face_id"])) for _, r in rows.iterrows()
            ]
            name = {"best": "Best", "median": "Middle", "worst": "Worst"}[key]
            title = f"{name} by perceptual distance: face, reconstruction, |difference| × {DIFFERENCE_GAIN}"
            out.append({"kind": "sheet", "title": title, "cards": cards})
    return out or [blocks.missing("no inversion has a perceptual distance to sort by.")]


def _card(row: pd.Series, original: bytes | None, reconstruction: bytes | None) -> dict[str, str | None]:
    before, after = decode(original), decode(reconstruction)
    gap = difference(before, after) if before is not None and after is not None else None
    return {
        "original": _jpeg(before),
        "reconstruction": _jpeg(after),
        "difference": _jpeg(gap),
        "label": row["label"],
        "flag": None if row["status"] == "ok" else f"{row['status']}: {row['reason'] or '—'}",
        "figures": f"distance {blocks.cell(row['lpips'])} · MSE {blocks.cell(row['mse_unit'])} · "
        f"PSNR {blocks.cell(row['psnr_db'])} dB",
        "caption": f"face {row['face_id'][:9]} · frame {blocks.cell(row['frame_index'])} · video {row['video_id'][:9]}",
    }


def _jpeg(rgb: np.ndarray | None) -> str | None:
    return None if rgb is None else data_uri(encode(rgb, kind="JPEG", size_px=SHEET_SIZE_PX), kind="jpeg")


def classifier_section(data: ReportInput, figs: Figures) -> Section:
    """Metrics with intervals, and curves of the best model."""
    metrics = data.get("metrics")
    if metrics is None:
        return Section("classifiers", "Classifiers", blocks=[blocks.missing(data.why_missing("metrics"))])
    intro = (
        "Each cell is the value with its 95 % group-bootstrap interval. Every item is judged by a model that never saw "
        "its source group; 'cv' means out-of-fold predictions."
    )
    pairs = scores.judged(metrics)
    out: list[Block] = (
        [] if pairs else [blocks.missing("no classifier was judged: " + (_all_reasons(metrics) or "no rows."))]
    )
    names = scores.metric_order(metrics)[:6]
    for level, split in pairs:
        out.append(blocks.heading(f"{level.capitalize()} level, split {split}"))
        out.append(
            _metric_table(scores.metric_table(metrics, level=level, split=split, names=names), names, level, split)
        )
        caption = "Dots are values, bars 95 % intervals; a bar that crosses the dashed line shows nothing beyond it."
        reason = "no metric of this level has a value."
        out.append(blocks.figure(figs.get(f"metrics-{level}"), f"{level}-level scores", caption, reason=reason))
        out += score_blocks.baselines(metrics, level=level, split=split)
        out += score_blocks.decisions(metrics, level=level, split=split)
    out += _best(data, metrics, figs)
    for level, split in pairs[:1]:
        out += score_blocks.comparisons(data, level=level, split=split)
        out += score_blocks.by_method(data, level=level, split=split)
    return Section("classifiers", "Classifiers", intro, out)


def _all_reasons(metrics: pd.DataFrame) -> str:
    return "; ".join(sorted(set(scores.model_rows(metrics)["reason"].dropna())))


def _saw_judged_faces(space: str) -> bool:
    """Whether the space's components were fitted on the faces that out-of-fold answers are about."""
    return "pca" in space.split("+")


def _metric_table(table: pd.DataFrame, names: list[str], level: str, split: str) -> Block:
    columns = ["space", "model", *[metric_name(n) for n in names], "groups", f"{level}s"]
    marked = [split == "cv" and _saw_judged_faces(space) for space in table["space"]]
    rows = [
        (
            r["space"] + (" *" if mark else ""),
            model_name(r["model"]),
            *[scores.format_interval(r[n]) for n in names],
            r["n_groups"],
            r["n_items"],
        )
        for mark, (_, r) in zip(marked, table.iterrows(), strict=True)
    ]
    note = scores.BASELINE_NOTE + (f" {PCA_NOTE}" if any(marked) else "")
    return blocks.table(columns, rows, note=note + scores.remarks(table["reason"]))


def _best(data: ReportInput, metrics: pd.DataFrame, figs: Figures) -> list[Block]:
    best = scores.best_model(metrics)
    if best is None:
        return [blocks.missing("no model has a ROC-AUC, so none can be called the best.")]
    title = f"Best model: {model_name(best.model)} on {best.space} ({best.level} level, split {best.split})"
    caption = (
        f"Picked for the highest {best.level}-level ROC-AUC, "
        f"{scores.format_interval((best.value, best.ci_low, best.ci_high))}, on these {best.n_items} {best.level}s "
        f"of {best.n_groups} groups, so this is optimistic. Calibration: P(fake) shifted from equal shares to the "
        "share of fakes among these items; bins of equal count, 95 % Wilson intervals"
        f" that take {best.level}s as independent: too narrow where a source group holds several."
    )
    why = (
        data.why_missing("predictions") if data.get("predictions") is None else "no labelled predictions of this model."
    )
    return [
        blocks.heading(title),
        blocks.figure(figs.get("best-model"), "ROC, calibration, confusion", caption, reason=why),
        blocks.figure(figs.get("curves"), "ROC, precision-recall, risk-coverage", CURVES_CAPTION, reason=why),
    ]


def limits_section(data: ReportInput) -> Section:
    """What the report cannot tell."""
    first = (notes.SAMPLE_NOTICE,) if notes.SAMPLE_NOTICE in warnings_of(data) else ()
    return Section("limits", "What this report cannot tell", blocks=[blocks.bullets([*first, *notes.LIMITS])])


def warnings_of(data: ReportInput) -> list[str]:
    """Warnings the tables call for."""
    return notes.all_warnings({name: data.get(name) for name in data.tables})
