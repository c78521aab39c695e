"""On the Overview: what settings have overtaken, what an earlier run had, and warnings about leaks and tiny groups."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest

from pipeline import history, params
from pipeline.params import StageParams
from pipeline.paths import Paths
from pipeline.report import notes
from tests.conftest import REPOSITORY
from tests.dashboard.test_pages import open_page, sentences
from tests.pipeline.test_history import store, write_note
from tests.report import material


def test_an_earlier_run_stands_beside_this_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = material.fill(tmp_path)
    lower = [r | {"value": r["value"] - 0.35, "ci_low": r["ci_low"] - 0.35, "ci_high": r["ci_high"] - 0.35}
             for r in rows["metrics"] if r["space"] == "wplus"]  # fmt: skip
    material.write(tmp_path / "old", "metrics", lower)
    worse = [r | {"p_fake": 1 - r["p_fake"]} if r["source_group"] > "g02" else r for r in rows["predictions"]]
    material.write(tmp_path / "old", "predictions", worse)
    new, old = Paths(tmp_path), Paths(tmp_path / "old")
    for at, paths, hostile in ((10, old, material.HOSTILE), (20, new, "same")):
        predictions, metrics = (store(tmp_path, paths.table(n).read_bytes()) for n in ("predictions", "metrics"))
        settings = {"train": {"models": ["rf", at]}, "data.source": hostile}
        deps = {history.PREDICTIONS: predictions, "classifiers": f"c{at}"}
        write_note(tmp_path, f"{at}a", made_s=at, deps=deps, outs={history.METRICS: metrics}, settings=settings)
    app = open_page("overview", tmp_path, monkeypatch)
    settings_shown = next(d.value for d in app.dataframe if "setting" in d.value.columns)
    assert settings_shown["setting"].tolist() == ["data.source", "train.models"]
    assert settings_shown["now"].tolist() == ["same", '["rf", 20]']
    shown = next(d.value for d in app.dataframe if "intervals" in d.value.columns)
    forest = shown[shown["model"] == "wplus · random forest"].iloc[0]
    assert (forest["then"], forest["now"]) == ("0.250 [0.050, 0.350]", "0.600 [0.400, 0.700]")
    assert forest["intervals"] == "apart"
    difference, _, interval = forest["on the same items"].partition(" ")
    assert 0.2 < float(difference) < 1  # half of the former answers were the wrong way round
    assert float(interval[1:].partition(",")[0]) < float(difference)
    assert shown[shown["model"] == "efficientnet · logistic"].iloc[0]["then"] == "—"
    assert any("classifiers" in c.value for c in app.caption)
    shutil.rmtree(tmp_path / ".dvc" / "cache" / "files")
    assert "no longer in DVC" in sentences(app.run())


def test_no_earlier_run_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material.fill(tmp_path, n_groups=2, n_frames=1)
    shutil.copy(REPOSITORY / "params.yaml", tmp_path / "params.yaml")
    app = open_page("overview", tmp_path, monkeypatch)
    assert "There is no earlier run to compare with" in sentences(app)
    assert "trained models" in sentences(app)  # the shipped settings ask for more than these tables have
    settings = params.load(tmp_path / "params.yaml")
    made = StageParams(settings, ("cluster",)).as_dict()
    made["cluster"]["min_cluster_size"] = 999
    material.write(tmp_path, "clusters", material.rows_of(n_groups=2, n_frames=1)["clusters"], params=made)
    app.run()
    shown = next(d.value for d in app.dataframe if "why" in d.value.columns)
    row = shown[shown["table"] == "clusters"].iloc[0]
    assert (row["why"], row["made with"], row["params.yaml has"]) == ("cluster.min_cluster_size", "999", "5")


def test_leaks_that_the_split_did_not_join_and_methods_of_few_groups_are_warned_of() -> None:
    leak = {"first_group": "a", "second_group": "b", "first_file": "a.mp4", "second_file": "b.mp4", "similarity": 0.9}
    leaks = pd.DataFrame([leak | {"kind": "footage", "identity": None}, leak | {"kind": "identity", "identity": "x"}])
    apart = pd.DataFrame({"source_group": ["a", "b"], "unit": ["a", "b"]})
    found = notes.leak_warnings(leaks, apart)
    assert "Leak: 1 pairs" in found[0]
    assert "1 named people" in found[1]
    assert notes.leak_warnings(leaks, apart.assign(unit="ab")) == []
    assert notes.leak_warnings(leaks, None) == notes.leak_warnings(None, apart) == []
    videos = pd.DataFrame(
        {"status": "ok", "label": 1, "method": ["rare", "rare", *["common"] * 5], "source_group": list("aabcdef")}
    )
    assert "rare (1)" in notes.group_warnings(videos)[0]
    assert "common" not in notes.group_warnings(videos)[0]
    assert notes.group_warnings(videos[videos["method"] == "common"]) == []
