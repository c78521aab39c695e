"""Stage ``split``: connected footage stands on one side."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from classifiers.splits import SplitError, check_leaks, grouped_folds, three_way_split
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.stages.common import Stage

STAGE = Stage("split", sections=("seed", "split"), inputs=("faces",))
UNUSED, NO_FOLD = "unused", -1
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``splits`` table: a three-way split and, apart from it, folds; what cannot be made has a reason."""
    current = STAGE.run(params, paths)
    settings, seed = current.params.split, current.params.seed
    faces = tables.read_pandas(paths.table("faces"), "faces", columns=["video_id", "label", "source_group", "status"])
    usable = faces[(faces["status"] == "ok") & faces["label"].notna()]
    videos = usable.drop_duplicates("video_id").sort_values("video_id").reset_index(drop=True)
    groups, labels = videos["source_group"].to_numpy(), videos["label"].to_numpy(dtype=np.int64)
    split, no_split = _deal(lambda: three_way_split(groups, labels, fractions=settings.fractions, seed=seed), groups)
    fold, no_fold = _deal(lambda: grouped_folds(groups, labels, n_folds=settings.n_folds, seed=seed), groups)
    reason = " ".join(r for r in (no_split, no_fold) if r) or None
    rows = [
        {
            "video_id": video,
            "source_group": group,
            "split": UNUSED if split is None else split[i],
            "fold": NO_FOLD if fold is None else int(fold[i]),
            "reason": reason,
        }
        for i, (video, group) in enumerate(zip(videos["video_id"], groups, strict=True))
    ]
    meta = current.meta(reason=reason, no_split=no_split, no_fold=no_fold)
    tables.write_rows(rows, paths.table("splits"), name="splits", meta=meta)
    made = "none" if split is None else ", ".join(f"{n} {name}" for name, n in zip(*_count(split), strict=True))
    n_folds = 0 if fold is None else int(fold.max()) + 1
    log.info("split: %d videos of %d groups; split: %s; folds: %d", len(videos), len(set(groups)), made, n_folds)


def _deal(deal: Callable[[], npt.NDArray[Any]], groups: npt.NDArray[Any]) -> tuple[npt.NDArray[Any] | None, str | None]:
    """Sides of the videos, checked for leaks, or None and why there are none."""
    try:
        sides = deal()
    except SplitError as error:
        log.warning("split: %s", error)
        return None, str(error)
    check_leaks(groups, sides)
    return sides, None


def _count(values: npt.NDArray[Any]) -> tuple[list[str], list[int]]:
    names, counts = np.unique(values, return_counts=True)
    return names.tolist(), counts.tolist()
