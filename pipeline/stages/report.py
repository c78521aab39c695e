"""Stage ``report``: one self-contained page about the run, and its figures."""

from __future__ import annotations

import importlib.metadata
import logging
import platform
import shutil

from pipeline import runinfo, weights
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.report.load import recorded
from pipeline.report.render import RunFacts, WeightUse, figures, gather, render
from pipeline.stages.common import Run, Stage

STAGE = Stage(
    "report",
    sections=("seed", "device", "profile", "data", "weights"),
    inputs=(
        "videos", "faces", "overrides", "splits", "wplus", "reconstructions", "embeddings", "codes",
        "decoded", "predictions", "metrics", "method_metrics", "comparisons", "study", "effort", "attributes", "slices",
        "shortcuts", "importance", "channel_groups", "agreement", "channel_effects", "learning", "map",
        "map_quality", "clusters", "cluster_tree", "cluster_grid",
        "cluster_profiles", "cluster_information", "cluster_channels", "cluster_faces",
    ),
)  # fmt: skip
log = logging.getLogger("latentforensics")
_VERSIONS = ("latentforensics", "torch", "timm", "scikit-learn", "hdbscan", "opentsne", "umap-learn", "pyarrow")


def run(params: Params, paths: Paths) -> None:
    """Write ``report.html`` and the figures as PNG."""
    current = STAGE.run(params, paths)
    data = gather(paths, _facts(current))
    drawn = figures(data)
    page = render(data, drawn)
    shutil.rmtree(paths.figures, ignore_errors=True)
    paths.figures.mkdir(parents=True)
    for name, png in drawn.items():
        (paths.figures / f"{name}.png").write_bytes(png)
    paths.report_html.write_text(page, encoding="utf-8")
    log.info("report: %s, %.1f MB, %d figures", paths.report_html, len(page) / 1e6, len(drawn))


def _facts(current: Run) -> RunFacts:
    settings = current.params
    written = recorded(current.paths).values()
    used = {name for meta in written for name in meta.get("weights", {})}
    devices = {device for meta in written if (device := meta.get("device"))}
    entries = [weights.REGISTRY[name] for name in sorted(used & set(weights.REGISTRY))]
    return RunFacts(
        seed=settings.seed,
        profile=settings.profile,
        device=", ".join(sorted(devices)) or "cpu",
        fingerprint=current.fingerprint({}),
        source=settings.data.source,
        versions={"python": platform.python_version()} | {n: importlib.metadata.version(n) for n in _VERSIONS},
        weights=[WeightUse(e.name, e.source, e.licence, not e.commercial_use) for e in entries],
        facts={
            "code": runinfo.code_hash()[:16],
            "data root": str(settings.data.root),
            "weights.allow_noncommercial": str(settings.weights.allow_noncommercial).lower(),
        },
    )
