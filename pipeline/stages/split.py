"""Stage ``split``: labels are corrected, connected footage stands on one side, leaks are found before training."""

from __future__ import annotations

import logging
import shutil
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.splits import SplitError
from classifiers.splits_units import join_groups
from pipeline import leak_check, overrides, tables
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.split_protocols import Dealt, deal, people, units
from pipeline.stages.common import Run, Stage

STAGE = Stage("split", sections=("seed", "split", "overrides"), inputs=("videos", "faces", "wplus"))
UNUSED, NO_FOLD = "unused", -1
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write ``overrides``, ``splits`` and ``leaks``; what cannot be made has a reason, what leaks stops the run."""
    current = STAGE.run(params, paths)
    settings = current.params.split
    told = _corrected(current, paths)
    videos = _videos(paths)
    alike = _leaks(current, paths, videos)
    try:
        unit = units(videos, settings, paths)
        if settings.leaks == "join" and alike:
            unit = _joined(videos, unit, alike)
        dealt = deal(videos, unit, settings, seed=current.params.seed)
    except SplitError as error:
        dealt = Dealt(videos["source_group"].to_numpy(dtype=object), None, None, str(error), str(error))
    _write(current, paths, videos, dealt, told)


def _corrected(current: Run, paths: Paths) -> dict[str, str]:
    """Write ``overrides``; what the file says, for fingerprints."""
    lines = overrides.read(paths.root / current.params.overrides)
    told = {"overrides": overrides.digest(lines)} if lines else {}
    faces = tables.read_pandas(paths.table("faces"), "faces", columns=["face_id", "video_id", "label", "status"])
    rows, n_unknown = overrides.resolve(lines, faces[faces["status"] == "ok"])
    reason = None if rows else f"{current.params.overrides} corrects no face"
    meta = current.meta(told, reason=reason, digest=told.get("overrides"), n_lines=len(lines), n_unknown=n_unknown)
    tables.write_rows(rows, paths.table("overrides"), name="overrides", meta=meta)
    if n_unknown:
        log.warning("split: %d of %d overrides name no face or video that is here", n_unknown, len(lines))
    if rows:
        n_out = sum(row["excluded"] for row in rows)
        log.info("split: labels of %d faces are told by hand, %d faces are excluded", len(rows) - n_out, n_out)
    return told


def _videos(paths: Paths) -> pd.DataFrame:
    """Labelled videos with a usable face, and what is known of them."""
    columns = ["face_id", "video_id", "label", "source_group", "status"]
    faces = overrides.apply(tables.read_pandas(paths.table("faces"), "faces", columns=columns), paths)
    usable = faces[(faces["status"] == "ok") & faces["label"].notna()].drop(columns=["face_id", "status"])
    # A video is fake where any of its faces is: corrections may tell them apart.
    usable = usable.sort_values("label", ascending=False, kind="stable")
    columns = ["video_id", "rel_path", "dataset", "method", "compression", "identity"]
    known = tables.read_pandas(paths.table("videos"), "videos", columns=columns)
    found = usable.drop_duplicates("video_id").merge(known, on="video_id", how="left").sort_values("video_id")
    named = pd.Series(people(found["identity"]), index=found.index, dtype=object)
    return found.assign(people=named).reset_index(drop=True)


def _leaks(current: Run, paths: Paths, videos: pd.DataFrame) -> list[dict[str, Any]]:
    """Write ``leaks``; UserError where footage leaks and ``split.leaks`` says stop."""
    settings = current.params.split
    alike = leak_check.footage_pairs(paths, videos, above=settings.alike_above)
    shared = leak_check.identity_pairs(videos) if settings.by != "identity" else []
    tables.write_rows([*alike, *shared], paths.table("leaks"), name="leaks", meta=current.meta())
    if shared:
        log.warning("split: %s", leak_check.identity_sentence(shared))
    if alike and settings.leaks == "stop":
        shutil.rmtree(paths.table("splits"), ignore_errors=True)  # nothing may be trained on an older deal
        raise UserError(f"split: {leak_check.footage_sentence(alike)}: {leak_check.REMEDY}")
    if alike:
        done = "they are kept on one side" if settings.leaks == "join" else "results will be too good"
        log.warning("split: %s; %s", leak_check.footage_sentence(alike), done)
    return alike


def _joined(videos: pd.DataFrame, unit: NDArray[np.object_], alike: list[dict[str, Any]]) -> NDArray[np.object_]:
    """Units joined where their footage looks alike."""
    keys: dict[str, list[str]] = {video: [] for video in videos["video_id"]}
    for i, pair in enumerate(alike):
        for side in ("first_video", "second_video"):
            keys[pair[side]].append(f"pair {i}")
    return join_groups(unit, list(keys.values()))


def _write(current: Run, paths: Paths, videos: pd.DataFrame, dealt: Dealt, told: dict[str, str]) -> None:
    n = len(videos)
    split = np.full(n, UNUSED, dtype=object) if dealt.split is None else dealt.split
    fold = np.full(n, NO_FOLD) if dealt.fold is None else dealt.fold
    reason = " ".join(dict.fromkeys(r for r in (dealt.no_split, dealt.no_fold) if r)) or None
    for why in dict.fromkeys(r for r in (dealt.no_split, dealt.no_fold, dealt.note) if r):
        log.warning("split: %s", why)
    rows = [
        {"video_id": v, "source_group": g, "unit": str(u), "split": str(s), "fold": int(f), "reason": reason}
        for v, g, u, s, f in zip(videos["video_id"], videos["source_group"], dealt.unit, split, fold, strict=True)
    ]
    meta = current.meta(
        told,
        reason=reason,
        no_split=dealt.no_split,
        no_fold=dealt.no_fold,
        protocol={"by": current.params.split.by, "fold_tests": list(dealt.domains), "note": dealt.note},
    )
    tables.write_rows(rows, paths.table("splits"), name="splits", meta=meta)
    sides = "none" if dealt.split is None else ", ".join(f"{n} {s}" for s, n in zip(*_count(split), strict=True))
    n_folds = int(fold.max()) + 1 if n else 0
    n_groups, n_units = videos["source_group"].nunique(), len(set(dealt.unit))
    log.info("split: %d videos of %d groups in %d units; split: %s; folds: %d", n, n_groups, n_units, sides, n_folds)


def _count(values: NDArray[Any]) -> tuple[list[str], list[int]]:
    names, counts = np.unique(values.astype(str), return_counts=True)
    return names.tolist(), counts.tolist()
