"""Stage ``train``: every classifier on every space, each group judged by a model that never saw it."""

from __future__ import annotations

import logging
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers import calibrate
from classifiers.aggregate import aggregate_p_fake
from classifiers.crossval import cross_validate, holdout
from classifiers.models import model_factory
from classifiers.persist import save_model
from classifiers.protocol import Classifier
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages import features
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "train",
    sections=("seed", "spaces", "device", "profile", "train"),
    inputs=("faces", "wplus", "embeddings", "codes", "splits"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write ``predictions`` and ``models/``, one piece per space and model."""
    current = STAGE.run(params, paths)
    settings = current.params.train
    wanted = "no_fold" if settings.protocol == "cv" else "no_split"
    reason = tables.metadata(paths.table("splits")).get(wanted)
    meta = current.meta(reason=reason, protocol=settings.protocol)
    shards = Shards(paths.work("train", meta["fingerprint"]), name="predictions", meta=meta)
    models = shards.folder / "models"
    models.mkdir(exist_ok=True)
    counts = Counts("models")
    pairs = [] if reason else list(product(current.params.spaces, settings.models))
    if reason:
        log.warning("train: no classifier is trained: %s", reason)
    for space, model in bar(pairs, total=len(pairs), what="train", unit="model"):
        key = f"{space}-{model}"
        if shards.done(key) and (models / key / "model.json").is_file():
            counts.resumed += 1
        else:
            shards.write(key, _train_one(current, paths, space, model, models / key))
        counts.done += 1
    shutil.rmtree(paths.models, ignore_errors=True)
    shutil.copytree(models, paths.models)
    shards.finish([f"{space}-{model}" for space, model in pairs], paths.table("predictions"))
    counts.log("train")


def _train_one(current: Run, paths: Paths, space: str, name: str, folder: Path) -> list[dict[str, object]]:
    """Predict every group out of sample, then store the model for new material."""
    settings = current.params
    inside, placed = features.join_splits(features.load(paths, space), paths)
    labels = inside.faces["label"].to_numpy(dtype=np.int64)
    groups = inside.faces["source_group"].to_numpy()
    factory = model_factory(name, profile=settings.profile, seed=settings.seed, device=current.device, n_jobs=-1)
    method = settings.train.calibration
    if settings.train.protocol == "cv":
        raw = np.empty(len(labels))
        for part in cross_validate(inside.vectors, labels, groups, placed["fold"], model_factory=factory):
            raw[part.rows] = part.p_fake
        split = np.full(len(labels), "cv", dtype=object)
        # The folds tell how good such a model is; the one kept for new material learns from everything.
        model = factory(0).fit(inside.vectors, labels, groups=groups)
        share = _share_trained(model, labels)
        done = calibrate.out_of_fold(raw, labels, groups, placed["fold"], method=method, share_trained=share)
    else:
        split = placed["split"].to_numpy()
        result = holdout(inside.vectors, labels, groups, split, model=factory(0))
        model, raw = result.model, result.p_fake
        share = _share_trained(model, labels[split == "train"])
        done = calibrate.on_validation(raw, labels, groups, split, method=method, share_trained=share)
    if done.kept.reason:
        log.warning("train: %s on %s: %s", name, space, done.kept.reason)
    metadata = {"space": space, "feature_id": inside.feature_id, "protocol": settings.train.protocol}
    save_model(model, folder, metadata=metadata | {"calibration": done.kept.to_json()})
    unseen = split != "train"
    answers = inside.faces[unseen].assign(split=split[unseen], p_fake=done.p_fake[unseen], p_fake_raw=raw[unseen])
    return _rows(current, answers, space, name)


def _share_trained(model: Classifier, labels: NDArray[np.int64]) -> float | None:
    """Share of fakes that a model trained on classes as they are has built into P(fake); None for balanced ones."""
    balanced = getattr(getattr(model, "settings", None), "balanced", True)
    return None if balanced else float(labels.mean())


def _rows(current: Run, frames: pd.DataFrame, space: str, name: str) -> list[dict[str, object]]:
    """Frame rows and, aggregated, track and video rows."""
    low, high = current.params.train.uncertain_band
    columns = ["id", "level", "label", "source_group", "split", "p_fake", "p_fake_raw"]
    frames = frames.assign(track=frames["video_id"] + ":" + frames["track_id"].astype(str))
    levels = [frames.assign(id=frames["face_id"], level="frame")]
    for level, key in (("track", "track"), ("video", "video_id")):
        of_level = frames.drop_duplicates(key)
        of_level = of_level.assign(id=of_level[key], level=level)
        for column in ("p_fake", "p_fake_raw"):
            ids, values = aggregate_p_fake(
                frames[column].to_numpy(), frames[key].tolist(), method=current.params.train.aggregate
            )
            of_level[column] = of_level["id"].map(dict(zip(ids.tolist(), values.tolist(), strict=True)))
        levels.append(of_level)
    every = pd.concat([part[columns] for part in levels]).assign(space=space, model=name)
    every["label"] = every["label"].astype(int)
    every["uncertain"] = every["p_fake"].between(low, high)
    return [{str(name): value for name, value in row.items()} for row in every.to_dict("records")]
