"""Stage ``invert``: every usable face into a W+ code, judged on the full generator's image of that code."""

from __future__ import annotations

from functools import partial

from pipeline import tables, workers
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.face_batches import FaceBatches
from pipeline.stages.invert_work import STAGE, Task, finished, give_up, load, work

__all__ = ["STAGE", "run"]


def run(params: Params, paths: Paths) -> None:
    """Write the ``wplus`` and ``reconstructions`` tables, one task and one piece each per batch of faces."""
    current = STAGE.run(params, paths)
    batches = FaceBatches(paths.table("faces"), batch_size=current.params.invert.batch_size)
    if "wplus" not in current.params.spaces or batches.none:
        for name in ("wplus", "reconstructions"):
            tables.write_rows([], paths.table(name), name=name, meta=current.meta(reason=batches.none))
        return
    if current.params.faces.size_px != 256:
        raise UserError(
            f"invert: faces are {current.params.faces.size_px} px, the generator is compared at 256 px; "
            "set faces.size_px: 256, or leave 'wplus' out of spaces"
        )
    inverter = load(current).inverter
    meta = current.meta(inverter.weight_hashes, inverter_id=inverter.inverter_id, perceptual=inverter.perceptual.name)
    folder = paths.work("invert", meta["fingerprint"])
    codes = Shards(folder, name="wplus", meta=meta)
    images = Shards(folder / "images", name="reconstructions", meta=meta)
    counts = Counts("faces")
    keys = []
    done = set()
    for batch in batches.without_images():
        keys.append(batch.key)
        if finished(codes, images, batch.key):
            done.add(batch.key)
            counts.resumed += len(batch.face_ids)
    task = partial(
        Task,
        params=params,
        paths=Paths(paths.root.resolve()),  # a Dask worker may run in another folder
        codes=codes,
        images=images,
        inverter_id=inverter.inverter_id,
        n_channels=inverter.generator.n_channels,
    )
    results = workers.run_tasks(
        work,
        (task(batch=batch) for batch in batches if batch.key not in done),
        n_workers=workers.at_most_one_per_gpu(current.params.workers.n_workers, device=current.device),
        scheduler=current.params.workers.scheduler,
        on_death=give_up,
    )
    for _ in bar(results, total=len(keys), initial=len(done), what="invert", unit="batch"):
        pass
    images.copy_to(keys, paths.table("reconstructions"))
    codes.finish(keys, paths.table("wplus"))
    for row in tables.read(paths.table("wplus"), "wplus", columns=["status", "reason"]).to_pylist():
        if row["status"] == "ok":
            counts.done += 1
        else:
            counts.trouble(row["status"], row["reason"])
    counts.log("invert")
