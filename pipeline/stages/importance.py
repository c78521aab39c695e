"""Stage ``importance``: accuracy of a forest trained on each W+ channel alone (LatentForensics, figure 5)."""

from __future__ import annotations

import logging

import numpy as np

from classifiers.importance import ImportanceSettings, channel_importance
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.stages import features
from pipeline.stages.common import Stage

STAGE = Stage(
    "importance",
    sections=("seed", "spaces", "profile", "importance"),
    inputs=("wplus", "splits"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``importance`` table and the data behind its plot."""
    current = STAGE.run(params, paths)
    effort = current.params.effort("importance")
    rows: list[dict[str, object]] = []
    reason = tables.metadata(paths.table("splits")).get("reason")
    if "wplus" not in current.params.spaces:
        reason = "'wplus' is not among the spaces in params.yaml"
    if reason:
        log.warning("importance: not measured: %s", reason)
    else:
        inside, _ = features.join_splits(features.load(paths, "wplus"), paths)
        n_channels = int(tables.read(paths.table("wplus"), "wplus", columns=["n_channels"]).column(0)[0].as_py())
        codes = inside.vectors.reshape(len(inside.faces), n_channels, -1)
        measured = channel_importance(
            codes,
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
        method = f"rf-alone-{current.params.importance.metric}"
        for found in bar(measured, total=n_channels, what="importance", unit="channel"):
            numbers = {
                n: getattr(found, n) for n in ("channel", "value", "ci_low", "ci_high", "null_value", "n_repeats")
            }
            rows.append({"space": "wplus", "method": method} | numbers)
    tables.write_rows(rows, paths.table("importance"), name="importance", meta=current.meta(reason=reason))
    paths.plots.mkdir(parents=True, exist_ok=True)
    tables.read_pandas(paths.table("importance"), "importance").to_csv(paths.plots / "importance.csv", index=False)
    log.info("importance: %d channels", len(rows))
