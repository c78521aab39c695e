"""Stage ``importance``: how much each W+ channel tells, alone and within a model of all, and where it acts."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from classifiers.checks import ConstantError
from classifiers.importance import ImportanceMetric, ImportanceRow, ImportanceSettings, channel_importance
from classifiers.importance_joint import permutation_importance
from classifiers.models import uses_device
from classifiers.splits import SplitError
from pipeline import channel_parts, channel_rows, tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.stages import features
from pipeline.stages.common import Run, Stage
from pipeline.stages.features import Features

STAGE = Stage(
    "importance",
    sections=("seed", "spaces", "device", "profile", "weights", "invert.generator", "importance"),
    inputs=("faces", "overrides", "wplus", "splits"),
)
JOINT_METRIC: ImportanceMetric = "roc_auc"  # a ranking moves before any answer crosses 0.5
JOINT_BOOT = 300
TABLES = ("importance", "channel_groups", "agreement", "channel_effects")
Rows = dict[str, list[dict[str, Any]]]
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write ``importance``, ``channel_groups``, ``agreement``, ``channel_effects`` and the data behind a plot."""
    current = STAGE.run(params, paths)
    effort = current.params.effort("importance")
    on_device = effort.n_effect_faces > 0 or any(uses_device(m, current.params.profile) for m in effort.models)
    rows: Rows = {name: [] for name in TABLES}
    reason: str | None = None
    try:
        if "wplus" not in current.params.spaces:
            raise SplitError("'wplus' is not among the spaces in params.yaml")
        inside, codes = features.labelled_channels(paths)
        rows |= _measure(current, inside, codes)
        rows["channel_effects"] = _effects(current, inside, codes)
    except (SplitError, ConstantError) as error:
        reason = str(error)
        log.warning("importance: not measured: %s", reason)
    no_effects = reason or "importance.n_effect_faces is 0 in this profile"
    for name in TABLES:
        why = no_effects if name == "channel_effects" and not rows[name] else reason
        tables.write_rows(rows[name], paths.table(name), name=name, meta=current.meta(on_device=on_device, reason=why))
    paths.plots.mkdir(parents=True, exist_ok=True)
    written = tables.read_pandas(paths.table("importance"), "importance")
    alone = written[written["method"].str.startswith("rf-alone-")]  # `dvc plots` draws one curve of a file
    alone.to_csv(paths.plots / "importance.csv", index=False)
    log.info("importance: %d channels by %d methods", written["channel"].nunique(), written["method"].nunique())


def _measure(current: Run, inside: Features, codes: NDArray[np.float32]) -> Rows:
    """Every measure of the channels and of the parts they make."""
    effort, metric = current.params.effort("importance"), current.params.importance.metric
    y, groups = inside.faces["label"].to_numpy(dtype=np.int64), inside.faces["source_group"].tolist()
    parts = channel_parts.parts(codes.shape[1])
    single = [[c] for c in range(codes.shape[1])]
    base = ImportanceSettings(
        metric=metric,
        profile=current.params.profile,
        n_trees=effort.n_trees,
        n_repeats=effort.n_repeats,
        seed=current.params.seed,
        n_jobs=-1,
    )
    alone: dict[str, list[ImportanceRow]] = {}
    of_parts: dict[str, list[ImportanceRow]] = {}
    for model in effort.models:
        settings = replace(
            base, model=model, device=current.device if uses_device(model, current.params.profile) else "cpu"
        )
        wanted = [*single, *(parts.values() if effort.parts_alone else [])]
        found = channel_importance(
            codes, y, groups, videos=inside.faces["video_id"].tolist(), settings=settings, parts=wanted
        )
        rows = list(bar(found, total=len(wanted), what=f"importance {model}", unit="channel"))
        alone[f"{model}-alone-{metric}"] = rows[: len(single)]
        if effort.parts_alone:
            of_parts[f"{model}-alone-{metric}"] = rows[len(single) :]
    if effort.n_permutations:
        settings = replace(base, metric=JOINT_METRIC, n_boot=JOINT_BOOT)
        wanted = [*single, *parts.values()]
        rows = permutation_importance(
            codes, y, groups, parts=wanted, n_permutations=effort.n_permutations, settings=settings
        )
        alone[f"rf-permuted-{JOINT_METRIC}"] = rows[: len(single)]
        of_parts[f"rf-permuted-{JOINT_METRIC}"] = rows[len(single) :]
    return {
        "importance": channel_rows.channel_rows(alone),
        "channel_groups": channel_rows.part_rows(of_parts, parts),
        "agreement": channel_rows.agreement_rows(alone, n_groups=len(set(groups))),
    }


def _effects(current: Run, inside: Features, codes: NDArray[np.float32]) -> list[dict[str, Any]]:
    """Where each channel acts, for faces spread over the source groups."""
    n_faces = current.params.effort("importance").n_effect_faces
    if not n_faces:
        return []
    from pipeline import effects  # loads the inversion's networks

    first = inside.faces.sort_values("face_id").drop_duplicates("source_group").index.to_numpy()
    chosen = np.random.default_rng(current.params.seed).permutation(first)[:n_faces]
    made = effects.effect_rows(
        codes[chosen],
        inside.faces["face_id"].iloc[chosen].tolist(),
        inside.feature_id,
        generator=current.params.one("invert.generator"),
        device=current.device,
        allow_noncommercial=current.params.weights.allow_noncommercial,
        seed=current.params.seed,
    )
    return list(bar(made, total=len(chosen) * codes.shape[1], what="channel effects", unit="channel"))
