"""Stage ``split``: connected footage stands on one side."""

from __future__ import annotations

import logging

import pandas as pd

from classifiers.splits import SplitError, assign_splits, check_leaks
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.stages.common import Stage

STAGE = Stage("split", sections=("seed", "split"), inputs=("faces",))
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``splits`` table; where no split can be made, every video is 'unused' and the table says why."""
    current = STAGE.run(params, paths)
    faces = tables.read_pandas(paths.table("faces"), "faces", columns=["video_id", "label", "source_group", "status"])
    usable = faces[(faces["status"] == "ok") & faces["label"].notna()]
    videos = usable.drop_duplicates("video_id").sort_values("video_id").reset_index(drop=True)
    reason: str | None = None
    try:
        made = assign_splits(
            videos["source_group"].to_numpy(),
            videos["label"].to_numpy(dtype="int64"),
            fractions=current.params.split.fractions,
            n_folds=current.params.split.n_folds,
            seed=current.params.seed,
        )
        check_leaks(videos["source_group"].to_numpy(), made.split)
        check_leaks(videos["source_group"].to_numpy(), made.fold)
        split, fold = pd.Series(made.split), pd.Series(made.fold)
    except SplitError as error:
        reason = str(error)
        split, fold = pd.Series("unused", index=videos.index), pd.Series(-1, index=videos.index)
        log.warning("split: no classifier can be trained: %s", reason)
    rows = [
        {"video_id": v, "source_group": g, "split": s, "fold": int(f), "reason": reason}
        for v, g, s, f in zip(videos["video_id"], videos["source_group"], split, fold, strict=True)
    ]
    tables.write_rows(rows, paths.table("splits"), name="splits", meta=current.meta(reason=reason))
    counts = split.value_counts().to_dict()
    log.info("split: %d videos of %d groups: %s", len(videos), videos["source_group"].nunique(), counts)
