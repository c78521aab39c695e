"""Stage ``train``: every classifier on every space, each group judged by a model that never saw it."""

from __future__ import annotations

import logging
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.aggregate import aggregate_p_fake
from classifiers.crossval import cross_validate, holdout
from classifiers.models import model_factory
from classifiers.persist import save_model
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages import features, training
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "train",
    sections=("seed", "spaces", "device", "profile", "train"),
    inputs=("faces", "wplus", "embeddings", "codes", "splits", "blended"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write ``predictions`` and ``models/``, one piece per space and model."""
    current = STAGE.run(params, paths)
    settings = current.params.train
    wanted = "no_fold" if settings.protocol == "cv" else "no_split"
    reason = tables.metadata(paths.table("splits")).get(wanted)
    pairs = [] if reason else list(product(current.params.spaces, settings.models))
    start = training.warm_start(current, paths, pairs)
    given = {} if start is None else {"train.warm_start": start.card["card_sha256"]}
    meta = current.meta(given, reason=reason, protocol=settings.protocol)
    shards = Shards(paths.work("train", meta["fingerprint"]), name="predictions", meta=meta)
    models = shards.folder / "models"
    models.mkdir(exist_ok=True)
    counts = Counts("models")
    if reason:
        log.warning("train: no classifier is trained: %s", reason)
    for space, model in bar(pairs, total=len(pairs), what="train", unit="model"):
        key = f"{space}-{model}"
        if shards.done(key) and (models / key / "model.json").is_file():
            counts.resumed += 1
        else:
            shards.write(key, _train_one(current, paths, space, model, models / key, start))
        counts.done += 1
    shutil.rmtree(paths.models, ignore_errors=True)
    shutil.copytree(models, paths.models)
    shards.finish([f"{space}-{model}" for space, model in pairs], paths.table("predictions"))
    counts.log("train")


def _train_one(
    current: Run, paths: Paths, space: str, name: str, folder: Path, start: training.WarmStart | None
) -> list[dict[str, object]]:
    """Predict every group out of sample, then store the model for new material."""
    settings = current.params
    inside, placed = features.join_splits(features.load(paths, space), paths)
    labels = inside.faces["label"].to_numpy(dtype=np.int64)
    groups = inside.faces["source_group"].to_numpy()
    factory = model_factory(name, profile=settings.profile, seed=settings.seed, device=current.device, n_jobs=-1)
    factory, marks = training.prepare(factory, paths, inside, name, start)
    if settings.train.protocol == "cv":
        p_fake = np.empty(len(labels))
        for part in cross_validate(inside.vectors, labels, groups, placed["fold"], model_factory=factory):
            p_fake[part.rows] = part.p_fake
        split = np.full(len(labels), "cv", dtype=object)
        # The folds tell how good such a model is; the one kept for new material learns from everything.
        model = factory(0).fit(inside.vectors, labels, groups=groups)
    else:
        split = placed["split"].to_numpy()
        result = holdout(inside.vectors, labels, groups, split, model=factory(0))
        model, p_fake = result.model, result.p_fake
    metadata = {"space": space, "feature_id": inside.feature_id, "protocol": settings.train.protocol}
    learned = inside.faces["video_id"][placed["split"].eq("train") | (settings.train.protocol == "cv")]
    metadata["videos"] = sorted({*training.video_marks(learned.to_numpy()), *marks})
    save_model(model, folder, metadata=metadata)
    unseen = split != "train"
    return _rows(current, inside.faces[unseen], p_fake[unseen], split[unseen], space, name)


def _rows(
    current: Run, faces: pd.DataFrame, p_fake: NDArray[np.float64], split: NDArray[np.object_], space: str, name: str
) -> list[dict[str, object]]:
    """Frame rows and, aggregated, video rows."""
    low, high = current.params.train.uncertain_band
    columns = ["id", "level", "label", "source_group", "split", "p_fake"]
    frame = faces.assign(id=faces["face_id"], level="frame", split=split, p_fake=p_fake)
    video = frame.drop_duplicates("video_id").assign(id=lambda f: f["video_id"], level="video")
    video_ids, of_video = aggregate_p_fake(p_fake, frame["video_id"].tolist(), method=current.params.train.aggregate)
    video["p_fake"] = video["id"].map(dict(zip(video_ids.tolist(), of_video, strict=True)))
    both = pd.concat([frame[columns], video[columns]]).assign(space=space, model=name)
    both["label"] = both["label"].astype(int)
    both["uncertain"] = both["p_fake"].between(low, high)
    return [{str(name): value for name, value in row.items()} for row in both.to_dict("records")]
