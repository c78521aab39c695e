"""Stage ``slices``: who is failed, and whether the label can be told without looking at the face."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd

from classifiers.shortcuts import find_shortcuts
from classifiers.splits import SplitError
from pipeline import attributes, nuisance, slice_inputs, slicing, tables, units
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.schemas import TABLES
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "slices",
    sections=("seed", "faces", "slices"),
    inputs=("videos", "faces", "overrides", "splits", "wplus", "clusters", "predictions"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write ``attributes``, ``slices`` and ``shortcuts``."""
    current = STAGE.run(params, paths)
    settings, seed = current.params.slices, current.params.seed
    videos = units.by_unit(tables.read_pandas(paths.table("videos"), "videos"), paths)
    known, regions = attributes.measure(paths, current.params.faces)
    faces = units.by_unit(slice_inputs.face_facts(paths, known, videos), paths)
    names = TABLES["attributes"].column_names
    tables.write_rows(_records(faces[names]), paths.table("attributes"), name="attributes", meta=current.meta())
    predictions = slicing.one_split(tables.read_pandas(paths.table("predictions"), "predictions"))
    pairs = slicing.judged(predictions, which=settings.classifiers)
    rows = slicing.classifier_rows(predictions, slice_inputs.with_clusters(paths, faces), pairs, settings, seed=seed)
    rows += slicing.reconstruction_rows(faces, settings, seed=seed)
    frames = units.by_unit(slice_inputs.frame_facts(paths, videos), paths)
    rows += slicing.coverage_rows(frames, settings, seed=seed)
    rows = slicing.corrected(rows)
    reason = None if pairs else tables.metadata(paths.table("predictions")).get("reason") or "nothing was judged"
    tables.write_rows(rows, paths.table("slices"), name="slices", meta=current.meta(reason=reason))
    worse = [r for r in rows if r["p_holm"] is not None and r["p_holm"] < 0.05 and r["measure"] == "error_rate"]
    n_slices = len({(r["attribute"], r["slice"]) for r in rows})
    log.info("slices: %d slices; error rates that differ from the rest: %d", n_slices, len(worse))
    _shortcuts(current, paths, videos, faces, regions)


def _shortcuts(current: Run, paths: Paths, videos: pd.DataFrame, faces: pd.DataFrame, regions: dict[str, Any]) -> None:
    """Write ``shortcuts`` and warn of what tells the label without a face."""
    # A video is fake where any of its faces is, as people corrected them.
    wanted = videos.assign(label=videos["video_id"].map(faces.groupby("video_id")["label"].max()))
    wanted = wanted[wanted["label"].notna()].reset_index(drop=True)
    y = wanted["label"].to_numpy(dtype=np.int64, na_value=-1)
    reason, rows = None, []
    try:
        if len(np.unique(y)) < 2:
            raise SplitError("shortcuts need real and fake videos with a face")
        families = nuisance.families(wanted, faces, regions)
        groups = wanted["source_group"].tolist()
        found = find_shortcuts(families, y, groups, n_boot=current.params.slices.n_boot, seed=current.params.seed)
        counts = {"n_videos": len(wanted), "n_groups": len(set(groups))}
        rows = [{k: _plain(v) for k, v in asdict(row).items()} | counts for row in found]
    except SplitError as error:
        reason = str(error)
    tables.write_rows(rows, paths.table("shortcuts"), name="shortcuts", meta=current.meta(reason=reason))
    flagged = [row for row in rows if row["flagged"]]
    for row in sorted(flagged, key=lambda r: -r["roc_auc"]):
        log.warning(
            "slices: labels can be told from '%s' without looking at the face: ROC-AUC %.2f",
            row["feature"],
            row["roc_auc"],
        )


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(k): _plain(v) for k, v in row.items()} for row in table.to_dict("records")]


def _plain(value: Any) -> Any:
    """NaN and the like are empty cells."""
    return None if value is None or (not isinstance(value, str) and pd.isna(value)) else value
