"""A project folder with tables of any size, to measure the dashboard on: invented points, a few pictures for all."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from pipeline import tables
from pipeline.paths import Paths
from pipeline.schemas import TABLES

PER_VIDEO, PER_GROUP, PER_SHARD = 10, 4, 6_500
N_CLUSTERS, N_DIMS = 120, 1280
METHODS = ("real", "Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
CLUSTERING = "efficientnet-hdbscan-pca50-mcs5-ms5"
MAPS = {2: "efficientnet-tsne2-pca50-perp30-s0", 3: "efficientnet-tsne3-pca50-perp30-s0"}


def write(root: Path, n_faces: int, *, vectors: bool, seed: int = 0) -> None:
    """Write videos, faces, splits, both maps, clusters, predictions and, with ``vectors``, embeddings of 1,280 numbers.

    Faces lie around 120 centres; a tenth of them are noise. Pictures are 64 textures, used in turn.
    """
    rng = np.random.default_rng(seed)
    face = np.array([f"{i:016x}" for i in rng.permutation(n_faces)])
    video = np.arange(n_faces) // PER_VIDEO
    n_videos = int(video.max()) + 1
    method = np.array(METHODS)[np.arange(n_videos) % len(METHODS)]
    of_video = {
        "video_id": np.array([f"v{i:08d}" for i in range(n_videos)]),
        "label": (method != "real").astype(np.int8),
        "method": method,
        "source_group": np.array([f"g{i // PER_GROUP:06d}" for i in range(n_videos)]),
    }
    cluster = np.where(rng.random(n_faces) < 0.1, -1, video * N_CLUSTERS // n_videos).astype(np.int32)
    paths = Paths(root)
    names = np.array([f"part {i % 7}/clip {i:06d}.mp4" for i in range(n_videos)])
    quality = np.array(["c23", "c40"])[np.arange(n_videos) % 2]
    videos = pd.DataFrame(of_video).assign(rel_path=names, dataset="invented", compression=quality, status="ok")
    _data(paths, "videos", videos)
    number = np.arange(n_videos) // PER_GROUP
    split = np.array(["train", "val", "test"])[number % 3]
    _data(
        paths,
        "splits",
        pd.DataFrame({k: of_video[k] for k in ("video_id", "source_group")}).assign(
            unit=of_video["source_group"], split=split, fold=number % 5
        ),
    )
    faces = pd.DataFrame({k: v[video] for k, v in of_video.items()}).assign(
        face_id=face, frame_index=np.arange(n_faces) % PER_VIDEO * 30, track_id=0, status="ok",
        blur=rng.gamma(4, 40, n_faces), yaw_deg=rng.normal(0, 20, n_faces), score=rng.uniform(0.9, 1, n_faces),
        face_width_px=rng.uniform(60, 400, n_faces),
    )  # fmt: skip
    pictures = [_picture(rng) for _ in range(64)]
    faces["image"] = pd.Series([pictures[i % 64] for i in range(n_faces)], dtype=object)
    _data(paths, "faces", faces)
    _maps(paths, rng, face, cluster)
    p_fake = np.clip(0.5 + 0.3 * (faces["label"].to_numpy() - 0.5) + rng.normal(0, 0.2, n_faces), 0, 1)
    predicted = faces[["label", "source_group"]].assign(
        id=face, level="frame", space="efficientnet", model="logistic", split="cv", p_fake=p_fake, uncertain=False
    )
    _result(paths, "predictions", predicted)
    for name in ("params.yaml", "overrides.csv"):  # as the repository has them
        shutil.copy(Path(__file__).parents[1] / name, root / name)
    if vectors:
        centres = rng.normal(size=(N_CLUSTERS + 1, N_DIMS)).astype(np.float32)
        tables.write_shards(
            _embeddings(rng, face, cluster, centres), paths.table("embeddings"), name="embeddings", meta={}
        )


def _maps(paths: Paths, rng: np.random.Generator, face: NDArray[np.str_], cluster: NDArray[np.int32]) -> None:
    maps = []
    for n_dims, map_id in MAPS.items():
        centres = rng.uniform(-60, 60, (N_CLUSTERS + 1, n_dims))
        spread = np.where(cluster < 0, 20.0, 3.0)[:, None]
        at = centres[cluster] + rng.normal(size=(len(face), n_dims)) * spread
        maps.append(pd.DataFrame(at, columns=["x", "y", "z"][:n_dims]).assign(face_id=face, map_id=map_id))
    _result(paths, "map", pd.concat(maps, ignore_index=True))
    clusters = pd.DataFrame({"face_id": face, "cluster": cluster}).assign(
        clustering_id=CLUSTERING,
        membership=rng.uniform(0, 1, len(face)),
        outlier_score=rng.uniform(0, 1, len(face)),
        exemplar_rank=-1,
    )
    _result(paths, "clusters", clusters)


def _embeddings(
    rng: np.random.Generator, face: NDArray[np.str_], cluster: NDArray[np.int32], centres: NDArray[np.float32]
) -> Iterator[pa.Table]:
    for start in range(0, len(face), PER_SHARD):
        part = cluster[start : start + PER_SHARD]
        vectors = centres[part] + rng.standard_normal((len(part), N_DIMS), dtype=np.float32)
        flat = pa.array(vectors.ravel())
        column = pa.FixedSizeListArray.from_arrays(flat, N_DIMS).cast(pa.list_(pa.float32()))
        yield pa.table(
            [pa.array(face[start : start + PER_SHARD]), pa.array(["tf_efficientnet_lite0-pooled"] * len(part)), column],
            schema=TABLES["embeddings"].arrow,
        )


def _picture(rng: np.random.Generator) -> bytes:
    """A smooth texture, 64 x 64 px, as JPEG."""
    rough = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    rough.resize((64, 64), Image.Resampling.BICUBIC).save(buffer, "JPEG")
    return buffer.getvalue()


def _arrow(name: str, frame: pd.DataFrame) -> pa.Table:
    table = TABLES[name]
    missing: dict[str, Any] = {c: None for c in table.column_names if c not in frame.columns}
    return pa.Table.from_pandas(frame.assign(**missing)[table.column_names], schema=table.arrow, preserve_index=False)


def _data(paths: Paths, name: str, frame: pd.DataFrame) -> None:
    whole = _arrow(name, frame)
    parts = (whole.slice(start, PER_SHARD) for start in range(0, len(whole), PER_SHARD))
    tables.write_shards(parts, paths.table(name), name=name, meta={})


def _result(paths: Paths, name: str, frame: pd.DataFrame) -> None:
    tables.write_file(_arrow(name, frame), paths.table(name), name=name, meta={})
