"""Names of spaces, vectors put together from several, and what the stage ``train`` makes of them."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from classifiers.persist import load_model, read_card
from pipeline import params, spaces, tables
from pipeline.errors import UserError
from pipeline.ingest.encoding import encode_png
from pipeline.paths import Paths
from pipeline.schemas import SPACES
from pipeline.stages import features, train
from pipeline.stages.residuals import read_residuals
from tests.pipeline import project

N_GROUPS, N_CHANNELS = 8, 3
W = spaces.W_DIM


@pytest.mark.parametrize(
    ("space", "kept"),
    [
        ("wplus", range(16)),
        ("wplus.3", [3]),
        ("wplus.0-2.7", [0, 1, 2, 7]),
        ("wplus.coarse", [0, 1, 2]),
        ("wplus.middle", [3, 4, 5, 6]),
        ("wplus.fine", range(7, 16)),
        ("wplus.fine.0", [0, *range(7, 16)]),
    ],
)
def test_channels_are_cut_out(space: str, kept: Any) -> None:
    codes = np.repeat(np.arange(16, dtype=np.float32), W)[None].repeat(2, axis=0)
    found = spaces.assemble({"wplus": codes}, space)
    assert found.shape == (2, W * len(kept))
    assert found[1, ::W].tolist() == list(kept)


def test_bands_part_the_channels_of_every_generator() -> None:
    for n_channels in (14, 16, 18):
        codes = np.repeat(np.arange(n_channels, dtype=np.float32), W)[None]
        parts = [spaces.assemble({"wplus": codes}, f"wplus.{band}")[0, ::W].tolist() for band in spaces.BANDS]
        assert list(chain(*parts)) == list(range(n_channels))


def test_parts_stand_side_by_side_in_the_order_of_the_name() -> None:
    a, b = np.ones((3, 2 * W), np.float32), np.full((3, 4), 2, np.float32)
    both = {"wplus": a, "efficientnet": b, "pca": b}
    assert spaces.assemble(both, "efficientnet+wplus.1")[0].tolist() == [2.0] * 4 + [1.0] * W
    assert spaces.assemble(both, "efficientnet") is b
    assert spaces.bases("efficientnet+wplus.1") == ("efficientnet", "wplus")


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            "wplus+colour",
            r"unknown space 'wplus\+colour', expected wplus, efficientnet, frequency, pca, vqvae, residual",
        ),
        ("pca.3", "unknown space"),
        ("wplus.", "unknown space"),
        ("../wplus", "unknown space"),
        ("wplus\n", "unknown space"),
        ("wplus.3-1", "write 1-3"),
        ("wplus.0+wplus.1", "the same vectors twice"),
        ("wplus.2", "W\\+ has 0 to 1 here"),
        ("pca", "needs vectors of 'pca', got efficientnet, residual, wplus"),
        ("wplus+residual", "3 and 2 rows"),
    ],
)
def test_what_is_no_space_or_not_there_is_named(space: str, message: str) -> None:
    parts = {"wplus": np.zeros((3, 2 * W)), "efficientnet": np.zeros((3, 1)), "residual": np.zeros((2, 1))}
    with pytest.raises(ValueError, match=message):
        spaces.assemble(parts, space)
    with pytest.raises(ValueError, match="no whole number of channels"):
        spaces.assemble({"wplus": np.zeros((3, W + 1))}, "wplus")


def test_every_stored_space_is_known_and_names_are_file_names() -> None:
    assert set(SPACES) == set(params.Params.model_fields["spaces"].annotation.__args__[0].__args__)
    assert re.fullmatch(r"[\w.+-]+", "wplus.0-2.7+efficientnet+residual")
    assert re.match(spaces.PATTERN, "wplus.0-2.7+efficientnet+residual")


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (["wplus+x"], r"train.spaces: .*unknown space"),
        (["pca"], "'pca' needs 'pca' among spaces"),
        (["efficientnet", "efficientnet"], "twice"),
        ([], "train.spaces"),
    ],
)
def test_spaces_to_train_on_are_checked(tmp_path: Path, wanted: list[str], message: str) -> None:
    project.write_params(tmp_path, {"train.spaces": wanted})
    with pytest.raises(UserError, match=message):
        params.load(tmp_path / "params.yaml")
    project.write_params(tmp_path, {"train.spaces": ["residual"], "spaces": ["efficientnet"]})
    with pytest.raises(UserError, match="'residual' needs 'wplus'"):
        params.load(tmp_path / "params.yaml")


def test_another_model_or_space_trains_the_others_not_anew(tmp_path: Path) -> None:
    def fingerprinted(**changes: Any) -> dict[str, Any]:
        project.write_params(tmp_path, changes)
        return params.StageParams(params.load(tmp_path / "params.yaml"), train.STAGE.sections).as_dict()

    before = fingerprinted()
    assert fingerprinted(**{"train.models": ["svm_rbf"], "train.spaces": ["wplus.0"]}) == before
    assert fingerprinted(**{"train.balance": "frames"}) != before


def write(paths: Paths, *, n_dims: int = N_CHANNELS * W, **spoil: Any) -> None:
    """Tables of eight source groups, each a real video of one frame and a fake one of two."""
    rng = np.random.default_rng(0)
    rows: dict[str, list[dict[str, Any]]] = {n: [] for n in ("faces", "wplus", "reconstructions", "embeddings")}
    splits = []
    for group in range(N_GROUPS):
        for label, n_frames in ((0, 1), (1, 2)):
            video = f"v{group}{label}"
            splits.append(
                {"video_id": video, "source_group": f"g{group}", "split": "train" if group < 6 else "test",
                 "fold": group % 2}
            )  # fmt: skip
            for frame in range(n_frames):
                face = f"{video}{frame}"
                made = rng.integers(50, 200, (32, 32, 3), dtype=np.uint8)
                image = made + np.uint8(3 * label)
                place = {"label": label, "source_group": f"g{group}", "video_id": video}
                rows["faces"].append(
                    {"face_id": face, "frame_index": frame, "track_id": 0, "image": encode_png(image), "status": "ok"}
                    | place
                )
                code = rng.normal(size=n_dims).astype(np.float32)
                code[:4] += 3 * label
                rows["wplus"].append(
                    {"face_id": face, "inverter_id": "mobile-x", "wplus": code, "n_channels": N_CHANNELS,
                     "steps_run": 0, "seed": 0, "lpips": 0.2, "status": "ok"}
                )  # fmt: skip
                rows["reconstructions"].append({"face_id": face, "inverter_id": "mobile-x", "image": encode_png(made)})
                rows["embeddings"].append(
                    {"face_id": face, "embedder_id": "lite0-x", "embedding": rng.normal(size=6).astype(np.float32)}
                )
    for name, change in spoil.items():
        change(rows[name])
    for name, content in rows.items():
        meta = {"fingerprint": name, "params": {"data": {"source": "sample"}}, "weights": {"unknown-net": "ab" * 32}}
        tables.write_rows(content, paths.table(name), name=name, meta=meta)
    tables.write_rows(splits, paths.table("splits"), name="splits", meta={"fingerprint": "s"})
    tables.write_rows([], paths.table("codes"), name="codes", meta={"fingerprint": "c"})


def spoiled(column: str, value: Any) -> Any:
    """A change to the third row."""

    def change(rows: list[dict[str, Any]]) -> None:
        rows[2] = rows[2] | {column: value}

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        ({"wplus": spoiled("wplus", np.zeros(2 * W, np.float32))}, r"different lengths .* \[1024, 1536\]"),
        ({"wplus": spoiled("wplus", np.full(3 * W, np.nan, np.float32))}, "1 of 24 vectors hold NaN or infinity"),
        ({"wplus": spoiled("inverter_id", "other")}, "vectors of 2 makers"),
        ({"wplus": spoiled("face_id", "stranger")}, "1 vectors belong to faces that the table 'faces' does not hold"),
        ({"n_dims": 700}, "700 are no whole number of channels"),
    ],
)
def test_bad_vectors_stop_with_one_sentence(tmp_path: Path, spoil: dict[str, Any], message: str) -> None:
    write(Paths(tmp_path), **spoil)
    with pytest.raises(UserError, match=message) as caught:
        features.load(Paths(tmp_path), "wplus")
    assert "\n" not in str(caught.value)


def test_a_face_twice_is_refused_even_where_the_table_says_it_is_fine(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    write(paths)
    (part,) = paths.table("embeddings").glob("*.parquet")
    (part.with_name("part-00001.parquet")).write_bytes(part.read_bytes())
    with pytest.raises(UserError, match="24 faces twice"):
        features.load(paths, "efficientnet")


def test_residuals_are_read_for_each_face_and_a_face_without_a_part_is_left_out(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    write(paths, embeddings=lambda rows: rows.pop(5))
    with pytest.raises(UserError, match="does not work out the space 'residual'"):
        features.load(paths, "residual")
    found = features.load(paths, "efficientnet+residual", worked_out={"residual": read_residuals})
    assert len(found.faces) == 23
    assert found.feature_id == "lite0-x + residual1-mobile-x"
    assert found.blocks == (6, 267)
    # Fakes are three grey levels brighter than their reconstruction.
    brighter = found.vectors[:, 6]
    levels = {round(float(v) * 127.5): int(y) for v, y in zip(brighter, found.faces["label"], strict=True)}
    assert levels == {3: 1, 0: 0}


def run(paths: Paths, **changes: Any) -> None:
    project.write_params(paths.root, project.SMALL | changes)
    project.run(paths, "train")


def test_fused_spaces_are_trained_stored_and_told_of(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    write(paths)
    names = ["wplus.0", "wplus.0-1+efficientnet", "residual"]
    run(paths, **{"train.spaces": names, "train.models": ["logistic", "stack"]})
    predictions = tables.read_pandas(paths.table("predictions"), "predictions")
    assert set(predictions["space"]) == set(names)
    assert set(predictions.groupby(["space", "model", "level"]).size()) == {24, 16}
    folder = paths.model("wplus.0-1+efficientnet", "stack")
    facts = read_card(folder)["metadata"]
    assert facts["parts"] == [
        {"part": "wplus.0-1", "space": "wplus", "feature_id": "mobile-x", "n_dims": 2 * W},
        {"part": "efficientnet", "space": "efficientnet", "feature_id": "lite0-x", "n_dims": 6},
    ]
    assert "feature_id" not in facts
    parts = {p["space"]: features.load(paths, p["space"]).vectors for p in facts["parts"]}
    vectors = spaces.assemble(parts, facts["space"])
    p_fake = load_model(folder, n_features=vectors.shape[1], expect={"space": facts["space"]}).predict_p_fake(vectors)
    assert p_fake.shape == (24,)
    text = (folder / "CARD.md").read_text()
    for expected in ("Trained on the sample set", "`mobile-x`", "unknown-net: not on record", "| video | cv | roc_auc"):
        assert expected in text
    assert read_card(paths.model("wplus.0", "logistic"))["metadata"]["feature_id"] == "mobile-x"
    # Fewer wanted: what is left is not trained again, and the rest is gone.
    kept = (folder / "model.json").read_bytes()
    run(paths, **{"train.spaces": names[1:2], "train.models": ["stack"]})
    assert [f.name for f in paths.models.iterdir()] == ["wplus.0-1+efficientnet-stack"]
    assert (folder / "model.json").read_bytes() == kept


@pytest.mark.parametrize("protocol", ["cv", "holdout"])
def test_classes_are_balanced_as_asked(tmp_path: Path, protocol: str) -> None:
    paths = Paths(tmp_path)
    write(paths)
    n_groups = N_GROUPS if protocol == "cv" else 6
    for balance, share, n_train in (("frames", 0.5, 2 * n_groups), ("weights", 2 / 3, 3 * n_groups)):
        changes = {"train.spaces": ["efficientnet"], "train.models": ["rf"], "train.balance": balance}
        run(paths, **changes, **{"train.protocol": protocol})
        info = read_card(paths.model("efficientnet", "rf"))["info"]
        assert info["share_fake_train"] == pytest.approx(share)
        assert info["n_train"] == n_train
        assert info["balanced"] is (balance == "weights")


def test_what_classifiers_refuse_is_one_sentence(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    write(paths, embeddings=lambda rows: rows.__setitem__(slice(None), [r for r in rows if r["face_id"][2] == "1"]))
    with pytest.raises(UserError, match=r"train: logistic on efficientnet: Without fold 0 .* one class only"):
        run(paths, **{"train.spaces": ["efficientnet"], "train.models": ["logistic"]})


def test_the_shipped_models_are_the_papers() -> None:
    shipped = yaml.safe_load((project.REPOSITORY / "params.yaml").read_text())
    assert shipped["train"]["models"] == ["rf", "logistic", "mlp2", "mlp5"]
    assert shipped["train"]["spaces"] is None
