"""The page *Tags and retrain*: tags told, tried in a process of their own, kept, undone; and what does not fit."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard import retraining, tags
from dashboard.views.retrain import verdict
from pipeline import override_edits, overrides, retrain, tag_changes
from pipeline.errors import UserError
from pipeline.overrides import Override
from pipeline.paths import Paths
from tests.dashboard.test_pages import open_page, sentences
from tests.pipeline import project
from tests.report import material

N_GROUPS = 12


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve groups of a real and a fake video, vectors that tell them apart, folds, settings."""
    monkeypatch.setenv("LF_PROJECT", str(tmp_path))
    rows = material.fill(tmp_path, n_groups=N_GROUPS, n_frames=2)
    rng = np.random.default_rng(0)
    faces = [r for r in rows["faces"] if r["status"] == "ok"]
    vectors = rng.normal(size=(len(faces), 6)) + np.outer([r["label"] for r in faces], np.ones(6))
    material.write(
        tmp_path,
        "embeddings",
        [{"face_id": r["face_id"], "embedder_id": "b0", "embedding": v} for r, v in zip(faces, vectors, strict=True)],
    )
    videos = {r["video_id"]: r["source_group"] for r in faces}
    splits = [
        {"video_id": v, "source_group": g, "unit": g, "split": "train", "fold": int(g[1:]) % 3}
        for v, g in videos.items()
    ]
    material.write(tmp_path, "splits", splits)
    project.write_params(tmp_path, project.SMALL | {"spaces": ["efficientnet"]})
    return tmp_path


def texts(app: AppTest) -> str:
    return "\n".join(e.value for e in (*app.markdown, *app.caption, *app.success)).replace("\\", "")


