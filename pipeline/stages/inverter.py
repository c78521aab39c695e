"""The networks behind the stage ``invert``, loaded and verified as the settings say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import torch

from embeddings.networks import load_features_backbone
from inversion.encoder import LinearEncoder, load_encoder
from inversion.head import Sketch, load_head
from inversion.mobile import MobileGenerator, load_mobile
from inversion.perceptual import PerceptualDistance
from inversion.schedule import InversionSettings, effort
from pipeline import perceptual, runinfo, weights
from pipeline.stages.common import Run

_WEIGHTS = ("mobile-ffhq-1024", "mobile-head", "mobile-encoder", "tf_efficientnet_lite0")


@dataclass(frozen=True)
class Inverter:
    """Everything that turns a face into a code, and the exact generator that judges it."""

    generator: MobileGenerator
    exact: MobileGenerator
    head: Sketch
    encoder: LinearEncoder
    perceptual: PerceptualDistance
    settings: InversionSettings
    inverter_id: str
    weight_hashes: dict[str, str]


def load_inverter(current: Run) -> Inverter:
    """Load and verify all networks; the id names generator, encoder, steps and loss."""
    wanted = current.params.invert
    allow = current.params.weights.allow_noncommercial
    chosen = perceptual.choose(wanted.perceptual, allow_noncommercial=allow)
    hashes = {name: weights.sha256(name) for name in _WEIGHTS} | {chosen.name: chosen.sha256}
    files = {name: weights.require(name, allow_noncommercial=allow) for name in _WEIGHTS}
    device = current.device
    exact = load_mobile(files["mobile-ffhq-1024"], device=device)
    precision = current.precision(wanted.precision)
    half = precision == "bf16"
    generator = load_mobile(files["mobile-ffhq-1024"], device=device, dtype=torch.bfloat16) if half else exact
    backbone = load_features_backbone("tf_efficientnet_lite0", files["tf_efficientnet_lite0"], device=device)
    distance = chosen.load(device=device)
    told = current.params.effort("invert")
    settings = replace(
        effort(told.effort, steps=told.steps),
        latent=wanted.latent,
        mse_weight=wanted.mse_weight,
        prior_weight=wanted.prior_weight,
        in_domain_weight=wanted.in_domain_weight,
        code_noise=wanted.code_noise,
        seed=current.params.seed,
        autocast_bf16=half,
    )
    recipe = runinfo.digest([asdict(settings), list(hashes.values())], n_chars=8)
    return Inverter(
        generator=generator,
        exact=exact,
        head=Sketch(generator, load_head(files["mobile-head"], device=device, generator_sha256=exact.weights_sha256)),
        encoder=load_encoder(
            files["mobile-encoder"], backbone=backbone, device=device, generator_sha256=exact.weights_sha256
        ),
        perceptual=distance,
        settings=settings,
        inverter_id=f"mobile-ridge-{settings.steps}-{distance.name}-{precision}-{recipe}",
        weight_hashes=hashes,
    )
