"""``lf doctor``: would a run work here, and if not, what is missing and how is it had?"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipeline import params as params_module
from pipeline import perceptual, weights
from pipeline.cores import n_cores
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths

# A machine too small for the default run is told before it starts; the run was measured to peak at 5.0 GB.
MIN_MEMORY_GB = 6.0
MIN_DISK_GB = 2.0
GENERATOR_COMPARED_PX = 256
N_PROBED_FILES = 50

_PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "av",
    "dvc",
    "pyarrow",
    "scikit-learn",
    "hdbscan",
    "umap-learn",
    "openTSNE",
    "streamlit",
)


@dataclass(frozen=True)
class Check:
    """One finding. MISSING means that the run would fail."""

    name: str
    state: Literal["ok", "note", "MISSING"]
    finding: str


def examine(paths: Paths) -> list[Check]:
    """Check machine, packages, weights, settings and data, in this order."""
    checks = [*_machine(), *_packages()]
    try:
        settings = params_module.load(paths.params)
    except UserError as error:
        return [*checks, Check("settings", "MISSING", str(error))]
    checks.append(
        Check("settings", "ok", f"profile {settings.profile}, source {settings.data.source}, seed {settings.seed}")
    )
    return [*checks, *_device(settings), *_workers(settings), *_weights(settings), *_data(settings, paths)]


def _machine() -> Iterator[Check]:
    import psutil

    yield Check("python", "ok", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield Check("cores", "ok", str(n_cores()))
    free_gb = psutil.virtual_memory().available / 1e9
    enough = free_gb >= MIN_MEMORY_GB
    yield Check(
        "memory",
        "ok" if enough else "note",
        f"{free_gb:.1f} GB free" + ("" if enough else f"; the default run peaks below {MIN_MEMORY_GB:.0f} GB"),
    )
    disk_gb = shutil.disk_usage(".").free / 1e9
    state: Literal["ok", "MISSING"] = "ok" if disk_gb >= MIN_DISK_GB else "MISSING"
    yield Check("disk", state, f"{disk_gb:.1f} GB free here, {MIN_DISK_GB:.0f} GB wanted")


def _packages() -> Iterator[Check]:
    for name in _PACKAGES:
        try:
            yield Check(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, "MISSING", "not installed: run `uv sync`")


def _device(settings: Params) -> Iterator[Check]:
    from pipeline.runinfo import pick_device

    try:
        device = pick_device(settings.device)
    except UserError as error:
        yield Check("device", "MISSING", str(error))
        return
    slow = (
        ""
        if device == "cuda"
        else "; inversion takes seconds per face here, a CUDA GPU would be used if there were one"
    )
    yield Check("device", "ok", f"{device} (device: {settings.device}){slow}")


def _workers(settings: Params) -> Iterator[Check]:
    """Whether the Dask scheduler of the settings answers; nothing where there is none to ask."""
    if settings.workers.scheduler is None:
        return
    from distributed import Client

    try:
        with Client(settings.workers.scheduler, timeout=5) as client:
            n_workers = len(client.scheduler_info(n_workers=-1)["workers"])
    except (OSError, TimeoutError, ValueError) as error:
        yield Check("workers", "MISSING", f"no Dask scheduler answers at {settings.workers.scheduler} ({error})")
        return
    state: Literal["ok", "MISSING"] = "ok" if n_workers else "MISSING"
    yield Check("workers", state, f"{n_workers} workers at {settings.workers.scheduler}")


def needed_weights(settings: Params) -> list[str]:
    """Registered weight sets the settings lead to."""
    from pipeline.networks import needed_sets

    names: list[str] = []
    if "wplus" in settings.spaces:
        names += needed_sets(settings.invert)
        names += perceptual.weight_sets(perceptual.resolve(settings.invert.perceptual))
    if "efficientnet" in settings.spaces and settings.embed.weights_file is None:
        names += [settings.embed.network] if settings.embed.network in weights.REGISTRY else []
    if "vqvae" in settings.spaces and settings.codes.vqvae.weights_file is None:
        names.append("vqvae-faces")
    if settings.faces.detector == "mtcnn" and settings.faces.crop != "whole":
        names.append("mtcnn")
    return list(dict.fromkeys(names))


def _weights(settings: Params) -> Iterator[Check]:
    for name in needed_weights(settings):
        try:
            weights.require(name, allow_noncommercial=settings.weights.allow_noncommercial)
        except UserError as error:
            yield Check(f"weights {name}", "MISSING", str(error))
            continue
        entry = weights.get(name)
        kind = "" if entry.commercial_use else "NON-COMMERCIAL; set weights.allow_noncommercial: false to refuse it. "
        yield Check(f"weights {name}", "ok" if entry.commercial_use else "note", f"{kind}{entry.licence}")
    if "wplus" in settings.spaces and settings.faces.size_px != GENERATOR_COMPARED_PX:
        finding = f"faces.size_px is {settings.faces.size_px}; 'wplus' needs {GENERATOR_COMPARED_PX}"
        yield Check("faces", "MISSING", finding)
    file = settings.codes.vqvae.weights_file
    if "vqvae" in settings.spaces and file is not None and not file.is_file():
        yield Check("weights codes.vqvae.weights_file", "MISSING", f"{file} is not there")
    if "efficientnet" not in settings.spaces:
        return
    file = settings.embed.weights_file
    if file is not None and not file.is_file():
        yield Check("weights embed.weights_file", "MISSING", f"{file} is not there")
    elif file is None and settings.embed.network not in weights.REGISTRY:
        yield Check(
            "weights embed",
            "MISSING",
            f"no package carries '{settings.embed.network}': name its file in embed.weights_file",
        )


def _opens(path: Path) -> bool:
    from pipeline.ingest.video import UnreadableVideo, probe

    try:
        probe(path)
    except (UnreadableVideo, OSError):
        return False
    return True


def _data(settings: Params, paths: Paths) -> Iterator[Check]:
    from pipeline.ingest.catalogue import CatalogueError, scan

    root = paths.root / settings.data.root
    if not root.is_dir():
        yield Check("data", "MISSING", f"data.root {root} is not a folder")
        return
    try:
        records = scan(settings.data.source, root, hash_files=False)
    except CatalogueError as error:
        yield Check("data", "MISSING", str(error))
        return
    if settings.data.source == "sample" and not settings.weights.allow_noncommercial:
        yield Check("data licence", "note", "the sample set was drawn by a non-commercial generator (NOTICE)")
    ok = [r for r in records if r.status == "ok"]
    n_real, n_fake = (sum(r.label == label for r in ok) for label in (0, 1))
    n_groups = len({r.source_group for r in ok})
    text = f"{len(ok)} of {len(records)} files usable: {n_real} real, {n_fake} fake, {n_groups} source groups"
    if not ok:
        yield Check("data", "MISSING", text)
    elif not any(_opens(r.path) for r in ok[:N_PROBED_FILES]):
        yield Check("data", "MISSING", f"{text}, but none of the first {len(ok[:N_PROBED_FILES])} can be decoded")
    elif not (n_real and n_fake):
        yield Check("data", "note", f"{text}; with one class maps and clusters are made, classifiers are not")
    else:
        yield Check("data", "ok", text)
