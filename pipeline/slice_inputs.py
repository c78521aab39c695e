"""Faces and frames with everything they can be sliced by, joined from the tables."""

from __future__ import annotations

import pandas as pd

from pipeline import attributes, overrides, tables
from pipeline.paths import Paths


def face_facts(paths: Paths, known: pd.DataFrame, videos: pd.DataFrame) -> pd.DataFrame:
    """Attributes of every usable face in one frame."""
    columns = ["face_id", "source_group", "label", "method", "face_width_px", "yaw_deg", "blur"]
    facts = overrides.apply(tables.read_pandas(paths.table("faces"), "faces", columns=columns), paths, drop=False)
    codes = tables.read_pandas(paths.table("wplus"), "wplus", columns=["face_id", "lpips"])
    out = known.merge(facts, on="face_id", how="left")
    out = out.merge(videos[["video_id", "compression"]], on="video_id", how="left")
    out = out.merge(codes.drop_duplicates("face_id"), on="face_id", how="left")
    return out.assign(skin_tone=attributes.skin_tones(out["ita_deg"]))


def with_clusters(paths: Paths, faces: pd.DataFrame) -> pd.DataFrame:
    """Faces with a column for each feature space's clustering; of several, HDBSCAN's in principal components."""
    clusters = tables.read_pandas(paths.table("clusters"), "clusters", columns=["face_id", "clustering_id", "cluster"])
    # The last of a space's clusterings stands for it.
    order = sorted(clusters["clustering_id"].unique(), key=lambda name: ("-hdbscan-pca" in name, name))
    for clustering_id in order:
        part = clusters[clusters["clustering_id"] == clustering_id]
        names = part["cluster"].map(lambda k: "noise" if k < 0 else f"cluster {k:02d}")
        column = dict(zip(part["face_id"], names, strict=True))
        faces = faces.assign(**{f"cluster:{clustering_id.split('-')[0]}": faces["face_id"].map(column)})
    return faces


def frame_facts(paths: Paths, videos: pd.DataFrame) -> pd.DataFrame:
    """One row per sampled frame: whether it gave a usable face, and what is known of it without one."""
    columns = ["face_id", "video_id", "frame_index", "source_group", "label", "method", "status"]
    rows = overrides.apply(tables.read_pandas(paths.table("faces"), "faces", columns=columns), paths, drop=False)
    rows = rows.assign(ok=rows["status"] == "ok", label=rows["label"].map({0: "real", 1: "fake"}))
    first = {name: (name, "first") for name in ("source_group", "label", "method")}
    frames = rows.groupby(["video_id", "frame_index"], as_index=False).agg(ok=("ok", "max"), **first)
    frames = frames.merge(videos[["video_id", "compression", "dataset", "height_px"]], on="video_id", how="left")
    return frames.assign(**{"frame height": attributes.heights(frames["height_px"])})
