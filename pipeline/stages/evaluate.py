"""Stage ``evaluate``: metrics with group-bootstrap intervals, the reconstruction study, data of plots."""

from __future__ import annotations

import logging

from pipeline import overrides, projectors, scorecard, study, tables, units
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.stages import dvc_files
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "evaluate",
    sections=("seed", "evaluate", "invert.poor_above"),
    inputs=("predictions", "faces", "overrides", "splits", "wplus", "codes", "curves"),
)
log = logging.getLogger("latentforensics")
_FACE_COLUMNS = ["face_id", "label", "video_id", "frame_index", "track_id", "source_group", "method", "status"]


def run(params: Params, paths: Paths) -> None:
    """Write ``metrics``, ``method_metrics``, ``comparisons``, ``study``, ``effort`` and what DVC reads."""
    current = STAGE.run(params, paths)
    predictions = tables.read_pandas(paths.table("predictions"), "predictions")
    faces = units.by_unit(tables.read_pandas(paths.table("faces"), "faces", columns=_FACE_COLUMNS), paths)
    wanted, seed = current.params.evaluate, current.params.seed
    told = tables.metadata(paths.table("predictions"))
    metrics = scorecard.of_models(predictions, wanted, seed=seed)
    rows = {
        "metrics": [*scorecard.coverage(faces, wanted, seed=seed), *metrics, *scorecard.not_judged(predictions, told)],
        "method_metrics": scorecard.of_methods(
            predictions, scorecard.methods(overrides.apply(faces, paths, drop=False)), wanted, seed=seed
        ),
        "comparisons": scorecard.against_best(predictions, metrics, wanted, seed=seed),
    }
    reason = told.get("reason")
    for name, table in rows.items():
        tables.write_rows(table, paths.table(name), name=name, meta=current.meta(reason=reason))
    _study(current, paths)
    dvc_files.write_plots(predictions, paths)
    dvc_files.write_headline(rows["metrics"], paths)
    n_models = len(predictions[["space", "model"]].drop_duplicates())
    log.info("evaluate: %d metrics of %d classifiers", len(rows["metrics"]), n_models)


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
    groups = units.by_unit(
        tables.read_pandas(paths.table("faces"), "faces", columns=["face_id", "source_group"]), paths
    )
    group_of = dict(zip(groups["face_id"], groups["source_group"], strict=True))
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
