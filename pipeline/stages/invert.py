"""Stage ``invert``: every usable face into a W+ code, judged on the full generator's image of that code."""

from __future__ import annotations

from functools import partial
from typing import Any

from inversion.optimise import invert
from inversion.pixels import to_uint8, to_unit
from inversion.quality import measure
from pipeline import quality_gate, tables
from pipeline.curves import curve_rows
from pipeline.errors import UserError
from pipeline.ingest.faces import encode_png
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.common import Stage
from pipeline.stages.face_batches import FaceBatch, FaceBatches
from pipeline.stages.inverter import Inverter, load_inverter

STAGE = Stage(
    "invert", sections=("seed", "device", "profile", "spaces", "faces", "invert", "weights"), inputs=("faces",)
)


def run(params: Params, paths: Paths) -> None:
    """Write the ``wplus``, ``reconstructions`` and ``curves`` tables, one piece per batch of faces."""
    current = STAGE.run(params, paths)
    batches = FaceBatches(paths.table("faces"), batch_size=current.params.invert.batch_size)
    if "wplus" not in current.params.spaces or batches.none:
        for name in ("wplus", "reconstructions", "curves"):
            tables.write_rows([], paths.table(name), name=name, meta=current.meta(reason=batches.none))
        return
    if current.params.faces.size_px != 256:
        raise UserError(
            f"invert: faces are {current.params.faces.size_px} px, the generator is compared at 256 px; "
            "set faces.size_px: 256, or leave 'wplus' out of spaces"
        )
    inverter = load_inverter(current)
    metric = inverter.perceptual.name
    above = current.params.invert.poor_above.get(metric)
    meta = current.meta(inverter.weight_hashes, inverter_id=inverter.inverter_id, perceptual=metric, poor_above=above)
    folder = paths.work("invert", meta["fingerprint"])
    codes = Shards(folder, name="wplus", meta=meta)
    images = Shards(folder / "images", name="reconstructions", meta=meta)
    curves = Shards(folder / "curves", name="curves", meta=meta)
    counts = Counts("faces")
    keys = []
    for batch in bar(batches, total=len(batches), what="invert", unit="batch"):
        if all(pieces.done(batch.key) for pieces in (codes, images, curves)):
            counts.resumed += len(batch.face_ids)
        else:
            code_rows, image_rows, trace_rows = _work(inverter, batch, seed=current.params.seed, device=current.device)
            curves.write(batch.key, trace_rows)
            images.write(batch.key, image_rows)
            codes.write(batch.key, code_rows)
        keys.append(batch.key)
    images.copy_to(keys, paths.table("reconstructions"))
    curves.copy_to(keys, paths.table("curves"))
    codes.finish(keys, paths.table("wplus"), mark=partial(quality_gate.mark_poor, metric=metric, above=above))
    for row in tables.read(paths.table("wplus"), "wplus", columns=["status", "reason"]).to_pylist():
        if row["status"] == "ok":
            counts.done += 1
        else:
            counts.trouble(row["status"], quality_gate.kind(row["reason"]))
    counts.log("invert")


def _work(
    inverter: Inverter, batch: FaceBatch, *, seed: int, device: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Invert one batch; measure the codes as they are stored, on the exact generator's images."""
    target = to_unit(batch.images()).to(device)
    found = invert(
        target,
        generator=inverter.generator,
        head=inverter.head,
        encoder=inverter.encoder,
        perceptual=inverter.perceptual,
        settings=inverter.settings,
    )
    quality = measure(target, found.wplus, generator=inverter.exact, perceptual=inverter.perceptual)
    codes = found.wplus.cpu()
    code_rows: list[dict[str, Any]] = []
    image_rows: list[dict[str, Any]] = []
    for i, face in enumerate(batch.face_ids):
        shared = {"face_id": face, "inverter_id": inverter.inverter_id}
        code_rows.append(
            shared
            | {
                "wplus": codes[i].flatten().numpy(),
                "n_channels": codes.shape[1],
                "steps_run": int(found.best_step[i]),
                "seed": seed,
                "lpips": float(quality.perceptual[i]),
                "mse_unit": float(quality.mse_unit[i]),
                "psnr_db": float(quality.psnr_db[i]),
                "w_distance_std": float(quality.w_distance_std[i]),
                "status": "poor" if found.diverged[i] else "ok",
                "reason": "the search diverged; this is its best code until then" if found.diverged[i] else None,
            }
        )
        image_rows.append(shared | {"image": encode_png(to_uint8(quality.image[i]))})
    trace = found.trace
    course = curve_rows(
        batch.face_ids,
        inverter.inverter_id,
        step=trace.step,
        seconds_per_face=trace.seconds_per_face,
        perceptual=trace.perceptual,
        mse_unit=trace.mse_unit,
    )
    return code_rows, image_rows, course
