"""Which perceptual distance ``invert.perceptual`` leads to, and its weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import weights
from pipeline.runinfo import file_sha256
from pipeline.user_files import USER_FILES, find_user_file, require_user_file

if TYPE_CHECKING:
    from inversion.perceptual import PerceptualDistance

#: What `auto` takes: the first of these whose network is there (AlexNet is LPIPS's own default and the lightest to
#: step through), ST-LPIPS where none is.
_OFFICIAL = ("lpips-alex", "lpips-vgg", "lpips-squeeze")
_ALWAYS_THERE = "stlpips-alex"


@dataclass(frozen=True)
class PerceptualChoice:
    """A metric with its verified files.

    Attributes
    ----------
    name
        Metric and network, such as ``lpips-alex``; as the loaded distance is called.
    files
        ST-LPIPS: the network. LPIPS: trunk, linear weights.
    sha256
        One hash for them: of the file, or of the files' hashes.
    """

    name: str
    files: tuple[Path, ...]
    sha256: str

    def load(self, *, device: str) -> PerceptualDistance:
        """Read the weights."""
        from inversion.lpips import load_lpips
        from inversion.perceptual import load_stlpips

        metric, net = self.name.split("-")
        known_net: Any = net
        if metric == "stlpips":
            return load_stlpips(*self.files, net=known_net, device=device)
        return load_lpips(*self.files, net=known_net, device=device)


def choose(wanted: str, *, allow_noncommercial: bool) -> PerceptualChoice:
    """Resolve ``invert.perceptual`` and verify the files it leads to.

    ``auto`` is official LPIPS where a trunk of it is there, else ST-LPIPS. A file that is there but damaged is an
    error: it never becomes another metric.

    Raises
    ------
    UserError
        Files of the wanted metric are missing or altered, or their licence is refused.
    """
    name = resolve(wanted)
    files = [weights.require(name, allow_noncommercial=allow_noncommercial)]
    if name in USER_FILES:
        files.insert(0, require_user_file(name, allow_noncommercial=allow_noncommercial))
    hashes = [file_sha256(file) for file in files]
    digest = hashes[0] if len(hashes) == 1 else hashlib.sha256("".join(hashes).encode()).hexdigest()
    return PerceptualChoice(name, tuple(files), digest)


def resolve(wanted: str) -> str:
    """The metric's name, with ``auto`` resolved by which files are there."""
    if wanted != "auto":
        return wanted
    return next((name for name in _OFFICIAL if find_user_file(name) is not None), _ALWAYS_THERE)
