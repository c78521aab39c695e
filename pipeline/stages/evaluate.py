"""Stage ``evaluate``: metrics with group-bootstrap intervals, coverage, the reconstruction study, data of plots."""

from __future__ import annotations

import logging
from dataclasses import asdict

import numpy as np

from classifiers.bootstrap import MetricRow, constant_answer, group_mean
from classifiers.bootstrap import evaluate as metrics_of
from pipeline import projectors, study, tables
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.stages import dvc_files
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "evaluate",
    sections=("seed", "evaluate", "invert.poor_above"),
    inputs=("predictions", "faces", "wplus", "codes", "curves"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write ``metrics``, ``study``, ``effort``, ``metrics.json`` and the plots' data."""
    current = STAGE.run(params, paths)
    predictions = tables.read_pandas(paths.table("predictions"), "predictions")
    rows = [_row({"level": "frame", "space": "faces", "model": "detector", "split": "all"}, _coverage(current, paths))]
    drawn = {"n_boot": current.params.evaluate.n_boot, "seed": current.params.seed}
    parts = list(predictions.groupby(["level", "space", "model", "split"], sort=True))
    baselines: dict[tuple[str, str], list[dict[str, object]]] = {}
    for names, part in bar(parts, total=len(parts), what="evaluate", unit="model"):
        level, space, model, split = map(str, names)
        place = {"level": level, "space": space, "model": model, "split": split}
        y, groups = part["label"].to_numpy(dtype=np.int64), part["source_group"].tolist()
        rows += [_row(place, m) for m in metrics_of(y, part["p_fake"].to_numpy(), groups, **drawn)]
        if (level, split) not in baselines:
            constant = constant_answer(y, groups, share_fake=float(y.mean()), **drawn)
            baseline = place | {"space": "baseline", "model": "class-share"}
            baselines[level, split] = [_row(baseline, m) for m in constant]
    rows += [row for part in baselines.values() for row in part]
    reason = tables.metadata(paths.table("predictions")).get("reason")
    tables.write_rows(rows, paths.table("metrics"), name="metrics", meta=current.meta(reason=reason))
    _study(current, paths)
    dvc_files.write_plots(predictions, paths)
    dvc_files.write_headline(rows, paths)
    log.info(
        "evaluate: %d metrics of %d classifiers", len(rows), len(predictions[["space", "model"]].drop_duplicates())
    )


def _row(place: dict[str, str], metric: MetricRow) -> dict[str, object]:
    """A row of the table; what cannot be computed is empty and has a reason."""
    facts = asdict(metric)
    del facts["n_boot_dropped"]
    for name in ("value", "ci_low", "ci_high"):
        facts[name] = None if np.isnan(facts[name]) else facts[name]
    return place | facts


def _coverage(current: Run, paths: Paths) -> MetricRow:
    """Share of sampled frames that gave a usable face, with its interval over source groups."""
    faces = tables.read_pandas(
        paths.table("faces"), "faces", columns=["video_id", "frame_index", "source_group", "status"]
    )
    frames = faces.assign(ok=faces["status"] == "ok").groupby(["video_id", "frame_index"], as_index=False)
    found = frames.agg(ok=("ok", "max"), source_group=("source_group", "first"))
    return group_mean(
        "coverage",
        found["ok"].to_numpy(dtype=np.float64),
        found["source_group"].tolist(),
        n_boot=current.params.evaluate.n_boot,
        seed=current.params.seed,
    )


def _study(current: Run, paths: Paths) -> None:
    """How well each projector gives back the same faces."""
    columns = ["face_id", "lpips", "mse_unit", "psnr_db"]
    wplus, codes = (
        tables.read_pandas(paths.table(name), name, columns=[*columns, *more])
        for name, more in (("wplus", ["inverter_id", "status", "w_distance_std"]), ("codes", ["codec_id", "in_fit"]))
    )
    names = {
        str(tables.metadata(paths.table(name))["perceptual"])
        for name, table in (("wplus", wplus), ("codes", codes))
        if len(table)
    }
    if len(names) > 1:
        raise UserError(
            f"evaluate: codes were judged by different distances, {' and '.join(sorted(names))}, which do not compare: "
            "name one in invert.perceptual and run `dvc repro`"
        )
    metric = next(iter(names), "none")
    groups = tables.read_pandas(paths.table("faces"), "faces", columns=["face_id", "source_group"])
    group_of = groups.set_index("face_id")["source_group"].to_dict()
    drawn = {"n_boot": current.params.evaluate.n_boot, "seed": current.params.seed}
    rows = study.study(
        projectors.judged(wplus, codes),
        group_of,
        n_faces=current.params.evaluate.n_study_faces,
        above=current.params.one("invert.poor_above").get(metric),
        **drawn,
    )
    reason = None if rows else "no face has been projected by all of the wanted spaces"
    meta = current.meta(reason=reason, perceptual=metric)
    tables.write_rows([row | {"perceptual": metric} for row in rows], paths.table("study"), name="study", meta=meta)
    course = study.effort(tables.read_pandas(paths.table("curves"), "curves"), group_of, **drawn)
    reason = None if course else tables.metadata(paths.table("curves")).get("reason") or "no face was inverted"
    meta = current.meta(reason=reason, perceptual=tables.metadata(paths.table("curves")).get("perceptual"))
    tables.write_rows(course, paths.table("effort"), name="effort", meta=meta)
