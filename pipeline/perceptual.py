"""Which perceptual distance ``invert.perceptual`` leads to, and its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import weights
from pipeline.runinfo import file_sha256
from pipeline.weights_registry import TRUNKS

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
    files = tuple(weights.require(part, allow_noncommercial=allow_noncommercial) for part in weight_sets(name))
    return PerceptualChoice(name, files, weights.combined([file_sha256(file) for file in files]))


def weight_sets(name: str) -> tuple[str, ...]:
    """Registered sets that a metric is read from; for LPIPS the trunk, then the linear weights."""
    return (TRUNKS[name], name) if name in TRUNKS else (name,)


def resolve(wanted: str) -> str:
    """The metric's name, with ``auto`` resolved by which files are there."""
    if wanted != "auto":
        return wanted
    return next((name for name in _OFFICIAL if weights.is_there(TRUNKS[name])), _ALWAYS_THERE)
