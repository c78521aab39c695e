"""Stage ``learning``: learning curves, metrics against the number of source groups trained on."""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict

import numpy as np

from classifiers.checks import ConstantError, check_varies
from classifiers.learning import LearningSettings, learning_curve, plan_draws, train_draws
from classifiers.models import model_factory, uses_device
from classifiers.splits import SplitError
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.shards import Shards
from pipeline.stages import features
from pipeline.stages.blended_items import with_blended
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "learning",
    sections=("seed", "spaces", "device", "profile", "train.aggregate", "learning"),
    inputs=("faces", "overrides", "wplus", "embeddings", "codes", "splits", "blended"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``learning`` table, one piece per space, and the data behind its plot."""
    current = STAGE.run(params, paths)
    meta = current.meta(on_device=_on_device(current))
    shards = Shards(paths.work("learning", meta["fingerprint"]), name="learning", meta=meta)
    skipped = []
    keys = []
    for space in current.params.spaces:
        if not shards.done(space):
            try:
                shards.write(space, _curve(current, paths, space))
            except (SplitError, ConstantError) as error:
                skipped.append(f"{space}: {error}")
                log.warning("learning: no curve for %s: %s", space, error)
                continue
        keys.append(space)
    shards.meta["skipped"] = skipped
    shards.finish(keys, paths.table("learning"))
    _write_plot(paths)
    log.info("learning: %d of %d spaces", len(keys), len(current.params.spaces))


def _on_device(current: Run) -> bool:
    return uses_device(current.params.learning.model, current.params.profile)


def _curve(current: Run, paths: Paths, space: str) -> list[dict[str, object]]:
    """All points of one space; SplitError or ConstantError where the material does not allow a curve."""
    settings, effort = current.params.learning, current.params.effort("learning")
    inside = features.by_unit(features.labelled(features.load(paths, space), paths), paths)
    if inside.faces.empty:
        raise SplitError("no face with a vector has a label")
    check_varies(inside.vectors)
    y = inside.faces["label"].to_numpy(dtype=np.int64)
    groups, videos = inside.faces["source_group"].to_numpy(), inside.faces["video_id"].to_numpy()
    seed = current.params.seed
    plan = plan_draws(
        y,
        groups,
        settings=LearningSettings(
            sizes=effort.sizes, n_draws=effort.n_draws, share_held_out=settings.held_out, seed=seed
        ),
    )
    factory = model_factory(
        settings.model,
        profile=current.params.profile,
        seed=seed,
        device=current.device if _on_device(current) else "cpu",
        n_jobs=-1,
        blocks=inside.blocks,
    )
    factory = with_blended(factory, paths, inside)
    models = train_draws(inside.vectors, y, groups, plan, model_factory=factory)
    trained = list(bar(models, total=len(plan.training), what=f"learning {space}", unit="model"))
    points = learning_curve(
        trained, plan, y, groups, videos, aggregate=current.params.one("train.aggregate"), seed=seed
    )
    return [
        {"space": space, "model": settings.model, "n_train_items": point.n_items}
        | {k: None if v != v else v for k, v in asdict(point).items() if k != "n_items"}  # NaN is not itself
        for point in points
    ]


def _write_plot(paths: Paths) -> None:
    """A file per space, which `dvc plots` draws as a line each."""
    rows = tables.read_pandas(paths.table("learning"), "learning")
    folder = paths.plots / "learning"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for space, part in rows[rows["level"] == "frame"].groupby("space"):
        wide = part.pivot_table(index="n_groups", columns="metric", values="value").reset_index()
        wide.to_csv(folder / f"{space}.csv", index=False)
