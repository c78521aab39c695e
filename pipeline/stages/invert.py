"""Stage ``invert``: every usable face into a W+ code, judged on the full generator's image of that code."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pipeline import quality_gate, tables, workers
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.common import Run
from pipeline.stages.face_batches import FaceBatches
from pipeline.stages.invert_work import BATCH_SIZES, STAGE, Pieces, Task, give_up, load, work

__all__ = ["STAGE", "run"]

log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the tables ``wplus``, ``reconstructions`` and ``curves``, a piece of each for a batch of faces."""
    current = STAGE.run(params, paths)
    wanted = current.params.invert.batch_size
    size = BATCH_SIZES[current.device] if wanted == "auto" else wanted
    batches = FaceBatches(paths.table("faces"), batch_size=size)
    if "wplus" not in current.params.spaces or batches.none:
        for name in ("wplus", "reconstructions", "curves", "wplus_blended"):
            tables.write_rows([], paths.table(name), name=name, meta=current.meta(reason=batches.none))
        return
    if current.params.faces.size_px != 256:
        raise UserError(
            f"invert: faces are {current.params.faces.size_px} px, the generator is compared at 256 px; "
            "set faces.size_px: 256, or leave 'wplus' out of spaces"
        )
    inverter = load(current).inverter
    metric = inverter.perceptual.name
    thresholds = current.params.invert.poor_above
    above = thresholds.get(metric)
    if thresholds and above is None:
        log.warning("invert: invert.poor_above has no threshold for %s, so no face is marked poor by it", metric)
    meta = current.meta(inverter.weight_hashes, inverter_id=inverter.inverter_id, perceptual=metric, poor_above=above)
    folder = paths.work("invert", meta["fingerprint"])
    task = partial(
        Task,
        params=params,
        paths=Paths(paths.root.resolve()),  # a Dask worker may run in another folder
        inverter_id=inverter.inverter_id,
        n_channels=inverter.generator.n_channels,
    )
    counts = Counts("faces")
    pieces = _pieces(folder, "wplus", meta)
    keys = _invert(current, batches, pieces, task, counts)
    pieces.images.copy_to(keys, paths.table("reconstructions"))
    pieces.curves.copy_to(keys, paths.table("curves"))
    mark = partial(quality_gate.mark_poor, metric=metric, above=above)
    # Of self-blended faces, which only train, the codes alone are kept. Their ids name all that makes them, so their
    # pieces may lie under the same fingerprint.
    blended = _pieces(folder / "blended", "wplus_blended", meta)
    more = FaceBatches(paths.table("blended"), batch_size=size, blended=True)
    blended.codes.copy_to(_invert(current, more, blended, task, counts), paths.table("wplus_blended"), mark=mark)
    pieces.codes.finish(keys, paths.table("wplus"), mark=mark)
    for row in tables.read(paths.table("wplus"), "wplus", columns=["status", "reason"]).to_pylist():
        if row["status"] == "ok":
            counts.done += 1
        else:
            counts.trouble(row["status"], quality_gate.kind(row["reason"]))
    counts.log("invert")


def _pieces(folder: Path, codes: str, meta: dict[str, Any]) -> Pieces:
    return Pieces(
        codes=Shards(folder, name=codes, meta=meta),
        images=Shards(folder / "images", name="reconstructions", meta=meta),
        curves=Shards(folder / "curves", name="curves", meta=meta),
    )


def _invert(current: Run, batches: FaceBatches, pieces: Pieces, task: Callable[..., Task], counts: Counts) -> list[str]:
    """Finish the pieces of all batches; their keys."""
    keys = []
    done = set()
    for batch in batches.without_images():
        keys.append(batch.key)
        if pieces.finished(batch.key):
            done.add(batch.key)
            counts.resumed += len(batch.face_ids)
    results = workers.run_tasks(
        work,
        (task(pieces=pieces, batch=batch) for batch in batches if batch.key not in done),
        n_workers=workers.at_most_one_per_gpu(current.params.workers.n_workers, device=current.device),
        scheduler=current.params.workers.scheduler,
        on_death=give_up,
    )
    for _ in bar(results, total=len(keys), initial=len(done), what="invert", unit="batch"):
        pass
    return keys
