"""What the tables say about material, faces, inversions and clusters. DataFrames in and out; nothing is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline import quality_gate
from pipeline.report.palette import importance_chance, label_name
from pipeline.schemas import SPACES

QUALITY = {  # column -> (readable name, unit, whether a low value is good)
    "lpips": ("perceptual distance", "", True),
    "mse_unit": ("mean squared error, [-1, 1] scale", "", True),
    "psnr_db": ("PSNR", "dB", False),
}


@dataclass(frozen=True)
class Coverage:
    """How many sampled frames gave a usable face; ``share`` is None where no frame was sampled."""

    n_frames: int
    n_ok: int

    @property
    def share(self) -> float | None:
        """Share of sampled frames with a usable face, in [0, 1]."""
        return self.n_ok / self.n_frames if self.n_frames else None


def coverage(faces: pd.DataFrame) -> Coverage:
    """Count sampled frames and those with at least one usable face (a frame with two faces counts once)."""
    if faces.empty:
        return Coverage(0, 0)
    frame_ok = faces["status"].eq("ok").groupby([faces["video_id"], faces["frame_index"]]).any()
    return Coverage(len(frame_ok), int(frame_ok.sum()))


def coverage_by(faces: pd.DataFrame, by: str) -> pd.DataFrame:
    """Coverage per value of column ``by``: columns ``by``, ``n_frames``, ``n_ok``, ``share``."""
    keys = named_labels(faces)[by].astype("object").fillna("unknown")
    rows = [(key, c.n_frames, c.n_ok, c.share) for key, part in faces.groupby(keys) for c in [coverage(part)]]
    return pd.DataFrame(rows, columns=[by, "n_frames", "n_ok", "share"])


def named_labels(table: pd.DataFrame) -> pd.DataFrame:
    """A copy whose ``label`` column reads real, fake or unknown instead of 0, 1 or empty."""
    return table.assign(label=[label_name(v) for v in table["label"]])


def material(videos: pd.DataFrame) -> pd.DataFrame:
    """Videos per data set, label, method and compression: ``n_videos``, ``n_ok``, ``n_groups``, ``minutes``."""
    keys = ["dataset", "label", "method", "compression"]
    table = named_labels(videos)
    table[keys] = table[keys].astype("object").fillna("—")
    table["is_ok"] = table["status"].eq("ok")
    out = table.groupby(keys, sort=True).agg(
        n_videos=("video_id", "size"),
        n_ok=("is_ok", "sum"),
        n_groups=("source_group", "nunique"),
        minutes=("duration_s", lambda s: s.sum() / 60),
    )
    return out.reset_index()


def reasons(table: pd.DataFrame) -> pd.DataFrame:
    """Rows per status and kind of reason, the most frequent first: ``status``, ``reason``, ``n``."""
    named = table["reason"].map(quality_gate.kind, na_action="ignore").astype("object").fillna("—")
    part = pd.DataFrame({"status": table["status"], "reason": named})
    part.loc[part["status"].eq("ok"), "reason"] = "—"
    counts = part.groupby(["status", "reason"], sort=True).size().rename("n").reset_index()
    return counts.sort_values(["n", "status", "reason"], ascending=[False, True, True], ignore_index=True)


def main_inverter(wplus: pd.DataFrame) -> str:
    """The inverter with the most codes; the first by name among equals."""
    counts = wplus["inverter_id"].value_counts()
    return min(counts[counts == counts.max()].index)


def quality_summary(wplus: pd.DataFrame) -> pd.DataFrame:
    """Spread of each quality column, per inverter: ``inverter_id, measure, unit, n, median, good, poor, worst``.

    ``good`` and ``poor`` are the values that a tenth of the faces are better and worse than.
    """
    rows = []
    for inverter_id, part in wplus.groupby("inverter_id", sort=True):
        for column, (name, unit, low_is_good) in QUALITY.items():
            values = part[column].dropna().to_numpy(dtype=np.float64)
            if values.size == 0:
                continue
            low, mid, high = np.quantile(values, [0.1, 0.5, 0.9])
            good, poor, worst = (low, high, values.max()) if low_is_good else (high, low, values.min())
            rows.append((inverter_id, name, unit, values.size, mid, good, poor, worst))
    return pd.DataFrame(rows, columns=["inverter_id", "measure", "unit", "n", "median", "good", "poor", "worst"])


def quality_picks(wplus: pd.DataFrame, *, column: str = "lpips", n_each: int = 3) -> dict[str, pd.DataFrame]:
    """The ``n_each`` best, most median and worst inversions of one inverter by ``column``, without repeating a face.

    Returns
    -------
    dict
        Keys ``best``, ``median``, ``worst``; rows run from good to poor. With few faces some are short or empty.
    """
    ranked = wplus[wplus[column].notna()].sort_values(
        [column, "face_id"], ascending=[QUALITY[column][2], True], ignore_index=True
    )
    n = len(ranked)
    best = list(range(min(n_each, n)))
    worst = [i for i in range(max(0, n - n_each), n) if i not in best]
    middle_first = sorted(range(n), key=lambda i: abs(i - (n - 1) / 2))
    median = sorted([i for i in middle_first if i not in best and i not in worst][:n_each])
    return {"best": ranked.iloc[best], "median": ranked.iloc[median], "worst": ranked.iloc[worst]}


def with_faces(table: pd.DataFrame, faces: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """``table`` joined on ``face_id`` with some columns of ``faces``; a face unknown there gets empty values."""
    wanted = ["face_id", *[c for c in columns if c not in table.columns]]
    return table.merge(faces[wanted], on="face_id", how="left")


def cluster_summary(clusters: pd.DataFrame, faces: pd.DataFrame) -> pd.DataFrame:
    """Size and mix of each cluster of one clustering, the largest first and noise last.

    Returns
    -------
    DataFrame
        ``cluster, n_faces, n_videos, n_groups, share_fake`` (in [0, 1], over faces of known label; NaN where none is
        known), ``membership`` (median).
    """
    joined = with_faces(clusters, faces, ["video_id", "source_group", "label"])
    out = joined.groupby("cluster").agg(
        n_faces=("face_id", "size"),
        n_videos=("video_id", "nunique"),
        n_groups=("source_group", "nunique"),
        share_fake=("label", "mean"),
        membership=("membership", "median"),
    )
    out = out.reset_index()
    out["is_noise"] = out["cluster"].lt(0)
    out = out.sort_values(["is_noise", "n_faces", "cluster"], ascending=[True, False, True], ignore_index=True)
    return out.drop(columns="is_noise")


def exemplars(clusters: pd.DataFrame, cluster: int, n: int) -> list[str]:
    """``face_id`` of the ``n`` most typical faces of a cluster; for noise, of its most unusual faces."""
    part = clusters[clusters["cluster"] == cluster]
    if cluster < 0:
        ranked = part.sort_values(["outlier_score", "face_id"], ascending=[False, True])
    else:
        rank = part["exemplar_rank"].where(part["exemplar_rank"] >= 0, np.inf)
        ranked = part.assign(rank=rank).sort_values(["rank", "membership", "face_id"], ascending=[True, False, True])
    return ranked["face_id"].head(n).tolist()


def space_of(identifier: str) -> str | None:
    """Feature space that a ``map_id`` or ``clustering_id`` starts with; None where it names none."""
    return next((s for s in SPACES if identifier.startswith(s)), None)


def is_flat(points: pd.DataFrame) -> bool:
    """Whether the points of one map are 2-D (their ``z`` is empty)."""
    return bool(points["z"].isna().all())


def first_id(identifiers: list[str], *, space: str | None = None, word: str = "") -> str | None:
    """The first identifier of ``space`` that contains ``word``, else the first of ``space``, else None."""
    same = sorted(i for i in identifiers if space is None or space_of(i) == space)
    return next((i for i in same if word in i), same[0] if same else None)


def main_clustering(identifiers: Iterable[str], *, space: str | None) -> str | None:
    """The clustering that stands for a feature space where several were made: HDBSCAN's in principal components."""
    return first_id(list(identifiers), space=space, word="-hdbscan-pca")


