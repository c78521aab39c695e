"""Stage ``train``: every classifier on every space, each group judged by a model that never saw it."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers import calibrate
from classifiers.aggregate import aggregate_p_fake
from classifiers.balance import balanced_rows
from classifiers.checks import IntArray
from classifiers.crossval import cross_validate, holdout
from classifiers.models import model_factory
from classifiers.persist import save_model
from classifiers.protocol import Classifier
from pipeline import model_card, tables
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages import features, training
from pipeline.stages.common import Run, Stage
from pipeline.stages.residuals import read_residuals

STAGE = Stage(
    "train",
    sections=("seed", "spaces", "device", "profile", "train"),
    inputs=("faces", "wplus", "reconstructions", "embeddings", "codes", "splits", "blended"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write ``predictions`` and ``models/``, one piece per space and model."""
    current = STAGE.run(params, paths)
    settings = current.params.train
    wanted = "no_fold" if settings.protocol == "cv" else "no_split"
    reason = tables.metadata(paths.table("splits")).get(wanted)
    pairs = [] if reason else list(product(settings.spaces or current.params.spaces, settings.models))
    start = training.warm_start(current, paths, pairs)
    given = {} if start is None else {"train.warm_start": start.card["card_sha256"]}
    meta = current.meta(given, reason=reason, protocol=settings.protocol)
    shards = Shards(paths.work("train", meta["fingerprint"]), name="predictions", meta=meta)
    models = shards.folder / "models"
    models.mkdir(exist_ok=True)
    counts = Counts("models")
    if reason:
        log.warning("train: no classifier is trained: %s", reason)
    loaded: features.Features | None = None
    for space, model in bar(pairs, total=len(pairs), what="train", unit="model"):
        key = f"{space}-{model}"
        if shards.done(key) and (models / key / "model.json").is_file():
            counts.resumed += 1
        else:
            if loaded is None or loaded.space != space:
                loaded = None  # the former space's vectors go before the next one's come
                loaded = features.load(paths, space, worked_out={"residual": read_residuals})
            try:
                rows = _train_one(current, paths, loaded, model, models / key, start)
            except ValueError as error:  # the classifiers' one sentence about what they were given
                raise UserError(f"train: {model} on {space}: {error}") from error
            shards.write(key, rows)
        counts.done += 1
    shutil.rmtree(paths.models, ignore_errors=True)
    paths.models.mkdir(parents=True)
    for space, model in pairs:  # the work folder may hold others, of former lists
        shutil.copytree(models / f"{space}-{model}", paths.model(space, model))
    shards.finish([f"{space}-{model}" for space, model in pairs], paths.table("predictions"))
    counts.log("train")


def _train_one(
    current: Run,
    paths: Paths,
    loaded: features.Features,
    name: str,
    folder: Path,
    start: training.WarmStart | None,
) -> list[dict[str, object]]:
    """Predict every group out of sample, then store the model for new material."""
    settings = current.params
    inside, placed = features.join_splits(loaded, paths)
    labels = inside.faces["label"].to_numpy(dtype=np.int64)
    groups = inside.faces["source_group"].to_numpy()
    videos = inside.faces["video_id"].to_numpy()
    balance, method = settings.train.balance, settings.train.calibration
    factory = model_factory(
        name,
        profile=settings.profile,
        seed=settings.seed,
        device=current.device,
        n_jobs=-1,
        blocks=inside.blocks,
        overrides={} if balance == "auto" else {"balanced": balance == "weights"},
    )
    factory, brought = training.prepare(factory, paths, inside, name, start)

    def choose(rows: IntArray) -> IntArray:
        equal = balance == "frames"
        return rows[balanced_rows(labels[rows], videos[rows], seed=settings.seed)] if equal else rows

    if settings.train.protocol == "cv":
        # Folds that leave a domain out leave videos out too (fold -1): they are neither judged nor trained on.
        judged = placed["fold"].to_numpy() >= 0
        inside, placed, labels, groups = inside.subset(judged), placed[judged], labels[judged], groups[judged]
        videos = videos[judged]
        raw = np.empty(len(labels))
        fold = placed["fold"].to_numpy()
        for part in cross_validate(inside.vectors, labels, groups, fold, model_factory=factory, choose_rows=choose):
            raw[part.rows] = part.p_fake
        split = np.full(len(labels), "cv", dtype=object)
        # The folds tell how good such a model is; the one kept for new material learns from everything.
        rows = choose(np.arange(len(labels)))
        matrix = inside.vectors if len(rows) == len(labels) else inside.vectors[rows]
        model = factory(0).fit(matrix, labels[rows], groups=groups[rows])
        share = _share_trained(model, labels[rows])
        done = calibrate.out_of_fold(raw, labels, groups, fold, method=method, share_trained=share)
    else:
        split = placed["split"].to_numpy()
        result = holdout(inside.vectors, labels, groups, split, model=factory(0), choose_rows=choose)
        model, raw = result.model, result.p_fake
        share = _share_trained(model, labels[choose(np.flatnonzero(split == "train"))])
        done = calibrate.on_validation(raw, labels, groups, split, method=method, share_trained=share)
    if done.kept.reason:
        log.warning("train: %s on %s: %s", name, inside.space, done.kept.reason)
    unseen = split != "train"
    answers = inside.faces[unseen].assign(split=split[unseen], p_fake=done.p_fake[unseen], p_fake_raw=raw[unseen])
    found = _rows(current, answers, inside.space, name)
    facts = model_card.facts(
        paths,
        found,
        space=inside.space,
        parts=[asdict(part) for part in inside.parts],
        protocol=settings.train.protocol,
        balance=balance,
        fingerprint=current.fingerprint({}),
        seed=settings.seed,
    )
    learned = np.ones(len(labels), dtype=bool) if settings.train.protocol == "cv" else split == "train"
    facts["videos"] = sorted({*training.video_marks(videos[learned]), *brought})
    save_model(model, folder, metadata=facts | {"calibration": done.kept.to_json()}, describe=model_card.text)
    return found


def _share_trained(model: Classifier, labels: NDArray[np.int64]) -> float | None:
    """Share of fakes that a model trained on classes as they are has built into P(fake); None for balanced ones."""
    balanced = getattr(getattr(model, "settings", None), "balanced", True)
    return None if balanced else float(model.info.get("share_fake_train", labels.mean()))


def _rows(current: Run, frames: pd.DataFrame, space: str, name: str) -> list[dict[str, object]]:
    """Frame rows and, aggregated, track and video rows."""
    low, high = current.params.train.uncertain_band
    columns = ["id", "level", "label", "source_group", "split", "p_fake", "p_fake_raw"]
    frames = frames.assign(track=frames["video_id"] + ":" + frames["track_id"].astype(str))
    levels = [frames.assign(id=frames["face_id"], level="frame")]
    for level, key in (("track", "track"), ("video", "video_id")):
        first = frames.drop_duplicates(key)
        of_level = first.assign(id=first[key], level=level)
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
