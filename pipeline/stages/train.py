"""Stage ``train``: every classifier on every space, each group judged by a model that never saw it."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict
from itertools import product
from pathlib import Path

from classifiers.checks import ConstantError
from classifiers.models import model_factory
from classifiers.persist import save_model
from pipeline import model_card, tables
from pipeline.answers import prediction_rows
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages import features, training
from pipeline.stages.common import Run, Stage
from pipeline.stages.judging import judge
from pipeline.stages.residuals import read_residuals

STAGE = Stage(
    "train",
    sections=("seed", "spaces", "device", "profile", "train"),
    inputs=("faces", "overrides", "wplus", "reconstructions", "embeddings", "codes", "splits", "blended"),
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
    not_trained: dict[str, str] = {}
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
            except ConstantError as error:  # of this space alone: the others are trained
                log.warning("train: %s on %s: not trained: %s", model, space, error)
                not_trained[key] = str(error)
                continue
            except ValueError as error:  # the classifiers' one sentence about what they were given
                raise UserError(f"train: {model} on {space}: {error}") from error
            shards.write(key, rows)
        counts.done += 1
    shutil.rmtree(paths.models, ignore_errors=True)
    paths.models.mkdir(parents=True)
    trained = [pair for pair in pairs if "-".join(pair) not in not_trained]
    for space, model in trained:  # the work folder may hold others, of former lists
        shutil.copytree(models / f"{space}-{model}", paths.model(space, model))
    none = next(iter(not_trained.values()), None) if not trained else None
    left_out = [[*pair, not_trained["-".join(pair)]] for pair in pairs if pair not in trained]
    shards.meta |= {"reason": reason or none, "not_trained": left_out}
    shards.finish(["-".join(pair) for pair in trained], paths.table("predictions"))
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
    balance = settings.train.balance
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
    done = judge(inside, placed, factory, settings.train, seed=settings.seed)
    if done.kept.reason:
        log.warning("train: %s on %s: %s", name, inside.space, done.kept.reason)
    found = prediction_rows(
        done.answers,
        space=inside.space,
        model=name,
        aggregate=settings.train.aggregate,
        uncertain_band=settings.train.uncertain_band,
    )
    facts = model_card.facts(
        paths,
        found,
        space=inside.space,
        parts=[asdict(part) for part in inside.parts],
        protocol=settings.train.protocol,
        balance=balance,
        fingerprint=current.fingerprint({}),
        seed=settings.seed,
        start=None if start is None else start.card_for(inside, name),
    )
    facts |= {"videos": sorted({*training.video_marks(done.learned), *brought}), "calibration": done.kept.to_json()}
    save_model(done.model, folder, metadata=facts, describe=model_card.text)
    return found