def test_tags_are_tried_kept_and_undone(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faces = retrain.usable_faces(Paths(root))
    wrong = faces.loc[faces["video_id"].eq("v000"), "face_id"].tolist()
    tags.put(wrong, "<b>seen</b>", kind="label", value="fake")
    tags.put(faces.loc[faces["video_id"].eq("v011"), "face_id"].tolist()[:1], "blurred", kind="exclusion", value=None)
    app = open_page("retrain", root, monkeypatch)
    tiles = {m.label: m.value for m in app.metric}
    assert tiles["Become fake"] == str(len(wrong))
    assert (tiles["Excluded"], tiles["Source groups touched"]) == ("1", "2")
    assert "1 source groups have no genuine face left" in sentences(app)
    app.button(key="retrain_go").click().run()
    assert not app.exception
    assert "Training twice" in sentences(app)
    with pytest.raises(UserError, match="another retraining is running"):
        retraining.start("efficientnet", ["blurred"])
    for _ in range(600):
        if retraining.running() is None:
            break
        time.sleep(0.1)
    app.run()
    assert not app.exception
    table = next(d.value for d in app.dataframe if "with tags" in d.value.columns)
    assert table["metric"].tolist() == ["ROC-AUC", "Accuracy", "Balanced accuracy", "Log-loss"]
    assert app.segmented_control(key="truth").options[-1] == "the corrected labels, without excluded faces"
    assert "12 groups that are kept together" in texts(app)
    assert not (root / "overrides.csv").exists()  # nothing is kept before it is asked for
    app.button(key="keep_go").click().run()
    assert not app.exception
    kept = {(o.kind, o.key): o.change for o in overrides.read(root / "overrides.csv")}
    assert kept[("video", "v000")] == "fake"
    assert sorted(kept.values()) == ["exclude", "fake"]
    assert "Run `dvc repro`" in sentences(app)
    project.run(Paths(root), "split")
    app.run()
    assert "Run `dvc repro`" not in sentences(app)
    app.button(key="undo_keep").click().run()
    assert not app.exception
    assert overrides.read(root / "overrides.csv") == []
    assert app.button(key="undo_keep").disabled


def test_the_numbers_are_those_of_the_same_models(root: Path) -> None:
    faces = retrain.usable_faces(Paths(root))
    settings = project.params.load(root / "params.yaml")
    tags.put(faces["face_id"].tolist()[:3], "note", kind="note", value=None)
    found = retrain.run(Paths(root), settings, retrain.Asked("efficientnet"))
    assert {r["difference"] for r in found["rows"]} == {0.0}  # notes change nothing
    assert found["n_unplaced"] == 0
    assert {r["truth"] for r in found["rows"]} == {"original", "corrected"}
    monkey = pd.DataFrame({"unit": np.repeat(["a", "b", "c"], 4), "face_id": [f"{i}" for i in range(12)]})
    changes = tag_changes.Changes({"9": 1}, frozenset(), {}, frozenset(), frozenset())
    some = retrain._sample(monkey, changes, n_max=8, seed=0)
    assert "c" in set(some["unit"])  # what tags touch comes first
    assert len(some) == 8
    with pytest.raises(UserError, match="reads stored spaces alone"):
        retrain.run(Paths(root), settings, retrain.Asked("residual"))
    with pytest.raises(UserError, match="unknown"):
        retrain.run(Paths(root), settings, retrain.Asked("../x"))


def tagged(*rows: tuple[str, str, str, str | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["face_id", "tag", "kind", "value"])
    return table.assign(created=pd.date_range("2026-01-01", periods=len(rows), tz="UTC"))


def test_what_contradicts_itself_is_said() -> None:
    faces = pd.DataFrame(
        {"face_id": list("abcdef"), "video_id": list("uuvvww"), "label": [0, 0, 1, 1, 1, 1], "source_group": "g"}
    ).assign(excluded=False)
    every = tagged(
        ("a", "x", "label", "real"), ("a", "y", "label", "fake"), ("c", "x", "label", "real"),
        ("c", "z", "exclusion", None), ("e", "x", "label", "fake"), ("q", "x", "label", "fake"),
    )  # fmt: skip
    found = tag_changes.touched(tag_changes.of_tags(every), faces)
    assert (found.n_to_fake, found.n_to_real, found.n_excluded, found.n_same, found.n_strangers) == (1, 0, 1, 1, 1)
    said = " ".join(found.remarks)
    assert "1 faces are labelled both real and fake" in said
    assert "1 faces are labelled and excluded" in said
    assert "Of 1 videos only some faces are relabelled" in said
    assert "1 tagged faces are not among" in said
    lines = {(o.kind, o.key): o.change for o in tag_changes.as_overrides(tag_changes.of_tags(every), faces)}
    assert lines == {("face", "a"): "fake", ("face", "c"): "exclude", ("face", "e"): "fake"}
    assert tag_changes.of_tags(every, ["z"]).faces == {"c"}


def test_a_label_takes_back_a_kept_exclusion(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    file.write_text(overrides.text_of([Override("video", "u", "exclude"), Override("face", "c", "exclude")]))
    faces = pd.DataFrame(
        {"face_id": list("abcd"), "video_id": list("uuvv"), "label": [0, 0, 1, 1], "source_group": "g"}
    )
    kept = overrides.marked(faces, pd.DataFrame(overrides.resolve(overrides.read(file), faces)[0]))
    assert kept["excluded"].tolist() == [True, True, True, False]
    changes = tag_changes.of_tags(
        tagged(("a", "x", "label", "real"), ("b", "z", "exclusion", None), ("c", "x", "label", "real"))
    )
    found = tag_changes.touched(changes, kept)
    assert (found.n_back, found.n_excluded, found.n_to_real, found.n_same, found.n_strangers) == (2, 0, 1, 1, 0)
    assert (found.n_faces, found.n_videos) == (2, 2)
    assert "1 source groups held forgeries alone and now hold a genuine face" in " ".join(found.remarks)
    video_of = dict(zip(faces["face_id"], faces["video_id"], strict=True))
    lines = tag_changes.as_overrides(changes, kept)
    assert {o.key: o.change for o in lines} == {"a": "real", "c": "real"}  # b is out already, by its video's line
    override_edits.keep(file, tmp_path / "tags", override_edits.plan(file, lines, video_of), lines, video_of)
    after = overrides.marked(faces, pd.DataFrame(overrides.resolve(overrides.read(file), faces)[0]))
    assert after["excluded"].tolist() == [False, True, False, False]
    assert after["label"].tolist() == [0, 0, 0, 1]


def test_a_group_that_was_excluded_whole_held_no_forgeries() -> None:
    faces = pd.DataFrame({"face_id": list("ab"), "video_id": "u", "label": 0, "source_group": "g", "excluded": True})
    found = tag_changes.touched(tag_changes.of_tags(tagged(("a", "x", "label", "real"))), faces)
    assert (found.n_back, found.remarks) == (1, ())
    assert tag_changes.as_overrides(tag_changes.of_tags(tagged(("a", "z", "exclusion", None))), faces) == []


def test_nothing_is_replaced_silently(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    file.write_text(overrides.text_of([Override("face", "a", "real", "mine"), Override("face", "b", "fake")]))
    lines = [Override("face", "a", "fake"), Override("face", "b", "fake"), Override("video", "v", "exclude")]
    edit = override_edits.plan(file, lines, {})
    assert ([o.key for o in edit.added], len(edit.replaced), len(edit.same)) == (["v"], 1, 1)
    before = file.read_text()
    file.write_text(overrides.text_of([]))
    with pytest.raises(UserError, match="was changed meanwhile"):
        override_edits.keep(file, tmp_path / "tags", edit, lines, {})
    file.write_text(before)
    override_edits.keep(file, tmp_path / "tags", edit, lines, {})
    assert "mine" not in file.read_text()
    after = file.read_text()
    file.write_text(after + "c,,real,by hand\n")
    with pytest.raises(UserError, match="nothing to undo"):
        override_edits.undo(file, tmp_path / "tags")
    file.write_text(after)
    override_edits.undo(file, tmp_path / "tags")
    assert file.read_text() == before


def test_pages_without_tags_or_with_damaged_files_say_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No face is tagged" in sentences(open_page("retrain", root, monkeypatch))
    faces = retrain.usable_faces(Paths(root))["face_id"].tolist()
    tags.put(faces[:2], "n", kind="note", value=None)
    assert "All tags are notes" in sentences(open_page("retrain", root, monkeypatch))
    tags.put(faces[:2], "e", kind="exclusion", value=None)
    (root / "overrides.csv").write_text("a,b\n")
    assert "expected the header" in sentences(open_page("retrain", root, monkeypatch)).replace("Expected", "expected")
    (root / "overrides.csv").unlink()
    key = retraining.key_of("efficientnet", ["e"])
    folder = root / "work" / "retrain"
    folder.mkdir(parents=True)
    (folder / f"{key}.json").write_text(json.dumps({"error": "nothing can be trained: <b>odd</b>"}))
    assert "Nothing can be trained: <b>odd</b>" in sentences(open_page("retrain", root, monkeypatch))
    (folder / f"{key}.json").write_text("{")
    assert "cannot be read" in sentences(open_page("retrain", root, monkeypatch))
    hostile = {"folded": "<script>", "retrain_space": "../..", "truth": "x"}
    open_page("retrain", root, monkeypatch, query=hostile)
    material.write(root, "faces", [])
    assert "has no rows" in sentences(open_page("retrain", root, monkeypatch))
    Paths(root).table("tags").write_bytes(b"nothing")
    assert "not a readable" in sentences(open_page("retrain", root, monkeypatch))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"metric": "log_loss", "ci_low": -0.2, "ci_high": -0.1, "reason": None}, "better with tags"),
        ({"metric": "roc_auc", "ci_low": -0.2, "ci_high": -0.1, "reason": None}, "worse with tags"),
        ({"metric": "roc_auc", "ci_low": -0.2, "ci_high": 0.1, "reason": None}, "no difference to be told from chance"),
        ({"metric": "roc_auc", "ci_low": None, "ci_high": None, "reason": "only real items"}, "only real items"),
    ],
)
def test_an_interval_is_put_into_words(row: dict[str, Any], said: str) -> None:
    assert verdict(row) == said


