"""StyleGAN2 networks that the user brought as pickles, kept as safetensors beside them."""

from __future__ import annotations

import logging
from pathlib import Path

from inversion.safe_names import PickleRefused
from inversion.stylegan2_formats import convert
from inversion.stylegan2_state import WeightsError
from pipeline import weights
from pipeline.errors import UserError
from pipeline.runinfo import file_sha256

log = logging.getLogger("latentforensics")


def require_converted(name: str, *, resolution_px: int, allow_noncommercial: bool) -> tuple[Path, str]:
    """Verify a registered network and give it as safetensors, converting it where that was not done yet.

    The conversion's name holds the first digits of the file's SHA-256, so another file under the old name is converted
    anew; its own SHA-256 is recorded beside it, so a damaged or altered conversion is noticed and made again.

    Returns
    -------
    path, sha256
        The conversion, and the SHA-256 of the file it was made from.

    Raises
    ------
    UserError
        The file is missing or altered, its licence is refused, it holds anything but data or no StyleGAN2 of this
        resolution, or the weights folder cannot be written.
    """
    source = weights.require(name, allow_noncommercial=allow_noncommercial)
    sha256 = file_sha256(source)
    target = source.with_name(f"{source.stem}-{sha256[:16]}.safetensors")
    if target.is_file():
        if weights.recorded_sha256(target) == file_sha256(target):
            return target, sha256
        log.warning("%s is not as it was written: %s is converted again", target, source.name)
    try:
        convert(source, target, resolution_px=resolution_px)
        weights.record_sha256(target, file_sha256(target))
    except (PickleRefused, WeightsError) as error:
        raise UserError(f"weights '{name}': {error}") from error
    except OSError as error:
        raise UserError(f"weights '{name}': cannot write {target} ({error.strerror or error})") from error
    log.info("%s: converted to %s", source.name, target.name)
    return target, sha256
