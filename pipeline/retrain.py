"""What tags would change: ``logistic`` on one space, trained without and with them, and the difference in metrics.

Run as ``lf retrain``, or by the dashboard in a process of its own (``python -m pipeline.retrain ASKED ANSWER``), so
that neither its memory nor its time is the page's. Nothing of a project is changed.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from classifiers.checks import ConstantError, check_varies
from classifiers.models import model_factory
from classifiers.retrain import Material, compare, judge
from pipeline import overrides, spaces, tables, tag_changes, units
from pipeline import params as params_file
from pipeline.errors import UserError
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.stages import features
from pipeline.tag_changes import Changes

#: At most so many faces, in whole source groups, and so many numbers to train on, which keeps it to seconds.
MAX_FACES, MAX_NUMBERS = 20_000, 4_000_000
N_BOOT = 1000
PROFILE = "quick"
TRUTHS = {
    "original": "original labels, all faces",
    "corrected": "corrected labels, all faces",
    "kept": "corrected labels, without excluded faces",
}


@dataclass(frozen=True)
class Asked:
    """Which space, and which tags by name (None: all labels and exclusions)."""

    space: str
    names: tuple[str, ...] | None = None


def run(paths: Paths, settings: Params, asked: Asked) -> dict[str, Any]:
    """Train twice and compare; JSON-able.

    Returns
    -------
    ``rows``: ``level, truth, metric, before, after, difference, ci_low, ci_high, p_value, n_groups, n_items, reason``;
    ``touched``: `tag_changes.Touched`; sizes, what was sampled, seconds.

    Raises
    ------
    UserError
        No such space, nothing tagged, no folds, or too little left to train on; one sentence.
    """
    started = time.monotonic()
    changes = tag_changes.of_tags(read_tags(paths), asked.names)
    faces = usable_faces(paths)
    counted = tag_changes.touched(changes, faces)
    placed = _placed(paths, settings, faces)
    some = _sample(placed, changes, n_max=max_faces(_n_dims(paths, asked.space)), seed=settings.seed)
    inside = features.load(paths, asked.space, only=set(some["face_id"]))
    if inside.faces.empty:
        raise UserError(f"space '{asked.space}' has no vectors of labelled faces: run `dvc repro`")
    known = some.set_index("face_id").loc[inside.faces["face_id"]].reset_index()
    train = settings.train
    material = Material(
        inside.vectors,
        known["unit"].to_numpy(dtype=object),
        known["video_id"].to_numpy(dtype=object),
        known["place"].to_numpy(),
        train.protocol,
        train.balance,
        train.calibration,
        share_trained=train.balance == "none",
        seed=settings.seed,
    )
    try:
        rows, n_fits = _compared(material, known, changes, settings, inside.blocks)
    except (ValueError, ConstantError) as error:  # the classifiers' one sentence about what they were given
        raise UserError(f"logistic on {asked.space} cannot be trained: {error}") from error
    return {
        "space": asked.space,
        "protocol": train.protocol,
        "profile": PROFILE,
        "seed": settings.seed,
        "n_boot": N_BOOT,
        "n_fits": n_fits,
        "n_faces": len(known),
        "n_videos": int(known["video_id"].nunique()),
        "n_groups": int(known["unit"].nunique()),
        "n_faces_all": len(placed),
        "n_groups_all": int(placed["unit"].nunique()),
        "n_unplaced": len(set(changes.labels) & set(faces["face_id"]) - set(placed["face_id"])),
        "touched": asdict(counted),
        "rows": rows,
        "seconds": time.monotonic() - started,
    }


def max_faces(n_dims: int) -> int:
    """Faces of a space of ``n_dims`` numbers that are trained on at most.

    Of more numbers than faces only as many as there are faces count: training turns them so (`classifiers.rotation`).
    """
    return min(MAX_FACES, max(math.isqrt(MAX_NUMBERS), MAX_NUMBERS // n_dims))


def _compared(
    material: Material, known: pd.DataFrame, changes: Changes, settings: Params, blocks: tuple[int, ...]
) -> tuple[list[dict[str, Any]], int]:
    check_varies(material.X)
    balance = settings.train.balance
    factory = model_factory(
        "logistic",
        profile=PROFILE,
        seed=settings.seed,
        device="cpu",
        n_jobs=1,
        blocks=blocks,
        overrides={} if balance == "auto" else {"balanced": balance == "weights"},
    )
    original: NDArray[np.int64] = np.asarray(known["label"], dtype=np.int64)
    corrected: NDArray[np.int64] = np.asarray(
        known["face_id"].map(changes.labels).fillna(known["label"]), dtype=np.int64
    )
    excluded: NDArray[np.bool_] = np.asarray(known["face_id"].isin(changes.excluded), dtype=bool)
    nothing = np.zeros(len(known), dtype=bool)
    before = judge(material, original, nothing, model_factory=factory)
    after = judge(material, corrected, excluded, model_factory=factory)
    truths: dict[str, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {
        "original": (original, ~nothing),
        "corrected": (corrected, ~nothing),
    }
    if excluded.any():
        truths["kept"] = (corrected, ~excluded)
    rows = []
    levels: tuple[Literal["frame", "video"], ...] = ("frame", "video")
    for truth, (labels, measured) in truths.items():
        for level in levels:
            for found, old, new in compare(
                before, after, material, labels, measured, level=level, aggregate=settings.train.aggregate,
                n_boot=N_BOOT,
            ):  # fmt: skip
                facts = {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in asdict(found).items()}
                values = {"before": _number(old), "after": _number(new)}
                rows.append({"level": level, "truth": truth, **values, **facts})
    n_folds = len(set(material.place.tolist())) if material.protocol == "cv" else 1
    return rows, 2 * n_folds


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def read_tags(paths: Paths) -> pd.DataFrame:
    """The table ``tags``; UserError where nothing was ever tagged."""
    return tables.read_pandas(paths.table("tags"), "tags")


def usable_faces(paths: Paths) -> pd.DataFrame:
    """Usable faces with ``video_id, label, source_group, excluded``, as kept corrections already have them."""
    columns = ["face_id", "video_id", "label", "source_group", "status"]
    faces = tables.read_pandas(paths.table("faces"), "faces", columns=columns)
    usable = faces[faces["status"] == "ok"].drop(columns="status")
    return overrides.marked(usable, overrides.table(paths)).reset_index(drop=True)


def _placed(paths: Paths, settings: Params, faces: pd.DataFrame) -> pd.DataFrame:
    """Labelled faces that count, with their split ``unit`` and ``place``: the fold, or the side of a hold-out."""
    column = "fold" if settings.train.protocol == "cv" else "split"
    reason = tables.metadata(paths.table("splits")).get("no_fold" if column == "fold" else "no_split")
    if reason:
        raise UserError(f"nothing can be trained: {reason}")
    splits = tables.read_pandas(paths.table("splits"), "splits", columns=["video_id", column])
    found = faces[faces["label"].notna() & ~faces["excluded"]].merge(
        splits.rename(columns={column: "place"}), on="video_id", how="inner"
    )
    found = found[found["place"].isin(["train", "val", "test"]) if column == "split" else found["place"] >= 0]
    if found.empty:
        raise UserError(f"no labelled face has a {column} in the table 'splits': run `dvc repro`")
    return units.by_unit(found, paths).rename(columns={"source_group": "unit"})


def _n_dims(paths: Paths, space: str) -> int:
    """Numbers per face of a space, from one row of each of its tables; UserError for one that no table holds."""
    total = 0
    try:
        parts = spaces.parse(space)
    except ValueError as error:
        raise UserError(f"space '{space}': {error}") from error
    for part in parts:
        if part.base not in spaces.SOURCES:
            raise UserError(
                f"the space '{part.base}' is worked out by `lf train`; retraining reads stored spaces alone"
            )
        name, column, _ = spaces.SOURCES[part.base]
        for batch in tables.read_batches(paths.table(name), name, columns=[column], batch_rows=1):
            if batch.num_rows and batch.column(column)[0].as_py() is not None:
                n = len(batch.column(column)[0])
                kept = part.columns(n)
                total += n if kept is None else len(kept)
                break
    return max(1, total)


def _sample(placed: pd.DataFrame, changes: Changes, *, n_max: int, seed: int) -> pd.DataFrame:
    """All faces, or those of so many whole units as hold ``n_max``: units that tags touch first, others by seed."""
    if len(placed) <= n_max:
        return placed
    sizes = placed.groupby("unit", sort=True).size()
    hit = sizes.index.isin(placed.loc[placed["face_id"].isin(changes.faces), "unit"])
    order = np.lexsort((np.random.default_rng(seed).permutation(len(sizes)), ~hit))
    fits = np.cumsum(sizes.to_numpy()[order]) <= n_max
    fits[0] = True
    return placed[placed["unit"].isin(sizes.index[order[fits]])]


def text_of(found: dict[str, Any]) -> str:
    """An answer as lines of text."""
    counted = found["touched"]
    lines = [
        f"{counted['n_to_fake']} faces become fake, {counted['n_to_real']} real, {counted['n_excluded']} are excluded, "
        f"{counted['n_back']} taken back; "
        f"{counted['n_videos']} videos, {counted['n_groups']} source groups.",
        *counted["remarks"],
        f"{found['n_faces']} of {found['n_faces_all']} faces, {found['n_groups']} groups, {found['seconds']:.1f} s",
    ]
    for row in found["rows"]:
        told = [row[name] for name in ("before", "after", "difference", "ci_low", "ci_high")]
        before, after, difference, low, high = ("-" if v is None else f"{v:.3f}" for v in told)
        where = f"{row['level']}, {TRUTHS[row['truth']]}"
        lines.append(f"{where:52s} {row['metric']:18s} {before} -> {after}, {difference} [{low}, {high}]")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read what is asked from a JSON file (``root, space, names``) and write the answer, or the error, as JSON."""
    asked_file, answer_file = (Path(a) for a in (sys.argv[1:] if arguments is None else arguments))
    asked = json.loads(asked_file.read_text(encoding="utf-8"))
    paths = Paths(Path(asked["root"]))
    try:
        names = asked["names"]
        answer = run(
            paths, params_file.load(paths.params), Asked(asked["space"], None if names is None else tuple(names))
        )
    except UserError as error:
        answer = {"error": str(error)}
    temporary = answer_file.with_suffix(".tmp")
    temporary.write_text(json.dumps(answer), encoding="utf-8")
    temporary.rename(answer_file)


if __name__ == "__main__":
    main()
