"""Stage ``evaluate``: metrics with group-bootstrap intervals, coverage, and the data behind the plots."""

from __future__ import annotations

import json
import logging
import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd

from classifiers.bootstrap import MetricRow, constant_answer, group_mean
from classifiers.bootstrap import evaluate as metrics_of
from classifiers.metrics import roc_points
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "evaluate",
    sections=("seed", "evaluate"),
    inputs=("predictions", "faces"),
)
log = logging.getLogger("latentforensics")
_HEADLINE = ("roc_auc", "balanced_accuracy", "accuracy", "log_loss")


def run(params: Params, paths: Paths) -> None:
    """Write ``metrics``, ``metrics.json`` and the plots' data."""
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
    _write_plots(predictions, paths)
    _write_headline(rows, paths)
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


def _write_plots(predictions: pd.DataFrame, paths: Paths) -> None:
    """ROC points and confusion rows per video for ``dvc plots``, which draws each file as one curve."""
    for folder in (paths.plots / "roc", paths.plots / "confusion"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    # Validation rows may have been used for choices; what is shown are rows that no choice has seen.
    video = predictions[(predictions["level"] == "video") & predictions["split"].isin(["cv", "test"])]
    for (space, model), part in video.groupby(["space", "model"]):
        confusion = {
            "actual": np.where(part["label"] == 1, "fake", "real"),
            "predicted": np.where(part["p_fake"] >= 0.5, "fake", "real"),
        }
        pd.DataFrame(confusion).to_csv(paths.plots / "confusion" / f"{space}-{model}.csv", index=False)
        if part["label"].nunique() == 2:
            fpr, tpr, _ = roc_points(part["label"].to_numpy(), part["p_fake"].to_numpy())
            pd.DataFrame({"fpr": fpr, "tpr": tpr}).to_csv(paths.plots / "roc" / f"{space}-{model}.csv", index=False)


def _write_headline(rows: list[dict[str, object]], paths: Paths) -> None:
    """Video-level metrics and coverage for ``dvc metrics``."""
    headline: dict[str, object] = {}
    for row in rows:
        if row["metric"] == "coverage":
            headline["coverage"] = row["value"]
        elif row["level"] == "video" and row["split"] in ("cv", "test") and row["metric"] in _HEADLINE:
            place = headline.setdefault(f"{row['space']}-{row['model']}", {})
            assert isinstance(place, dict)
            place[str(row["metric"])] = row["value"]
    paths.metrics_json.write_text(json.dumps(headline, indent=2) + "\n", encoding="utf-8")
