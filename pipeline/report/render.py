"""The report page: one HTML file that needs nothing else, neither network nor neighbouring files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pipeline.paths import Paths
from pipeline.report import (
    about_section,
    blocks,
    learning_section,
    load,
    map_sections,
    scores,
    sections,
    slices_section,
    study_section,
    summary,
)
from pipeline.report.charts import figures
from pipeline.report.inputs import FaceImages, ReconstructionImages, ReportInput, RunFacts, WeightUse
from pipeline.report.page import page

__all__ = ["ReportInput", "RunFacts", "WeightUse", "figures", "gather", "render"]


def gather(paths: Paths, run: RunFacts) -> ReportInput:
    """Everything a report of the project at ``paths`` is made of; images are read when they are asked for."""
    meta = load.recorded(paths)
    return ReportInput(
        run=run,
        tables=load.read_for_report(paths),
        face_images=_images(paths, "faces"),
        reconstructions=_made(paths, "reconstructions"),
        decoded=_made(paths, "decoded"),
        perceptual=str(meta.get("wplus", {}).get("perceptual", "not named in the table")),
        fingerprints={name: str(m["fingerprint"]) for name, m in meta.items() if "fingerprint" in m},
    )


def render(data: ReportInput, figs: Mapping[str, bytes] | None = None) -> str:
    """Make the report.

    Parameters
    ----------
    data : ReportInput
    figs : mapping, optional
        What `figures` gave for the same ``data``; drawn anew where it is not handed in.

    Returns
    -------
    str
        A complete HTML page with inline styles and images. The same ``data`` gives the same text. A part whose table is
        missing says why.
    """
    run = data.run
    drawn = figures(data) if figs is None else figs
    parts = [
        sections.data_section(data),
        sections.inversion_section(data, drawn),
        study_section.study_section(data, drawn),
        sections.classifier_section(data, drawn),
        slices_section.slices_section(data, drawn),
        learning_section.learning_section(data, drawn),
        map_sections.importance_section(data, drawn),
        map_sections.add_map_figures(map_sections.map_section(data), data, drawn),
        map_sections.cluster_section(data, drawn),
        about_section.about_section(data, drawn),
        sections.limits_section(data),
        sections.run_section(data),
    ]
    return page(
        title=run.title,
        lead=f"Data source {run.source}, profile {run.profile}, seed {run.seed}, fingerprint {run.fingerprint}.",
        sections=parts,
        tiles=_tiles(data),
        warnings=sections.warnings_of(data),
        footer="P(fake) lies in [0, 1]; 1 is fake. Every number on this page comes from the tables under data/ and "
        "reports/ of the run.",
    )


def _images(paths: Paths, name: str) -> FaceImages:
    """Look-up of a table's images that finds its shards once."""
    index = cache(lambda: load.locate(paths.table(name), name))
    return lambda ids: load.read_images(paths.table(name), name, ids, where=index())


def _made(paths: Paths, name: str) -> ReconstructionImages:
    """Look-up of what a projector gave back."""
    return lambda ids, projector: load.read_images(paths.table(name), name, ids, projector_id=projector)


def _tiles(data: ReportInput) -> list[dict[str, str]]:
    videos, faces, wplus, metrics = (data.get(n) for n in ("videos", "faces", "wplus", "metrics"))
    out = []
    if videos is not None:
        n_ok = int(videos["status"].eq("ok").sum())
        out.append((f"{n_ok} / {len(videos)}", "videos usable / catalogued"))
        out.append((f"{videos['source_group'].nunique():,}", "source groups"))
    if faces is not None:
        found = summary.coverage(faces)
        out.append((blocks.percent(found.share), f"face coverage of {found.n_frames:,} sampled frames"))
    if wplus is not None:
        out.append((f"{wplus['lpips'].notna().sum():,}", "faces inverted"))
        out.append((blocks.cell(float(wplus["lpips"].median())), "median perceptual distance"))
    best = scores.best_model(metrics) if metrics is not None else None
    if best is not None:
        bounds = scores.format_interval((best.value, best.ci_low, best.ci_high), digits=2).partition(" ")[2]
        out.append((f"{best.value:.2f}", f"best {best.level}-level ROC-AUC {bounds} (optimistic pick)"))
    return [{"value": value, "name": name} for value, name in out]