def test_a_video_s_line_is_not_outdone_by_an_older_one_of_its_face(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    file.write_text(overrides.text_of([Override("face", "a", "fake"), Override("face", "c", "fake")]))
    faces = pd.DataFrame({"face_id": list("abc"), "video_id": list("uuv"), "label": 0, "source_group": "g"}).assign(
        excluded=False
    )
    video_of = dict(zip(faces["face_id"], faces["video_id"], strict=True))
    lines = tag_changes.as_overrides(
        tag_changes.of_tags(tagged(("a", "x", "label", "real"), ("b", "x", "label", "real"))), faces
    )
    assert [(o.kind, o.key) for o in lines] == [("video", "u")]
    edit = override_edits.plan(file, lines, video_of)
    assert [(old.key, new.key) for old, new in edit.replaced] == [("a", "u")]
    override_edits.keep(file, tmp_path / "tags", edit, lines, video_of)
    rows, unknown = overrides.resolve(overrides.read(file), faces)
    assert {r["face_id"]: r["label"] for r in rows} == {"a": 0, "b": 0, "c": 1}
    assert unknown == 0


def test_a_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    file = tmp_path / "overrides.csv"
    (tmp_path / "tags").write_text("a file where the folder should be")
    lines = [Override("face", "a", "real")]
    with pytest.raises(UserError, match=r"overrides-undo\.json cannot be written"):
        override_edits.keep(file, tmp_path / "tags", override_edits.plan(file, lines, {}), lines, {})
    with pytest.raises(UserError, match="cannot be written"):
        override_edits._write(tmp_path / "tags" / "overrides.csv", "")
