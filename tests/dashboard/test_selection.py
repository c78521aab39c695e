"""Profiles, tags, exports, search: what is done with a selection, without the page."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dashboard import exports, profiles, similar, tags
from pipeline import locks
from pipeline.errors import UserError
from pipeline.ingest.layouts import listed
from pipeline.paths import Paths
from tests.report import material


def test_a_share_over_single_faces_has_wilson_s_interval() -> None:
    values = np.array([1.0] * 30 + [0.0] * 70)
    found = profiles.estimate(values, np.arange(100), is_share=True)
    assert found.value == 0.3
    # Wilson's score interval of 30 of 99 effective faces by Student's t(99) = 1.984; 0.219 to 0.396 by the normal law.
    assert (found.low, found.high) == pytest.approx((0.218, 0.397), abs=0.002)
    assert profiles.estimate(np.zeros(20), np.arange(20) // 2, is_share=True).high > 0.25  # ten groups, none fake


def test_faces_of_one_group_count_once() -> None:
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 25)
    values = np.repeat(rng.integers(0, 2, 40), 25).astype(float)
    together = profiles.estimate(values, groups, is_share=True)
    alone = profiles.estimate(values[::25], np.arange(40), is_share=True)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    assert together.n_groups == 40


def test_intervals_agree_with_drawing_groups() -> None:
    rng = np.random.default_rng(1)
    groups = np.sort(rng.integers(0, 60, 900))
    values = rng.normal(size=900) + rng.normal(size=60)[groups]
    a = rng.random(900) < 0.4
    b = ~a
    mean, apart = profiles.estimate(values, groups, is_share=False), profiles.difference(values, groups, a, b)
    draws = rng.multinomial(60, np.full(60, 1 / 60), size=4000)

    def drawn(rows: np.ndarray) -> np.ndarray:
        total, n = np.bincount(groups[rows], values[rows], 60), np.bincount(groups[rows], minlength=60)
        return (draws @ total) / (draws @ n)

    # Half-widths of a t interval and of the draws' spread: within the noise of 4,000 draws and of linearising.
    assert (mean.high - mean.low) / 2 == pytest.approx(2.0 * drawn(a | b).std(), rel=0.08)
    assert (apart.high - apart.low) / 2 == pytest.approx(2.0 * (drawn(a) - drawn(b)).std(), rel=0.08)
    assert apart.value == pytest.approx(values[a].mean() - values[b].mean())


def test_a_profile_marks_what_differs_and_nothing_else() -> None:
    rng = np.random.default_rng(2)
    n = 600
    points = pd.DataFrame(
        {
            "label": rng.choice(["real", "fake", "unknown"], n), "method": rng.choice(["a", "b"], n),
            "compression": "c23", "dataset": None, "split": None, "identity": None, "video_id": "v",
            "source_group": [f"g{i % 50}" for i in range(n)], "blur": rng.normal(100, 10, n).astype(np.float32),
        }
    )  # fmt: skip
    a = np.arange(n) < 200
    points.loc[a, "method"] = "a"
    table = profiles.profile(points, np.arange(n) % 50, a, ~a).set_index("what")
    assert table.loc["a", "a"] == 1.0
    assert table["differs"].to_dict() == {"fake": False, "a": True, "b": True, "sharpness": False}  # one compression
    assert profiles.sizes(points, a) == profiles.Sizes(200, 1, 50, None)


def test_few_groups_have_a_difference_and_no_verdict() -> None:
    values = np.tile([0.0, 1.0], 9)
    groups = np.arange(18) // 2 * 2 + np.tile([0, 1], 9)  # nine groups of either value
    a = values == 1
    told = profiles.difference(values, groups, a, ~a)
    assert (told.value, told.n_groups) == (1.0, 9)
    assert np.isfinite([told.low, told.high]).all()
    a[np.flatnonzero(a)[:2]] = False  # seven are left on one side
    few = profiles.difference(values, groups, a, values == 0)
    assert (few.value, few.n_groups) == (1.0, profiles.MIN_GROUPS - 1)
    assert np.isnan([few.low, few.high]).all()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LF_PROJECT", str(tmp_path))
    return tmp_path


def test_tags_are_kept_replaced_and_taken_off(project: Path) -> None:
    assert tags.read().empty
    assert tags.put(["a", "b", "a"], " checked\n", kind="label", value="fake") == 2
    assert tags.put(["b"], "checked", kind="label", value="real") == 2
    assert tags.put(["b"], "<b>odd</b>", kind="note", value=None) == 3
    assert (project / "tags" / "tags.parquet").is_file()
    assert list((project / "tags").iterdir()) == [project / "tags" / "tags.parquet"]  # nothing half-written stays
    kept = tags.read().set_index(["face_id", "tag"])["value"].to_dict()
    assert kept[("a", "checked")] == "fake"
    assert kept[("b", "checked")] == "real"
    assert tags.shown(tags.read()).to_dict() == {"a": "checked: fake", "b": "<b>odd</b>"}
    assert tags.remove(["b"], "checked") == 2
    assert ("b", "checked") not in set(tags.read().set_index(["face_id", "tag"]).index)


def test_tags_wait_for_another_writer(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locks, "WAIT_S", 0.1)
    with locks.alone(Paths(project), "tags"):
        with pytest.raises(UserError, match="somebody else has been writing tags"):
            tags.put(["f0"], "x", kind="note", value=None)
        with pytest.raises(UserError, match="somebody else"):
            tags.remove(["f0"], "x")
    assert tags.put(["f0"], "x", kind="note", value=None) == 1


@pytest.mark.parametrize(
    ("faces", "tag", "kind", "value", "said"),
    [
        ([], "x", "note", None, "no face is selected"),
        (["a"], " \n", "note", None, "1 to 80 characters, got 0"),
        (["a"], "x" * 81, "note", None, "got 81"),
        (["a"], "x", "label", "maybe", "'real' or 'fake', got 'maybe'"),
        (["a"], "x", "verdict", None, "one of label, exclusion, note, got 'verdict'"),
    ],
)
def test_bad_tags_are_refused(
    project: Path, faces: list[str], tag: str, kind: str, value: str | None, said: str
) -> None:
    with pytest.raises(UserError, match=said):
        tags.put(faces, tag, kind=kind, value=value)
    assert tags.read().empty


def test_a_damaged_tag_file_is_said_and_not_overwritten(project: Path) -> None:
    tags.put(["a"], "x", kind="note", value=None)
    file = project / "tags" / "tags.parquet"
    file.write_bytes(file.read_bytes()[:-9])
    before = file.read_bytes()
    with pytest.raises(UserError, match=r"cannot be read|not a readable"):
        tags.put(["a"], "y", kind="note", value=None)
    assert file.read_bytes() == before


def tagged(*rows: tuple[str, str, str | None]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["face_id", "kind", "value"])
    return table.assign(tag="t", created=pd.date_range("2026-01-01", periods=len(rows), tz="UTC"))


def faces_of(*rows: tuple[str, str, str]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["face_id", "rel_path", "label"])
    return table.assign(source_group="g, 1", method="m", compression="c23", identity=None)


def test_label_files_fold_tags_in() -> None:
    rows = faces_of(
        ("f1", "a.mp4", "real"), ("f2", "a.mp4", "real"), ("f3", "b,c.mp4", "real"), ("f4", "d.mp4", "unknown"),
        ("f5", "e.mp4", "fake"), ("f6", "g.mp4", "fake"),
    )  # fmt: skip
    made = exports.labels_csv(
        rows,
        tagged(
            ("f1", "label", "fake"), ("f3", "label", "real"), ("f3", "label", "fake"), ("f5", "exclusion", None),
        ),
        by="video",
    )  # fmt: skip
    read = pd.read_csv(io.StringIO(made.text))
    assert dict(zip(read["file"], read["label"], strict=True)) == {"b,c.mp4": "fake", "g.mp4": "fake"}
    assert read["method"].tolist()[1] == "m"
    assert read["method"].isna().tolist()[0]  # found fake by a person: by which method is not known
    assert (made.n_files, made.n_excluded, made.n_unlabelled, made.n_contradicting) == (2, 1, 1, 1)
    assert "1 with faces labelled both real and fake" in made.remarks()


def test_exported_crops_are_a_data_set_that_the_pipeline_reads(project: Path, tmp_path: Path) -> None:
    rows = material.fill(project, n_groups=2, n_frames=2)
    faces = pd.DataFrame([r for r in rows["faces"] if r["status"] == "ok"])
    faces = faces.assign(
        rel_path="x", label=faces["label"].map({0: "real", 1: "fake"}), compression="c23", identity=None
    )
    first = faces["face_id"].iloc[0]
    packed = exports.crops_zip(faces, tagged((first, "label", "fake")))
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path / "crops")
    records = {Path(r.rel_path).stem: r for r in listed.crops(tmp_path / "crops")}
    assert len(records) == len(faces) == 8
    assert {r.status for r in records.values()} == {"ok"}
    assert records[first].label == 1
    assert records[first].source_group == "g00"


@pytest.mark.parametrize(("base", "by_length"), [("efficientnet", False), ("wplus", True)])
def test_faces_like_one_are_the_nearest_of_all(project: Path, base: str, by_length: bool) -> None:
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(50, 8)) + 5).astype(np.float32)  # a common part, as activations have
    ids = [f"f{i:02d}" for i in range(50)]
    if base == "wplus":
        facts = {"inverter_id": "i", "n_channels": 1, "steps_run": 0, "seed": 0, "status": "ok"}
        rows = [{"face_id": f, "wplus": v.tolist(), **facts} for f, v in zip(ids, vectors, strict=True)]
        material.write(project, "wplus", rows)
    else:
        rows = [
            {"face_id": f, "embedder_id": "net", "embedding": v.tolist()} for f, v in zip(ids, vectors, strict=True)
        ]
        # Another kind of vectors in the same table, of another length, which must not be compared with.
        rows += [{"face_id": f, "embedder_id": "frequency-16", "embedding": [0.0] * 3} for f in ids]
        material.write(project, "embeddings", rows)
    found, distance = similar.like("f07", base, k=5)
    if by_length:
        expected = np.linalg.norm(vectors - vectors[7], axis=1)
    else:
        centred = vectors - vectors.mean(axis=0)
        expected = 1 - centred @ centred[7] / np.linalg.norm(centred, axis=1) / np.linalg.norm(centred[7])
    order = [i for i in np.argsort(expected, kind="stable") if i != 7][:5]
    assert found == [ids[i] for i in order]
    assert distance == pytest.approx(expected[order], abs=1e-5)
    with pytest.raises(UserError, match="face 'nobody' has no vector"):
        similar.like("nobody", base, k=5)
