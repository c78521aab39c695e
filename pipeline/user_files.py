"""Weight files that no package carries: where they are published, and where this machine may have them.

Nothing is downloaded. A file is looked for by its published name in the folder ``$LF_WEIGHTS`` names, then in
``weights/`` of the project (the folder that holds ``params.yaml``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.runinfo import file_sha256


@dataclass(frozen=True)
class UserFile:
    """One published file. `sha256_prefix` is as much of its hash as its publisher states; empty where none is."""

    name: str
    what: str
    url: str
    licence: str
    commercial_use: bool
    sha256_prefix: str = ""


_TORCHVISION = "BSD-3-Clause (torchvision); trained on ImageNet, whose images have terms of their own"


def _torchvision(name: str, what: str) -> UserFile:
    # torchvision ends its file names with the first 8 digits of the file's SHA-256.
    prefix = name.removesuffix(".pth").rsplit("-", 1)[1]
    return UserFile(name, what, f"https://download.pytorch.org/models/{name}", _TORCHVISION, True, sha256_prefix=prefix)


USER_FILES: dict[str, UserFile] = {
    "lpips-alex": _torchvision("alexnet-owt-7be5be79.pth", "AlexNet, ImageNet: trunk of LPIPS"),
    "lpips-vgg": _torchvision("vgg16-397923af.pth", "VGG-16, ImageNet: trunk of LPIPS"),
    "lpips-squeeze": _torchvision("squeezenet1_1-b8a52dc0.pth", "SqueezeNet 1.1, ImageNet: trunk of LPIPS"),
    # Its authors publish no hash; the hash of the file at hand goes into what is made with it.
    "e4e-ffhq-1024": UserFile(
        "e4e_ffhq_encode.pt",
        "e4e encoder, 256 px faces to 18 W+ channels of StyleGAN2 FFHQ-1024 (Tov et al. 2021)",
        "https://github.com/omertov/encoder4editing (section 'Pretrained Models': FFHQ Inversion)",
        "code MIT; weights trained on FFHQ (CC BY-NC-SA 4.0) with NVIDIA's StyleGAN2 FFHQ (NVIDIA Source Code License, "
        "non-commercial)",
        False,
    ),
}


def find_user_file(name: str) -> Path | None:
    """Where the registered file lies, ``None`` where it is in neither folder."""
    folders = [Path(os.environ["LF_WEIGHTS"])] if os.environ.get("LF_WEIGHTS") else []
    for folder in [*folders, Path("weights")]:
        path = folder / USER_FILES[name].name
        if path.is_file():
            return path
    return None


def require_user_file(name: str, *, allow_noncommercial: bool) -> Path:
    """Find and verify a file.

    Raises
    ------
    UserError
        A licence the settings refuse, no such file, or one whose hash is not the published one.
    """
    entry = USER_FILES[name]
    if not entry.commercial_use and not allow_noncommercial:
        raise UserError(
            f"weights '{name}' forbid commercial use ({entry.licence}) "
            "and weights.allow_noncommercial is false in params.yaml"
        )
    path = find_user_file(name)
    if path is None:
        raise UserError(
            f"weights '{name}' need {entry.name}, which no package carries: get it from {entry.url} and put it into "
            "the folder 'weights' beside params.yaml, or into the one that LF_WEIGHTS names"
        )
    digest = file_sha256(path)
    if not digest.startswith(entry.sha256_prefix):
        raise UserError(
            f"weights '{name}': {path} is not the published file: its SHA-256 begins with "
            f"{digest[: len(entry.sha256_prefix)]}, expected {entry.sha256_prefix}"
        )
    return path
