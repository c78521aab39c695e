"""Tables and images for the pages, cached until their files change. Nothing here draws."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import pandas as pd
import pyarrow.compute as pc
import streamlit as st

from dashboard import privacy
from pipeline import overrides, tables
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.report import load, summary
from pipeline.report.images import thumbnail_uri

Signature = tuple[tuple[str, int, int], ...]
QUALITY_COLUMNS = ("lpips", "mse_unit", "psnr_db", "w_distance_std")


def project() -> Paths:
    """The project folder: ``LF_PROJECT``, or the folder the dashboard was started in."""
    return Paths(Path(os.environ.get("LF_PROJECT") or "."))


def signature(path: Path) -> Signature:
    """Name, modification time (ns) and size of a table's files; a change makes cached values stale."""
    files = [path] if path.is_file() else sorted(path.glob("*.parquet")) if path.is_dir() else []
    out = []
    for file in files:
        try:
            stat = file.stat()
        except FileNotFoundError:  # replaced by a running stage between the listing and here
            continue
        out.append((file.name, stat.st_mtime_ns, stat.st_size))
    return tuple(out)


def _at(name: str) -> tuple[str, Signature]:
    path = project().table(name)
    return str(path), signature(path)


@st.cache_data(max_entries=48, show_spinner=False)
def _read(
    path: str, files: Signature, name: str, where: tuple[str, str] | None, columns: tuple[str, ...] | None
) -> pd.DataFrame:
    expression = None if where is None else pc.field(where[0]) == where[1]
    return load.read_light(Path(path), name, columns, where=expression)


def table(name: str, *, where: tuple[str, str] | None = None, columns: tuple[str, ...] | None = None) -> pd.DataFrame:
    """A table without vectors and images, optionally only the rows whose column has one value.

    ``columns`` names those to read instead, vectors and images among them.

    Raises
    ------
    UserError
        Missing, truncated, foreign or empty; the message is one sentence that says which.
    """
    path, files = _at(name)
    frame = _read(path, files, name, where, columns)
    if frame.empty:
        raise UserError(load.why_empty(Path(path), name))
    return frame


def optional(name: str, *, where: tuple[str, str] | None = None) -> pd.DataFrame | None:
    """Like `table`, but None where there is nothing to read."""
    try:
        return table(name, where=where)
    except UserError:
        return None


@st.cache_data(max_entries=16, show_spinner=False)
def _ids(path: str, files: Signature, name: str, column: str) -> list[str]:
    frame = load.read_light(Path(path), name, [column])
    return sorted(frame[column].unique().tolist())


def ids(name: str, column: str) -> list[str]:
    """Values of an id column such as ``map_id``; UserError where the table cannot be read or is empty."""
    path, files = _at(name)
    found = _ids(path, files, name, column)
    if not found:
        raise UserError(load.why_empty(Path(path), name))
    return found


def metadata(name: str) -> dict[str, object]:
    """What the writer recorded with a readable table."""
    return tables.metadata(project().table(name))


@st.cache_resource(max_entries=8, show_spinner=False)
def _shards(path: str, files: Signature, name: str) -> Mapping[str, tuple[str, ...]]:
    return MappingProxyType(load.locate(Path(path), name))  # shared between sessions, so read-only


@st.cache_data(max_entries=64, show_spinner=False)
def _images(
    path: str, files: Signature, name: str, faces: tuple[str, ...], projector_id: str | None, how: privacy.Mode
) -> dict[str, bytes]:
    index = _shards(path, files, name)
    stored = load.read_images(Path(path), name, faces, projector_id=projector_id, where=index)
    seen = {face: privacy.protect(image, how) for face, image in stored.items()}
    return {face: image for face, image in seen.items() if image}


def images(name: str, faces: Sequence[str], *, projector_id: str | None = None) -> dict[str, bytes]:
    """Encoded images of some faces from ``faces``, ``reconstructions`` or ``decoded``; no others are decoded.

    They are blurred or left out where the reader wants it so (`dashboard.privacy`).
    """
    path, files = _at(name)
    return _images(path, files, name, tuple(faces), projector_id, privacy.mode())


@st.cache_data(max_entries=64, show_spinner=False)
def _thumbnails(
    path: str, files: Signature, faces: tuple[str, ...], size_px: int, how: privacy.Mode
) -> dict[str, str | None]:
    stored = load.read_images(Path(path), "faces", faces, where=_shards(path, files, "faces"))
    return {face: thumbnail_uri(privacy.protect(stored.get(face), how), size_px=size_px) for face in faces}


def thumbnails(faces: Sequence[str], *, size_px: int = 144) -> dict[str, str | None]:
    """Small aligned faces as data addresses; None for one without a readable image, or where faces are hidden."""
    path, files = _at("faces")
    return _thumbnails(path, files, tuple(faces), size_px, privacy.mode())


def _join(left: pd.DataFrame, right: pd.DataFrame | None, key: str, columns: Sequence[str]) -> pd.DataFrame:
    """Left join of the ``columns`` that ``left`` lacks; empty columns where there is nothing to join."""
    wanted = [c for c in columns if c not in left.columns]
    if right is None:
        return left.assign(**dict.fromkeys(wanted))
    return left.merge(right[[key, *wanted]].drop_duplicates(key), on=key, how="left")


def with_material(frame: pd.DataFrame) -> pd.DataFrame:
    """Add what is known of each ``face_id``'s face, video and split; ``label`` by name."""
    light = [c for c in load.light_columns("faces") if c not in ("face_id", "status", "reason")]
    out = _join(frame, optional("faces"), "face_id", light)
    video_columns = ["rel_path", "dataset", "compression", "identity"]
    out = _join(out, optional("videos"), "video_id", video_columns)
    corrected = optional("overrides")
    if corrected is not None:
        out = overrides.apply_rows(out, corrected, drop=False)
    return summary.named_labels(_join(out, optional("splits"), "video_id", ["split", "fold"]))


def points(
    map_id: str, *, clustering_id: str | None, judge: tuple[str, str] | None, inverter_id: str | None
) -> pd.DataFrame:
    """One map's points with every column they can be coloured by.

    Parameters
    ----------
    judge : (space, model), optional
        Whose frame-level ``p_fake`` to join.
    """
    out = with_material(table("map", where=("map_id", map_id)))
    clusters = optional("clusters", where=("clustering_id", clustering_id)) if clustering_id else None
    out = _join(out, clusters, "face_id", ["cluster", "membership", "outlier_score", "exemplar_rank"])
    codes = optional("wplus", where=("inverter_id", inverter_id)) if inverter_id else None
    out = _join(out, codes, "face_id", QUALITY_COLUMNS)
    predicted = optional("predictions") if judge else None
    if predicted is not None and judge is not None:
        rows = predicted["level"].eq("frame") & predicted["space"].eq(judge[0]) & predicted["model"].eq(judge[1])
        predicted = predicted[rows].rename(columns={"id": "face_id"})
    return _join(out, predicted, "face_id", ["p_fake"])


def judges() -> list[tuple[str, str]]:
    """``(space, model)`` of every classifier with frame-level predictions."""
    predicted = optional("predictions")
    if predicted is None:
        return []
    rows = predicted[predicted["level"] == "frame"]
    return sorted(set(zip(rows["space"], rows["model"], strict=True)))
