"""How videos are dealt to sides and folds under each ``split.by``: tables in, sides and reasons out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
from numpy.typing import NDArray

from classifiers.splits import SplitError, check_leaks, grouped_folds, three_way_split
from classifiers.splits_domains import leave_one_out
from classifiers.splits_units import join_groups, person_clusters
from pipeline import tables
from pipeline.channel_parts import FIRST
from pipeline.params import Split
from pipeline.paths import Paths

DOMAINS = {"method": "manipulation method", "dataset": "data set", "compression": "compression"}
FOLDS_ONLY = "split.by: {} makes folds only, each of which tests what the others did not train on"
# Coarse and middle W+ channels: pose, shape, features; the fine ones are colour and light.
PERSON_CHANNELS = slice(0, FIRST["fine"])


@dataclass(frozen=True)
class Dealt:
    """Sides of the videos.

    Attributes
    ----------
    unit : object [n], what was kept whole.
    split, fold : [n], None where they could not be made, with ``no_split`` and ``no_fold`` saying why.
    domains : what each fold judges, where folds leave a domain out.
    note : what a reader should know of the protocol.
    """

    unit: NDArray[np.object_]
    split: NDArray[Any] | None
    fold: NDArray[Any] | None
    no_split: str | None = None
    no_fold: str | None = None
    domains: tuple[str, ...] = ()
    note: str | None = None


def deal(videos: pd.DataFrame, unit: NDArray[np.object_], settings: Split, *, seed: int) -> Dealt:
    """Deal videos (``label`` and the columns of `DOMAINS`), never parting a unit [n]."""
    labels = videos["label"].to_numpy(dtype=np.int64)
    if settings.by in DOMAINS:
        column = videos[settings.by].astype(object).where(videos[settings.by].notna(), None)
        is_shared = [settings.by == "method" and y == 0 for y in labels]  # reals are of no method
        domains = [None if shared else d for d, shared in zip(column, is_shared, strict=True)]
        if settings.by != "method":  # a video of unknown compression is no wild card
            domains = ["unknown" if d is None else d for d in domains]
        no_split = FOLDS_ONLY.format(settings.by)
        try:
            made = leave_one_out(unit, labels.tolist(), domains, what=DOMAINS[settings.by], seed=seed)
        except SplitError as error:
            return Dealt(unit, None, None, no_split, str(error))
        check_leaks(unit[made.fold >= 0], made.fold[made.fold >= 0])
        what = DOMAINS[settings.by]
        note = f"{made.n_unused} of {len(labels)} videos stand in no fold: their group tests another {what}"
        return Dealt(unit, None, made.fold, no_split, domains=made.names, note=note)
    split, unsplit = _try(lambda: three_way_split(unit, labels, fractions=settings.fractions, seed=seed), unit)
    fold, no_fold = _try(lambda: grouped_folds(unit, labels, n_folds=settings.n_folds, seed=seed), unit)
    return Dealt(unit, split, fold, unsplit, no_fold)


def _try(make: Callable[[], NDArray[Any]], unit: NDArray[np.object_]) -> tuple[NDArray[Any] | None, str | None]:
    """Sides of the videos, checked for leaks, or None and why there are none."""
    try:
        sides = make()
    except SplitError as error:
        return None, str(error)
    check_leaks(unit, sides)
    return sides, None


def people(identity: pd.Series) -> list[list[str]]:
    """Names in each cell of column ``identity``, which separates them by commas."""
    return [[] if pd.isna(cell) else [p.strip() for p in str(cell).split(",") if p.strip()] for cell in identity]


def units(videos: pd.DataFrame, settings: Split, paths: Paths) -> NDArray[np.object_]:
    """What must not be parted, object [n]: source groups, joined by named people or by clusters of likely people.

    Raises
    ------
    SplitError
        No identity is known, or there are no codes to cluster by.
    """
    groups = videos["source_group"].to_numpy(dtype=object)
    if settings.by == "identity":
        if not any(videos["people"]):
            raise SplitError(
                "No video names the people it shows: split.by: identity needs that, split.by: person does not."
            )
        return join_groups(groups, videos["people"].tolist())
    if settings.by == "person":
        return join_groups(groups, _likely_people(videos["video_id"].tolist(), settings, paths))
    return groups


def _likely_people(video_ids: list[str], settings: Split, paths: Paths) -> list[list[str]]:
    """A cluster's name for each video with codes, by its mean coarse and middle W+ channels."""
    columns = ["face_id", "wplus", "n_channels"]
    owner = tables.read_pandas(paths.table("faces"), "faces", columns=["face_id", "video_id"])
    video_of = dict(zip(owner["face_id"], owner["video_id"], strict=True))
    wanted, counts = set(video_ids), dict.fromkeys(video_ids, 0)
    sums: dict[str, NDArray[np.float64]] = {}
    for batch in tables.read_batches(
        paths.table("wplus"), "wplus", columns=columns, where=pc.field("wplus").is_valid()
    ):
        for face, code, n_channels in zip(*(batch.column(c).to_pylist() for c in columns), strict=True):
            if (video := video_of.get(face)) in wanted:
                part = np.asarray(code, dtype=np.float32).reshape(n_channels, -1)[PERSON_CHANNELS].ravel()
                sums[video] = sums.get(video, np.zeros(1)) + part
                counts[video] += 1
    if not sums:
        raise SplitError("split.by: person clusters W+ codes, and no video has one: add 'wplus' to spaces.")
    known = [v for v in video_ids if v in sums]
    clusters = person_clusters(np.stack([sums[v] / counts[v] for v in known]), max_distance=settings.person_distance)
    name_of = dict(zip(known, clusters.tolist(), strict=True))
    return [[f"person {name_of[v]}"] if v in name_of else [] for v in video_ids]
