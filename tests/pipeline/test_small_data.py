"""Stages for few videos: self-blended faces, learning curves, warm starts. Random textures stand for faces."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifiers.persist import load_model, read_card
from pipeline import model_card, tables
from pipeline.errors import UserError
from pipeline.ingest.align import align_ffhq
from pipeline.ingest.aligned import landmarks_in_crop
from pipeline.paths import Paths
from pipeline.report.load import read_light
from tests.pipeline import project
from tests.report import material

SETTINGS = {
    "spaces": ["efficientnet"],
    "train.models": ["logistic"],
    "split.fractions": [0.5, 0.5, 0.0],
    "split.n_folds": 2,
    "split.leaks": "warn",
    "faces.crop": "whole",
    "embed.features": "logits",
    "learning.quick": {"sizes": [4, 6], "n_draws": 2},
}


def make(folder: Path, *, seed: int = 0, n_groups: int = 10, prefix: str = "", **changes: object) -> Paths:
    """A project whose tables ``videos`` and ``faces`` are filled and nothing else."""
    made = material.rows_of(n_groups=n_groups, n_frames=1, seed=seed)
    for table in ("videos", "faces"):
        for row in made[table]:
            row |= {name: prefix + row[name] for name in ("face_id", "video_id", "source_group") if name in row}
        material.write(folder, table, made[table])
    project.write_params(folder, SETTINGS | changes)
    return Paths(folder)


def ids(paths: Paths, name: str, column: str = "face_id") -> list[str]:
    return tables.read(paths.table(name), name, columns=[column]).column(0).to_pylist()


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    paths = make(tmp_path_factory.mktemp("small"), **{"sbi.n_per_real_face": 2})
    project.run(paths, "blend", "split", "embed", "train", "learning")
    return paths


def test_each_genuine_face_has_its_blends_and_they_stand_with_it(done: Paths) -> None:
    blended = tables.read_pandas(done.table("blended"), "blended")
    faces = tables.read_pandas(done.table("faces"), "faces").set_index("face_id")
    genuine = faces[(faces["label"] == 0) & (faces["status"] == "ok")]
    assert sorted(blended["parent_face_id"].unique()) == sorted(genuine.index)
    assert len(blended) == 2 * len(genuine)
    parents = genuine.loc[blended["parent_face_id"]]
    assert (blended["source_group"].to_numpy() == parents["source_group"].to_numpy()).all()
    assert (blended["video_id"].to_numpy() == parents["video_id"].to_numpy()).all()
    assert set(blended["label"]) == {1}
    assert set(blended["method"]) == {"self-blended"}
    assert not set(blended["face_id"]) & set(faces.index)
    first = blended.iloc[0]
    made, parent = (
        np.asarray(Image.open(io.BytesIO(png)), dtype=int)
        for png in (first["image"], faces.loc[first["parent_face_id"], "image"])
    )
    assert made.shape == parent.shape
    assert np.abs(made - parent).max() > 0


def test_blends_are_made_alike_again(done: Paths, tmp_path: Path) -> None:
    again = make(tmp_path, **{"sbi.n_per_real_face": 1})
    project.run(again, "blend")
    ours, theirs = (tables.read_pandas(p.table("blended"), "blended") for p in (again, done))
    theirs = theirs[theirs["k"] == 0].reset_index(drop=True)
    assert ours.equals(theirs), "neither their number nor the folder changes them"


def test_blends_have_vectors_of_their_own_and_are_in_no_other_table(done: Paths) -> None:
    assert sorted(ids(done, "embeddings_blended")) == sorted(ids(done, "blended"))
    blended = set(ids(done, "blended"))
    assert not blended & set(ids(done, "embeddings"))
    assert not blended & set(ids(done, "predictions", "id"))
    assert len(ids(done, "predictions", "id")) == 3 * 20  # each face, track and video once


def test_blends_train_the_model(done: Paths, tmp_path: Path) -> None:
    card = read_card(done.model("efficientnet", "logistic"))
    assert card["info"]["n_extra_train"] == 20
    assert card["info"]["share_fake_train"] == pytest.approx(30 / 40)
    plain = make(tmp_path)
    shutil.copytree(done.table("embeddings"), plain.table("embeddings"))
    project.run(plain, "blend", "split", "train")
    assert ids(plain, "blended") == []
    assert "n_extra_train" not in read_card(plain.model("efficientnet", "logistic"))["info"]


def test_the_learning_table_has_both_levels_and_a_plot(done: Paths) -> None:
    rows = read_light(done.table("learning"), "learning")
    assert set(zip(rows["level"], rows["metric"], strict=True)) == {
        (level, metric) for level in ("frame", "video") for metric in ("roc_auc", "log_loss")
    }
    assert sorted(rows["n_groups"].unique()) == [4, 6]
    assert rows["value"].notna().all()
    lines = (done.plots / "learning" / "efficientnet.csv").read_text().splitlines()
    assert lines[0] == "n_groups,log_loss,roc_auc"
    assert len(lines) == 3


def test_without_enough_groups_the_reason_stands_in_the_table(tmp_path: Path, done: Paths) -> None:
    paths = make(tmp_path, **{"learning.quick": {"sizes": [50], "n_draws": 1}})
    shutil.copytree(done.table("embeddings"), paths.table("embeddings"))
    project.run(paths, "split", "learning")
    assert ids(paths, "learning", "space") == []
    assert "more than the 10 source groups" in tables.metadata(paths.table("learning"))["skipped"][0]


def start_at(done: Paths, tmp_path: Path, *, prefix: str, folder: str = "earlier") -> Paths:
    """A project that starts from the model of another."""
    shutil.copytree(done.model("efficientnet", "logistic"), tmp_path / folder)
    paths = make(tmp_path, prefix=prefix, **{"train.warm_start": folder})
    faces = tables.read_pandas(done.table("embeddings"), "embeddings")
    rows = [{**row, "face_id": prefix + row["face_id"]} for row in faces.to_dict("records")]
    material.write(tmp_path, "embeddings", rows)
    project.run(paths, "split")
    return paths


def test_a_warm_start_is_taken_and_passed_on(done: Paths, tmp_path: Path) -> None:
    paths = start_at(done, tmp_path, prefix="x")
    project.run(paths, "train")
    card = read_card(paths.model("efficientnet", "logistic"))
    assert "start" in card["info"]
    assert len(card["metadata"]["videos"]) == 40, "its own videos and those of the model it began with"
    assert np.isfinite(load_model(paths.model("efficientnet", "logistic")).coef).all()
    assert card["metadata"]["start"]["fingerprint"] == read_card(tmp_path / "earlier")["metadata"]["fingerprint"]


def test_the_mark_of_the_sample_set_is_inherited_by_a_warm_start(tmp_path: Path) -> None:
    material.write(tmp_path, "faces", [], params={"data": {"source": "folder"}})
    own = model_card.material(Paths(tmp_path))
    assert not own["trained_on_sample"]
    first = model_card._origin(own, {"metadata": {"source": "sample", "trained_on_sample": True}})
    second = model_card._origin(own, {"metadata": first})
    assert first["trained_on_sample"]
    assert second["trained_on_sample"], "and by what begins at that one"


def test_a_warm_start_that_would_flatter_or_does_not_fit_is_refused(done: Paths, tmp_path: Path) -> None:
    def refused(name: str, message: str, *, prefix: str = "x", changes: Sequence[tuple[str, object]] = ()) -> None:
        (tmp_path / name).mkdir()
        paths = start_at(done, tmp_path / name, prefix=prefix)
        project.write_params(tmp_path / name, SETTINGS | {"train.warm_start": "earlier"} | dict(changes))
        with pytest.raises(UserError, match=message):
            project.run(paths, "train")

    refused("same", "trained on 20 of these videos", prefix="")
    refused("other", "'logistic' on 'efficientnet', which is not trained here", changes=[("train.models", ["rf"])])
    refused("gone", "No model in", changes=[("train.warm_start", "nowhere")])
    refused("inside", "replaced by this run", changes=[("train.warm_start", "models/efficientnet-logistic")])
    (tmp_path / "maker").mkdir()
    paths = start_at(done, tmp_path / "maker", prefix="x")
    rows = tables.read_pandas(paths.table("embeddings"), "embeddings").assign(embedder_id="another")
    material.write(tmp_path / "maker", "embeddings", rows.to_dict("records"))
    with pytest.raises(UserError, match=r"the model reads vectors made by .*here they are made by another"):
        project.run(paths, "train")


def test_landmarks_are_found_again_in_the_aligned_face() -> None:
    """Dots painted at the landmarks of a turned face lie where the crop's landmarks are said to be."""
    points = np.array([[150.0, 110], [205, 140], [160, 160], [125, 170], [170, 195]])
    frame = np.zeros((320, 320, 3), np.uint8)
    for x, y in points.astype(int):
        frame[y - 2 : y + 3, x - 2 : x + 3] = 255
    crop = align_ffhq(frame, points, size_px=256)
    found = landmarks_in_crop("ffhq", points.ravel().tolist(), None, margin=0, size_px=256)
    assert found is not None
    for x, y in np.rint(found).astype(int):
        assert crop[y - 1 : y + 2, x - 1 : x + 2].max() > 150
    box = [100.0, 90.0, 220.0, 210.0]
    in_margin = landmarks_in_crop("margin", points.ravel().tolist(), box, margin=0.5, size_px=90)
    np.testing.assert_allclose(in_margin, (points - [70, 60]) / 2)
    assert landmarks_in_crop("whole", points.ravel().tolist(), box, margin=0.5, size_px=90) is None
