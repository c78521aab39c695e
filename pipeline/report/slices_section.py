"""The report's chapter on who is failed: slices that differ from the rest, every slice, and shortcuts to the label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from pipeline.errors import UserError
from pipeline.report import blocks, scores, summary
from pipeline.report.blocks import Block, Section
from pipeline.report.images import thumbnail_uri
from pipeline.report.inputs import ReportInput
from pipeline.report.palette import model_name

Figures = Mapping[str, bytes]
SIGNIFICANT = 0.05
MAX_WORST = 10
N_SHOWN_WORST = 3  # slices whose faces are shown
MAX_ROWS = 60
THUMBNAIL_PX = 112
ATTRIBUTE_NAMES = {
    "skin_tone": "skin tone (ITA)",
    "yaw_deg": "head turn",
    "face_width_px": "face width",
    "blur": "sharpness (low is blurred)",
    "brightness": "brightness",
    "lpips": "reconstruction distance",
    "compression": "compression",
    "method": "manipulation",
}
INTRO = (
    "Errors are not equal across people and pictures. Each slice of the judged faces is held against the rest, whose "
    "error rate is taken at the slice's own mix of real and fake. Intervals draw whole source groups; p is corrected "
    "for all comparisons (Holm). A slice that is not shown to differ may still do so: few groups show little."
)
ITA_NOTE = (
    "Skin tone is the individual typology angle on the cheeks, read off the picture. It also carries light, white "
    "balance, make-up and compression, so it sorts pictures by how light the skin appears; it tells no person's skin "
    "tone and no ethnicity."
)


def attribute_name(attribute: str) -> str:
    """Readable name of what is sliced by."""
    start, _, space = attribute.partition(":")
    return f"cluster on {space}" if start == "cluster" else ATTRIBUTE_NAMES.get(attribute, attribute)


def slices_section(data: ReportInput, figs: Figures) -> Section:
    """Worst slices with their faces, a figure and a table of all, coverage, and shortcuts."""
    table = data.get("slices")
    out: list[Block] = []
    if table is None:
        out.append(blocks.missing(data.why_missing("slices")))
    else:
        errors = table[table["measure"].eq("error_rate")]
        out += _worst(data, errors) if len(errors) else [blocks.missing("no classifier was judged.")]
        out.append(
            blocks.figure(
                figs.get("slices"), "error rate per slice", figure_caption(errors), reason="no error rate is known."
            )
        )
        out += [blocks.text(ITA_NOTE), *_others(table)]
    return Section("slices", "Who is failed", INTRO, [*out, *_shortcuts(data)])


def figure_caption(errors: pd.DataFrame) -> str:
    """Which classifier the figure shows."""
    chosen = shown_classifier(errors)
    if chosen is None:
        return ""
    return (
        f"{model_name(chosen[1])} on {chosen[0]}: error rate per slice with its 95 % interval; the short line is the "
        "rest at the slice's mix of classes. Filled: differs from the rest after correction."
    )


def shown_classifier(errors: pd.DataFrame) -> tuple[str, str] | None:
    """The classifier with the lowest mean error, which stands for all in the figure."""
    if errors.empty:
        return None
    weighted = errors.assign(wrong=errors["value"] * errors["n_faces"])
    sums = weighted.groupby(["space", "model"])[["wrong", "n_faces"]].sum()
    means = sums["wrong"] / sums["n_faces"]
    space, model = means.index.tolist()[int(means.to_numpy().argmin())]
    return str(space), str(model)


def _worst(data: ReportInput, errors: pd.DataFrame) -> list[Block]:
    compared = errors[errors["difference"].notna()]
    worse = compared[(compared["p_holm"] < SIGNIFICANT) & (compared["difference"] > 0)]
    ranked = compared[compared["difference"] > 0].sort_values("diff_low", ascending=False, ignore_index=True)
    n = len(worse)
    sentence = (
        f"{blocks.plural(n, 'slice')} of {len(compared)} compared are shown to be failed more often than the rest."
        if n
        else f"Of {len(compared)} comparisons none shows a slice that is failed more often than the rest."
    )
    columns = ["by", "slice", "classifier", "error rate", "rest", "difference", "p (Holm)", "faces", "groups"]
    rows = [
        (
            attribute_name(r["attribute"]), r["slice"], f"{r['space']} · {model_name(r['model'])}",
            _interval(r, "value", "ci_low", "ci_high"), _number(r["rest"]),
            _interval(r, "difference", "diff_low", "diff_high"), _number(r["p_holm"]), r["n_faces"], r["n_groups"],
        )
        for r in ranked.head(MAX_WORST).to_dict("records")
    ]  # fmt: skip
    out: list[Block] = [blocks.heading("Worst slices"), blocks.text(sentence)]
    if not rows:
        return out
    note = "Sorted by the lower end of the difference's interval: what is surest to be worse comes first."
    return [*out, blocks.table(columns, rows, note=note), *_faces(data, ranked.head(N_SHOWN_WORST))]


def _faces(data: ReportInput, rows: pd.DataFrame) -> list[Block]:
    """The most wrongly judged faces of some slices."""
    wanted = {i: [str(f) for f in cell] for i, cell in rows["exemplars"].items() if cell is not None and len(cell)}
    try:
        images = data.face_images([face for ids in wanted.values() for face in ids])
    except UserError as error:
        return [blocks.missing(str(error))]
    faces = data.get("faces")
    labels = {} if faces is None else dict(zip(faces["face_id"], summary.named_labels(faces)["label"], strict=True))
    out: list[Block] = []
    for i, ids in wanted.items():
        row = rows.loc[[i]].iloc[0]
        tiles = [
            {
                "uri": thumbnail_uri(images.get(face), size_px=THUMBNAIL_PX),
                "label": labels.get(face, "unknown"),
                "caption": f"face {face}",
            }
            for face in ids
        ]
        detail = f"most wrongly judged by {model_name(row['model'])} on {row['space']}; blue: real, orange: fake"
        title = f"{attribute_name(row['attribute'])}: {row['slice']}"
        out.append({"kind": "cluster", "title": title, "detail": detail, "faces": tiles})
    return out


def _others(table: pd.DataFrame) -> list[Block]:
    """Every slice of the shown classifier by each measure, then coverage."""
    chosen = shown_classifier(table[table["measure"].eq("error_rate")])
    out: list[Block] = []
    if chosen is not None:
        mine = table[(table["space"].eq(chosen[0]) & table["model"].eq(chosen[1])) | table["measure"].eq("lpips")]
        mine = mine[~mine["attribute"].str.startswith("cluster:")]
        wide = {m: part.set_index(["attribute", "slice"]) for m, part in mine.groupby("measure")}
        measures = [m for m in ("error_rate", "balanced_accuracy", "roc_auc", "lpips") if m in wide]
        names = {"error_rate": "error rate", "balanced_accuracy": "balanced accuracy", "roc_auc": "ROC-AUC"}
        rows = []
        for key, r in zip(wide["error_rate"].index.tolist(), wide["error_rate"].to_dict("records"), strict=True):
            cells = [
                _interval(wide[m].loc[[key]].iloc[0], "value", "ci_low", "ci_high") if key in wide[m].index else "—"
                for m in measures
            ]
            rows.append((attribute_name(key[0]), key[1], *cells, r["n_faces"], r["n_groups"]))
        columns = ["by", "slice", *[names.get(m, "reconstruction distance") for m in measures], "faces", "groups"]
        out += [blocks.heading(f"Every slice: {model_name(chosen[1])} on {chosen[0]}")]
        out += [blocks.table(columns, rows, max_rows=MAX_ROWS, note="Clusters are in the table 'slices'.")]
    coverage = table[table["measure"].eq("coverage")]
    if len(coverage) and coverage["value"].lt(1).any():
        rows = [
            (r["attribute"], r["slice"], _interval(r, "value", "ci_low", "ci_high"), _number(r["p_holm"]), r["n_faces"])
            for r in coverage.to_dict("records")
        ]
        out += [blocks.heading("Coverage: frames with a usable face")]
        out += [blocks.table(["by", "slice", "coverage", "p (Holm)", "frames"], rows, max_rows=MAX_ROWS)]
    elif len(coverage):
        out.append(blocks.text("Coverage: every sampled frame gave a usable face, whatever it is sliced by."))
    return out


def _shortcuts(data: ReportInput) -> list[Block]:
    table = data.get("shortcuts")
    out: list[Block] = [blocks.heading("Can the label be told without looking at the face?")]
    if table is None:
        return [*out, blocks.missing(data.why_missing("shortcuts"))]
    flagged = table[table["flagged"]].sort_values("roc_auc", ascending=False)
    rows = [
        (r["feature"], _interval(r, "roc_auc", "ci_low", "ci_high"), _number(r["p_holm"]), r["reason"] or "")
        for r in table.sort_values("roc_auc", ascending=False, na_position="last").to_dict("records")
    ]
    if len(flagged):
        out.append(blocks.text(shortcut_sentence(flagged)))
    else:
        out.append(blocks.text(f"None of {len(table)} families of such numbers tells the label beyond chance."))
    note = (
        "A small classifier was given each family of numbers alone and judged out of fold, per video. Numbers that are "
        "the same for real and fake cannot be a shortcut; one that tells need not be used, but may be."
    )
    return [*out, blocks.table(["numbers about", "ROC-AUC", "p (Holm)", "remark"], rows, note=note)]


def shortcut_sentence(flagged: pd.DataFrame) -> str:
    """What tells the label, strongest first; ``flagged``: the flagged rows of table ``shortcuts``."""
    ranked = flagged.sort_values("roc_auc", ascending=False)
    named = ", ".join(f"{f} (ROC-AUC {a:.2f})" for f, a in zip(ranked["feature"], ranked["roc_auc"], strict=True))
    return f"Labels can be told without looking at the face, from: {named}. Scores on this material may rest on that."


def _interval(row: Mapping[Any, Any] | pd.Series, *names: str) -> str:
    values = [None if pd.isna(row[n]) else float(row[n]) for n in names]
    return scores.format_interval((values[0], values[1], values[2]))


def _number(value: float | None) -> str:
    return "—" if value is None or pd.isna(value) else f"{value:.3f}"
