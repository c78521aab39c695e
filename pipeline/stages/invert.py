"""Stage ``invert``: every usable face into a W+ code, judged on the full generator's image of that code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from embeddings.networks import load_features_backbone
from inversion.encoder import RidgeEncoder, load_encoder
from inversion.head import FastHead, load_head
from inversion.mobile import MobileGenerator, load_mobile
from inversion.optimise import InversionSettings, invert
from inversion.perceptual import PerceptualDistance
from inversion.pixels import to_uint8, to_unit
from inversion.quality import measure
from pipeline import perceptual, runinfo, tables, weights
from pipeline.errors import UserError
from pipeline.ingest.faces import encode_png
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.common import Run, Stage
from pipeline.stages.face_batches import FaceBatch, FaceBatches

STAGE = Stage(
    "invert", sections=("seed", "device", "profile", "spaces", "faces", "invert", "weights"), inputs=("faces",)
)
_WEIGHTS = ("mobile-ffhq-1024", "mobile-head", "mobile-encoder", "tf_efficientnet_lite0")


@dataclass(frozen=True)
class Inverter:
    """Everything that turns a face into a code, and the exact generator that judges it."""

    generator: MobileGenerator
    exact: MobileGenerator
    head: FastHead
    encoder: RidgeEncoder
    perceptual: PerceptualDistance
    settings: InversionSettings
    inverter_id: str


def run(params: Params, paths: Paths) -> None:
    """Write the ``wplus`` and ``reconstructions`` tables, one piece per batch of faces."""
    current = STAGE.run(params, paths)
    if "wplus" not in current.params.spaces:
        for name in ("wplus", "reconstructions"):
            tables.write_rows([], paths.table(name), name=name, meta=current.meta())
        return
    if current.params.faces.size_px != 256:
        raise UserError(
            f"invert: faces are {current.params.faces.size_px} px, the generator is compared at 256 px; "
            "set faces.size_px: 256, or leave 'wplus' out of spaces"
        )
    chosen = perceptual.choose(
        current.params.invert.perceptual, allow_noncommercial=current.params.weights.allow_noncommercial
    )
    hashes = {name: weights.sha256(name) for name in _WEIGHTS} | {chosen.name: chosen.sha256}
    inverter = _inverter(current, chosen, hashes)
    meta = current.meta(hashes, inverter_id=inverter.inverter_id, perceptual=inverter.perceptual.name)
    folder = paths.work("invert", meta["fingerprint"])
    codes = Shards(folder, name="wplus", meta=meta)
    images = Shards(folder / "images", name="reconstructions", meta=meta)
    batches = FaceBatches(paths.table("faces"), batch_size=current.params.invert.batch_size)
    counts = Counts("faces")
    keys = []
    for batch in bar(batches, total=len(batches), what="invert", unit="batch"):
        if codes.done(batch.key) and images.done(batch.key):
            counts.resumed += len(batch.face_ids)
        else:
            code_rows, image_rows = _work(inverter, batch, seed=current.params.seed, device=current.device)
            images.write(batch.key, image_rows)
            codes.write(batch.key, code_rows)
        keys.append(batch.key)
    images.copy_to(keys, paths.table("reconstructions"))
    codes.finish(keys, paths.table("wplus"))
    for row in tables.read(paths.table("wplus"), "wplus", columns=["status", "reason"]).to_pylist():
        if row["status"] == "ok":
            counts.done += 1
        else:
            counts.trouble(row["status"], row["reason"])
    counts.log("invert")


def _inverter(current: Run, chosen: perceptual.PerceptualChoice, hashes: Mapping[str, str]) -> Inverter:
    """Load and verify all networks; the id names generator, encoder, steps and loss."""
    wanted = current.params.invert
    allow = current.params.weights.allow_noncommercial
    files = {name: weights.require(name, allow_noncommercial=allow) for name in _WEIGHTS}
    device = current.device
    exact = load_mobile(files["mobile-ffhq-1024"], device=device)
    precision = current.precision(wanted.precision)
    half = precision == "bf16"
    generator = load_mobile(files["mobile-ffhq-1024"], device=device, dtype=torch.bfloat16) if half else exact
    backbone = load_features_backbone("tf_efficientnet_lite0", files["tf_efficientnet_lite0"], device=device)
    distance = chosen.load(device=device)
    effort = current.params.effort("invert")
    settings = InversionSettings(
        steps=effort.steps,
        learning_rate=effort.learning_rate,
        correct_every=effort.correct_every,
        autocast_bf16=half,
    )
    recipe = runinfo.digest([asdict(settings), list(hashes.values())], n_chars=8)
    return Inverter(
        generator=generator,
        exact=exact,
        head=load_head(files["mobile-head"], device=device, generator_sha256=exact.weights_sha256),
        encoder=load_encoder(
            files["mobile-encoder"], backbone=backbone, device=device, generator_sha256=exact.weights_sha256
        ),
        perceptual=distance,
        settings=settings,
        inverter_id=f"mobile-ridge-{settings.steps}-{distance.name}-{precision}-{recipe}",
    )


def _work(
    inverter: Inverter, batch: FaceBatch, *, seed: int, device: str
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
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
    return code_rows, image_rows
