"""Generator and first code of the stage ``invert``, as ``invert.generator`` and ``invert.encoder`` say."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import torch

from inversion.e4e import E4eEncoder, E4eWeightsError, check_mean, load_e4e
from inversion.encoder import load_encoder
from inversion.generator import Generator
from inversion.head import Sketch, load_head
from inversion.mobile import load_mobile
from inversion.optimise import Encoder, Head
from inversion.stylegan2 import load_stylegan2
from inversion.stylegan2_state import WeightsError
from pipeline import weights
from pipeline.converted import require_converted
from pipeline.errors import UserError
from pipeline.params import ENCODER_OF, Invert

E4E = "e4e-ffhq-encode"
#: Registered name -> side of the images.
_STYLEGAN2_PX = {f"stylegan2-ffhq-{px}": px for px in (256, 512, 1024)}
log = logging.getLogger("latentforensics")


@dataclass(frozen=True)
class Networks:
    """What draws faces and where a search begins.

    Attributes
    ----------
    generator
        For the search, maybe in 16-bit numbers.
    exact
        The same network in ``float32``, to judge codes by.
    head
        Draws 256 px images of codes, cheaper to differentiate than the generator's; None: every step goes through it.
    coarse
        Draws 128 px images of codes, cheaper still.
    encoder
        Gives the first code; None: the mean code.
    encoder_name
        For identifiers: ``own``, ``e4e`` or ``mean``.
    hashes
        Registered set -> SHA-256.
    """

    generator: Generator
    exact: Generator
    head: Head | None
    coarse: Head | None
    encoder: Encoder | None
    encoder_name: str
    hashes: dict[str, str]


def needed_sets(wanted: Invert) -> list[str]:
    """Registered sets that the settings lead to, the generator's first."""
    if wanted.generator == "mobile":
        return [
            "mobile-ffhq-1024",
            "mobile-head",
            "mobile-head-coarse",
            *(["mobile-encoder"] if _encoder(wanted) else []),
        ]
    return [wanted.generator, *([E4E] if _encoder(wanted) else [])]


def load_networks(wanted: Invert, *, device: str, bf16: bool, allow_noncommercial: bool) -> Networks:
    """Load and verify generator and encoder; `bf16` is about the search alone.

    Raises
    ------
    UserError
        A file is missing, altered, refused, of another network than its name says, or under a licence the settings
        refuse.
    """
    load = _mobile if wanted.generator == "mobile" else _stylegan2
    return load(wanted, device, bf16, allow_noncommercial)


def load_generator(name: str, *, device: str, allow_noncommercial: bool) -> Generator:
    """Load and verify a generator alone, in ``float32``; UserError as for `load_networks`."""
    if name == "mobile":
        return load_mobile(weights.require("mobile-ffhq-1024", allow_noncommercial=allow_noncommercial), device=device)
    path, _ = require_converted(name, resolution_px=_STYLEGAN2_PX[name], allow_noncommercial=allow_noncommercial)
    try:
        return load_stylegan2(path, device=device)
    except WeightsError as error:
        raise UserError(f"{error}; remove it, and it is made again") from error


def _encoder(wanted: Invert) -> str | None:
    """``own``, ``e4e`` or None; params.py has made sure that a demanded one fits."""
    fitting = ENCODER_OF.get(wanted.generator)
    if wanted.encoder != "auto":
        return None if wanted.encoder == "none" else wanted.encoder
    return None if fitting == "e4e" and not weights.is_there(E4E) else fitting


def _mobile(wanted: Invert, device: str, bf16: bool, allow_noncommercial: bool) -> Networks:
    names = needed_sets(wanted)
    files = {name: weights.require(name, allow_noncommercial=allow_noncommercial) for name in names}
    exact = load_mobile(files["mobile-ffhq-1024"], device=device)
    half = load_mobile(files["mobile-ffhq-1024"], device=device, dtype=torch.bfloat16) if bf16 else None
    encoder = None
    if _encoder(wanted):
        encoder = load_encoder(files["mobile-encoder"], device=device, generator_sha256=exact.weights_sha256)
    head, coarse = (
        Sketch(half or exact, load_head(files[name], device=device, generator_sha256=exact.weights_sha256))
        for name in ("mobile-head", "mobile-head-coarse")
    )
    return Networks(
        generator=half or exact,
        exact=exact,
        head=head,
        coarse=coarse,
        encoder=encoder,
        encoder_name="own" if encoder else "mean",
        hashes={name: weights.sha256(name) for name in names},
    )


def _stylegan2(wanted: Invert, device: str, bf16: bool, allow_noncommercial: bool) -> Networks:
    name = wanted.generator
    path, sha256 = require_converted(name, resolution_px=_STYLEGAN2_PX[name], allow_noncommercial=allow_noncommercial)
    try:
        exact = load_stylegan2(path, device=device)
        half = load_stylegan2(path, device=device, half=torch.bfloat16) if bf16 else None
    except WeightsError as error:
        raise UserError(f"{error}; remove it, and it is made again") from error
    encoder = _e4e(exact, device, allow_noncommercial) if _encoder(wanted) else None
    if encoder is None and wanted.encoder == "auto":
        bring = f" (for a better start, {weights.how_to_bring(weights.get(E4E))})" if name in ENCODER_OF else ""
        log.info("invert: no encoder for %s, the search begins at the mean code%s", name, bring)
    return Networks(
        generator=half or exact,
        exact=exact,
        head=None,
        coarse=None,
        encoder=encoder,
        encoder_name="e4e" if encoder else "mean",
        hashes={name: sha256} | ({E4E: encoder.weights_sha256} if encoder else {}),
    )


def _e4e(generator: Generator, device: str, allow_noncommercial: bool) -> E4eEncoder:
    path = weights.require(E4E, allow_noncommercial=allow_noncommercial)
    try:
        encoder = load_e4e(path, n_styles=generator.n_channels, device=device)
        check_mean(encoder, mean_w=generator.mean_w, std_w=generator.std_w)
    except E4eWeightsError as error:
        raise UserError(f"weights '{E4E}': {error}") from error
    return encoder
