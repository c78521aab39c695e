"""Groups that the stage ``split`` joins are one unit in everything after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from classifiers import importance as alone
from classifiers import importance_joint as jointly
from classifiers.persist import read_card
from pipeline import tables
from pipeline.paths import Paths
from pipeline.stages import learning
from pipeline.stages.features import by_unit, load
from tests.pipeline import project
from tests.report import material

N_GROUPS, N_CHANNELS = 10, 10
SETTINGS = {
    "spaces": ["efficientnet", "wplus"],
    "split.by": "group",
    "split.leaks": "join",
    "split.n_folds": 3,
    "train.protocol": "cv",
    "train.models": ["logistic"],
    "learning.quick": {"sizes": [4, 5], "n_draws": 3},
    "importance.quick.n_repeats": 3,
    "importance.quick.n_trees": 2,
    "importance.quick.n_effect_faces": 0,
}


def make(folder: Path, *, shared: bool, **changes: Any) -> Paths:
    """Ten groups with vectors; ``shared``: g00's real footage is g01's too."""
    made = material.rows_of(n_groups=N_GROUPS, n_frames=1)
    usable = {row["face_id"]: row for row in made["faces"] if row["status"] == "ok"}
    if shared:
        usable["f0100"]["image"] = usable["f0000"]["image"]
    rng = np.random.default_rng(0)
    vectors = {
        face: rng.normal(size=2 * N_CHANNELS).astype(np.float32) + 0.5 * row["label"] for face, row in usable.items()
    }
    for name in ("videos", "faces"):
        material.write(folder, name, made[name])
    codes = [{**row, "wplus": vectors[row["face_id"]], "n_channels": N_CHANNELS} for row in made["wplus"]]
    material.write(folder, "wplus", codes, perceptual="stlpips-alex")
    embedded = [{"face_id": face, "embedder_id": "b0", "embedding": v} for face, v in vectors.items()]
    material.write(folder, "embeddings", embedded)
    for name in ("codes", "blended", "reconstructions", "curves", "clusters"):
        material.write(folder, name, [])
    project.write_params(folder, project.SMALL | SETTINGS | changes)
    return Paths(folder)


def group_of(paths: Paths, space: str = "wplus") -> np.ndarray:
    """The source group of each row of a space, before anything was joined."""
    return load(paths, space).faces["source_group"].to_numpy()


def one_side(group: np.ndarray, side: np.ndarray) -> bool:
    return len(set(side[np.isin(group, ["g00", "g01"])].tolist())) == 1


def test_joined_groups_never_stand_on_both_sides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make(tmp_path, shared=True)
    project.run(paths, "split")
    assert tables.read_pandas(paths.table("splits"), "splits")["unit"].nunique() == N_GROUPS - 1
    folds: dict[str, list[np.ndarray]] = {"alone": [], "jointly": []}
    for name, module in (("alone", alone), ("jointly", jointly)):
        plain = module.grouped_folds

        def spied(*args: Any, name: str = name, plain: Any = plain, **kwargs: Any) -> np.ndarray:
            folds[name].append(plain(*args, **kwargs))
            return folds[name][-1]

        monkeypatch.setattr(module, "grouped_folds", spied)
    project.run(paths, "importance")
    for name, made in folds.items():
        assert len(made) >= 3, name
        assert all(one_side(group_of(paths), fold) for fold in made), name

    plans = []
    draw = learning.plan_draws
    monkeypatch.setattr(learning, "plan_draws", lambda *a, **k: plans.append(draw(*a, **k)) or plans[-1])
    project.run(paths, "learning")
    assert len(plans) == 2
    for plan in plans:
        measured = np.isin(np.arange(2 * N_GROUPS), plan.measured)
        assert one_side(group_of(paths), measured)
        for training in plan.training:
            assert one_side(group_of(paths), np.isin(np.arange(2 * N_GROUPS), training.rows))


def test_metrics_and_slices_count_units(tmp_path: Path) -> None:
    counts = {}
    for shared in (False, True):
        folder = tmp_path / str(shared)
        folder.mkdir()
        paths = make(folder, shared=shared)
        project.run(paths, "split", "train", "evaluate", "slices")
        metrics = tables.read_pandas(paths.table("metrics"), "metrics")
        mine = metrics[metrics["space"].eq("efficientnet") & metrics["metric"].eq("roc_auc")]
        card = read_card(paths.model("efficientnet", "logistic"))
        shortcuts = tables.read_pandas(paths.table("shortcuts"), "shortcuts")
        compared = tables.read_pandas(paths.table("comparisons"), "comparisons")
        counts[shared] = {
            *mine["n_groups"], *compared["n_groups"], *shortcuts["n_groups"], card["info"]["n_groups_train"],
            *(score["n_groups"] for score in card["metadata"]["scores"]),
            *metrics.loc[metrics["metric"].eq("coverage"), "n_groups"],
        }  # fmt: skip
    assert counts == {False: {N_GROUPS}, True: {N_GROUPS - 1}}


def test_where_whole_domains_are_left_out_groups_stay_the_unit(tmp_path: Path) -> None:
    paths = make(tmp_path, shared=False, **{"split.by": "method", "split.leaks": "warn"})
    project.run(paths, "split")
    found = load(paths, "wplus")
    pd.testing.assert_frame_equal(by_unit(found, paths).faces, found.faces)


def test_constant_vectors_give_a_reason_and_never_a_number(tmp_path: Path) -> None:
    paths = make(tmp_path, shared=False)
    rows = tables.read(paths.table("wplus"), "wplus").to_pylist()
    same = [{**row, "wplus": np.ones(2 * N_CHANNELS, np.float32)} for row in rows]
    material.write(tmp_path, "wplus", same, perceptual="stlpips-alex")
    project.run(paths, "split", "train", "evaluate", "learning", "importance")
    metrics = tables.read_pandas(paths.table("metrics"), "metrics")
    flagged = metrics[metrics["space"].eq("wplus")]
    assert set(flagged["level"]) == {"frame", "video"}
    assert flagged["value"].isna().all()
    assert flagged["reason"].str.contains("vectors are the same").all()
    assert metrics[metrics["space"].eq("efficientnet")]["value"].notna().any(), "the other space is judged"
    assert set(tables.read_pandas(paths.table("predictions"), "predictions")["space"]) == {"efficientnet"}
    assert not paths.model("wplus", "logistic").exists()
    auc = metrics[metrics["metric"].eq("roc_auc") & metrics["space"].eq("efficientnet")].set_index("level")["value"]
    for score in read_card(paths.model("efficientnet", "logistic"))["metadata"]["scores"]:
        if score["metric"] == "roc_auc":
            assert score["value"] == pytest.approx(auc[score["level"]]), "the card says what the table says"
    assert "vectors are the same" in tables.metadata(paths.table("learning"))["skipped"][0]
    assert "codes are the same" in tables.metadata(paths.table("importance"))["reason"]
