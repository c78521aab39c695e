"""The points of one map with all that is known of them, kept once for all sessions. Nothing here draws."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from dashboard import data, tags
from dashboard.colouring import CATEGORIES, NUMBERS
from pipeline.errors import UserError
from pipeline.report.summary import is_flat
from pipeline.report.summary import main_inverter as main_inverter_of

_TABLES = ("map", "faces", "overrides", "videos", "splits", "clusters", "wplus", "predictions")
_TEXTS = (*CATEGORIES, "rel_path", "status_of_code")


@dataclass(frozen=True)
class Wanted:
    """Which map, and what is joined to it."""

    map_id: str
    clustering_id: str | None
    judge: tuple[str, str] | None
    inverter_id: str | None


@dataclass(frozen=True, eq=False)
class MapPoints:
    """Points of one map, in an order that hides no category behind another. Shared between sessions: read-only.

    Attributes
    ----------
    frame : one row per face with coordinates; texts are categories, numbers float32.
    xyz : float32 [n, 2] or [n, 3], finite.
    rows : ``face_id`` -> row.
    groups : int [n], source group by number; a face without one is a group of its own.
    version : names these points, their order and all that is known of them.
    view : names their coordinates alone, so that a look at other columns keeps its place.
    warnings : sentences about what does not fit.
    """

    wanted: Wanted
    frame: pd.DataFrame
    xyz: NDArray[np.float32]
    rows: pd.Index
    groups: NDArray[np.int64]
    version: str
    view: str
    warnings: tuple[str, ...]

    @property
    def flat(self) -> bool:
        """Whether the map is 2-D."""
        return self.xyz.shape[1] == 2

    def find(self, faces: Sequence[str]) -> NDArray[np.int64]:
        """Rows of faces, without those that are not on this map."""
        found = self.rows.get_indexer(pd.Index(pd.Series(list(faces), dtype=str)))
        return np.asarray(found[found >= 0], dtype=np.int64)


def judges() -> list[tuple[str, str]]:
    """``(space, model)`` of every classifier with frame-level predictions; read once."""
    return _judges(str(data.project().root.resolve()), data.signature(data.project().table("predictions")))


@st.cache_data(max_entries=4, show_spinner=False)
def _judges(root: str, files: data.Signature) -> list[tuple[str, str]]:
    return data.judges()


def main_inverter() -> str | None:
    """The inverter with the most codes; None where there are none. Read once."""
    return _main_inverter(str(data.project().root.resolve()), data.signature(data.project().table("wplus")))


@st.cache_data(max_entries=4, show_spinner=False)
def _main_inverter(root: str, files: data.Signature) -> str | None:
    codes = data.optional("wplus")
    return None if codes is None else main_inverter_of(codes)


def load(wanted: Wanted) -> MapPoints:
    """One map's points with today's tags; UserError where the map cannot be read, in one sentence."""
    files = tuple(data.signature(data.project().table(name)) for name in _TABLES)
    points = _load(str(data.project().root.resolve()), files, wanted)
    try:
        every = tags.read()
    except UserError as error:
        return replace(points, warnings=(*points.warnings, f"Tags are not shown: {error}"))
    if every.empty:
        return points
    return _tagged(points.version, data.signature(data.project().table("tags")), points, every)


@st.cache_resource(max_entries=2, show_spinner=False)
def _tagged(version: str, files: data.Signature, _points: MapPoints, _every: pd.DataFrame) -> MapPoints:
    text = _points.frame["face_id"].map(tags.shown(_every)).astype("category")
    return replace(_points, frame=_points.frame.assign(tag=text))


# Two maps: the one that is looked at and the one before it. A resource is handed out as it is, so that a page's rerun
# copies nothing.
@st.cache_resource(max_entries=2, show_spinner="Reading the map ...")
def _load(root: str, files: tuple[data.Signature, ...], wanted: Wanted) -> MapPoints:
    every = data.points(
        wanted.map_id, clustering_id=wanted.clustering_id, judge=wanted.judge, inverter_id=wanted.inverter_id
    )
    flat = is_flat(every)
    axes = ["x", "y"] if flat else ["x", "y", "z"]
    finite = np.isfinite(every[axes].to_numpy(dtype=np.float32)).all(axis=1)
    if not finite.any():
        raise UserError(f"no face of the map '{wanted.map_id}' has coordinates: run `dvc repro --force map`")
    order = np.random.default_rng(0).permutation(np.flatnonzero(finite))
    frame = _compact(every.iloc[order].reset_index(drop=True))
    groups = pd.factorize(frame["source_group"])[0].astype(np.int64)
    alone = groups < 0
    groups[alone] = groups.max(initial=-1) + 1 + np.arange(int(alone.sum()))
    version, view = (_hash(root, *what) for what in ((files, wanted), (files[0], wanted.map_id)))
    xyz = np.ascontiguousarray(frame[axes].to_numpy(dtype=np.float32))
    warnings = _warnings(frame, n_lost=int((~finite).sum()), wanted=wanted)
    return MapPoints(wanted, frame, xyz, pd.Index(frame["face_id"]), groups, version, view, warnings)


def _hash(*what: object) -> str:
    return hashlib.sha256(repr(what).encode()).hexdigest()[:16]


def _compact(frame: pd.DataFrame) -> pd.DataFrame:
    """The same with categories for texts and 32-bit numbers: a tenth of the memory."""
    out: dict[str, pd.Series] = {}
    for column in frame.columns:
        values = frame[column]
        if column in ("cluster", "fold"):
            out[column] = values.astype("Int32")
        elif column in _TEXTS:
            out[column] = values.astype("category")
        elif column in NUMBERS or column in ("x", "y", "z"):
            out[column] = pd.to_numeric(values).astype("float32")
        else:
            out[column] = values
    return pd.DataFrame(out, copy=False)


def _warnings(frame: pd.DataFrame, *, n_lost: int, wanted: Wanted) -> tuple[str, ...]:
    out = []
    if n_lost:
        out.append(f"{n_lost:,} faces of this map have no coordinates and are not drawn.")
    strangers = int(frame["video_id"].isna().sum())
    if strangers and data.optional("faces") is not None:
        out.append(
            f"{strangers:,} of {len(frame):,} faces of this map are not in the table 'faces': the map was made from "
            "other embeddings. Run `dvc repro`."
        )
    if wanted.clustering_id and not strangers:
        missing = int(frame["cluster"].isna().sum())
        if missing:
            out.append(
                f"{missing:,} of {len(frame):,} faces of this map are not in the clustering '{wanted.clustering_id}', "
                "which was made from other embeddings. Run `dvc repro`."
            )
    return tuple(out)