def telling_channels(importance: pd.DataFrame) -> list[int]:
    """Channels whose whole interval lies above both the shuffled value and chance.

    Chance counts too: with few groups, out-of-fold scores under shuffled labels may fall well below it, and to beat
    such a low value alone proves nothing. Where shuffling could not be done, no channel is shown to tell.
    """
    chance = importance["method"].map(importance_chance).astype("float64")
    null = importance["null_value"].astype("float64")
    bar = np.fmax(chance.to_numpy(), null.to_numpy())
    above = importance["ci_low"].to_numpy(dtype=np.float64) > bar
    return sorted(int(c) for c in importance.loc[above & null.notna().to_numpy(), "channel"])


def overrides_sentence(rows: pd.DataFrame) -> str:
    """What the table ``overrides`` changes, in words."""
    if rows.empty:
        return "No label was corrected by hand, and no face excluded."
    changed = rows[~rows["excluded"] & rows["label"].notna() & (rows["label_before"] != rows["label"])]
    n_out, n_same = int(rows["excluded"].sum()), len(rows) - len(changed) - int(rows["excluded"].sum())
    same = f" {n_same:,} faces are named, but had that label already." if n_same else ""
    return (
        f"Labels of {len(changed):,} faces of {changed['video_id'].nunique():,} videos were corrected by hand, and "
        f"{n_out:,} faces are excluded: neither trained on nor measured. Every score here is against the corrected "
        f"labels; the tables of material above have the labels as the material came.{same}"
    )
