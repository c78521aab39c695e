"""The networks behind the stage ``invert``, loaded and verified as the settings say."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

from inversion.generator import Generator
from inversion.optimise import Encoder, Head, InversionSettings
from inversion.perceptual import PerceptualDistance
from inversion.schedule import effort
from pipeline import perceptual, runinfo
from pipeline.errors import UserError
from pipeline.networks import load_networks
from pipeline.stages.common import Run


@dataclass(frozen=True)
class Inverter:
    """Everything that turns a face into a code, and the exact generator that judges it.

    Without an `encoder` a search begins at the mean code; without a `head` each step goes through the whole generator.
    """

    generator: Generator
    exact: Generator
    head: Head | None
    coarse: Head | None
    encoder: Encoder | None
    perceptual: PerceptualDistance
    settings: InversionSettings
    inverter_id: str
    weight_hashes: dict[str, str]


def load_inverter(current: Run) -> Inverter:
    """Load and verify all networks; the id names generator, encoder, steps and loss."""
    wanted = current.params.invert
    allow = current.params.weights.allow_noncommercial
    chosen = perceptual.choose(wanted.perceptual, allow_noncommercial=allow)
    device = current.device
    precision = current.precision(wanted.precision)
    half = precision == "bf16"
    networks = load_networks(wanted, device=device, bf16=half, allow_noncommercial=allow)
    if wanted.in_domain_weight > 0 and networks.encoder is None:
        raise UserError(
            f"invert.in_domain_weight is {wanted.in_domain_weight:g}, but there is no encoder to read codes off images "
            f"(invert.encoder: {wanted.encoder}, generator {wanted.generator}): set it to 0 or bring an encoder"
        )
    hashes = networks.hashes | {chosen.name: chosen.sha256}
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
    made_by = f"{wanted.generator}-{networks.encoder_name}-{settings.steps}"
    return Inverter(
        generator=networks.generator,
        exact=networks.exact,
        head=networks.head,
        coarse=networks.coarse,
        encoder=networks.encoder,
        perceptual=distance,
        settings=settings,
        inverter_id=f"{made_by}-{distance.name}-{precision}-{recipe}",
        weight_hashes=hashes,
    )
