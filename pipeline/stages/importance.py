"""Stage ``importance``: accuracy of a forest trained on each W+ channel alone (LatentForensics, figure 5)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import numpy as np

from classifiers.importance import ImportanceRow, ImportanceSettings, channel_importance
from classifiers.splits import SplitError
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.stages import features
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "importance",
    sections=("seed", "spaces", "profile", "importance"),
    inputs=("faces", "wplus"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``importance`` table and the data behind its plot."""
    current = STAGE.run(params, paths)
    rows: list[dict[str, object]] = []
    reason: str | None = None
    try:
        method = f"rf-alone-{current.params.importance.metric}"
        for found in _measure(current, paths):
            numbers = {
                n: getattr(found, n) for n in ("channel", "value", "ci_low", "ci_high", "null_value", "n_repeats")
            }
            rows.append({"space": "wplus", "method": method} | numbers)
    except SplitError as error:
        reason = str(error)
        log.warning("importance: not measured: %s", reason)
    tables.write_rows(rows, paths.table("importance"), name="importance", meta=current.meta(reason=reason))
    paths.plots.mkdir(parents=True, exist_ok=True)
    tables.read_pandas(paths.table("importance"), "importance").to_csv(paths.plots / "importance.csv", index=False)
    log.info("importance: %d channels", len(rows))


def _measure(current: Run, paths: Paths) -> Iterator[ImportanceRow]:
    """Accuracy of each channel; SplitError where the material does not allow it."""
    if "wplus" not in current.params.spaces:
        raise SplitError("'wplus' is not among the spaces in params.yaml")
    effort = current.params.effort("importance")
    inside = features.labelled(features.load(paths, "wplus"))
    if inside.faces.empty:
        raise SplitError("no face has a label")
    n_channels = int(tables.read(paths.table("wplus"), "wplus", columns=["n_channels"]).column(0)[0].as_py())
    measured = channel_importance(
        inside.vectors.reshape(len(inside.faces), n_channels, -1),
        inside.faces["label"].to_numpy(dtype=np.int64),
        inside.faces["source_group"].tolist(),
        videos=inside.faces["video_id"].tolist(),
        settings=ImportanceSettings(
            metric=current.params.importance.metric,
            n_trees=effort.n_trees,
            n_repeats=effort.n_repeats,
            seed=current.params.seed,
            n_jobs=-1,
        ),
    )
    return bar(measured, total=n_channels, what="importance", unit="channel")
