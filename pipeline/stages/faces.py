"""Stage ``faces``: detect, track and align faces; every sampled frame gets a row."""

from __future__ import annotations

from typing import Any

from pipeline import tables, weights, workers
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.common import Run, Stage
from pipeline.stages.face_work import Task, work

STAGE = Stage(
    "faces",
    sections=("seed", "device", "workers", "data", "sampling", "faces", "weights"),
    inputs=("videos",),
)


def run(params: Params, paths: Paths) -> None:
    """Write the ``faces`` table, one task and one piece per video."""
    current = STAGE.run(params, paths)
    settings = current.params
    if settings.faces.detector == "mtcnn" and settings.faces.crop != "whole":
        weights.require("mtcnn", allow_noncommercial=settings.weights.allow_noncommercial)
    meta = current.meta({"mtcnn": weights.sha256("mtcnn")})
    videos = tables.read(paths.table("videos"), "videos").to_pylist()
    usable = sorted((v for v in videos if v["status"] == "ok"), key=lambda v: v["video_id"])
    if not usable:
        raise UserError("no readable video in the catalogue: see status and reason in data/videos")
    shards = Shards(paths.work("faces", meta["fingerprint"]), name="faces", meta=meta)
    todo = [v for v in usable if not shards.done(v["video_id"])]
    counts = Counts("frames with a face", resumed=len(usable) - len(todo))
    results = workers.run_tasks(
        work,
        [_task(current, paths, shards, video) for video in todo],
        n_workers=settings.workers.n_workers,
        scheduler=settings.workers.scheduler,
        on_death=_stop,
    )
    for _ in bar(results, total=len(usable), initial=counts.resumed, what="faces", unit="video"):
        pass
    shards.finish([v["video_id"] for v in usable], paths.table("faces"))
    _count(paths, counts)


def _task(current: Run, paths: Paths, shards: Shards, video: dict[str, Any]) -> Task:
    settings = current.params
    return Task(
        path=(paths.root / settings.data.root / video["rel_path"]).resolve(),
        video=video,
        shards=shards,
        sampling=settings.sampling,
        faces=settings.faces,
        seed=settings.seed,
        device=current.device,
    )


def _stop(task: Task, reason: str) -> str:
    raise UserError(f"faces: {task.path}: {reason}; take the file out of data.root or give workers more memory")


def _count(paths: Paths, counts: Counts) -> None:
    for row in tables.read(paths.table("faces"), "faces", columns=["status", "reason"]).to_pylist():
        if row["status"] == "ok":
            counts.done += 1
        else:
            counts.trouble(row["status"], row["reason"])
    counts.log("faces")
