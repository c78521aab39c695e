from __future__ import annotations

import io
import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from safetensors.numpy import load_file, save_file
from sklearn.linear_model import LogisticRegression

from classifiers import persist, versions
from classifiers.boost import BoostSettings
from classifiers.logistic import LogisticSettings
from classifiers.models import MODEL_NAMES, make_model
from classifiers.payload import ModelFileError, read_forest
from classifiers.persist import load_model, read_card, save_model
from tests.classifiers.helpers import blobs

SETTINGS = {
    "rf": {"n_trees": 8},
    "logistic": {"c_grid": (1e-2, 1e-1)},
    "mlp2": {"hidden": (8,), "n_epochs": 2},
    "mlp5": {"hidden": (8, 4, 4, 4), "n_epochs": 2},
    "svm_linear": {"c_grid": (1e-2,)},
    "svm_rbf": {"c_grid": (1.0,)},
    "gboost": {"n_trees": 5, "min_samples_leaf": 4},
    "stack": {
        "n_inner_folds": 2,
        "logistic": LogisticSettings(c_grid=(1e-2,)),
        "gboost": BoostSettings(n_trees=3, min_samples_leaf=4),
    },
}
X, Y, GROUP = blobs(8, 6)


@pytest.fixture(scope="module")
def trained():
    return {n: make_model(n, seed=3, overrides=SETTINGS[n]).fit(X, Y, groups=GROUP) for n in MODEL_NAMES}


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_round_trip_is_exact(name, trained, tmp_path):
    save_model(trained[name], tmp_path / "models" / name, metadata={"space": "wplus", "feature_id": "mobile-20"})
    again = load_model(tmp_path / "models" / name, n_features=6, expect={"space": "wplus"})
    assert (again.predict_p_fake(X) == trained[name].predict_p_fake(X)).all()
    assert (again.name, again.n_features) == (name, 6)
    assert again.info == json.loads(json.dumps(trained[name].info))
    card = read_card(tmp_path / "models" / name)
    assert card["metadata"]["feature_id"] == "mobile-20"
    assert card["orientation"].endswith("1 = fake")
    assert card["versions"]["numpy"] == np.__version__
    assert [p.name for p in (tmp_path / "models").iterdir()] == [name]  # no temporary folder stays


def test_paper_logistic_and_skewed_forest_round_trip(tmp_path):
    keep = np.flatnonzero((Y == 1) | (np.arange(len(Y)) % 4 == 0))  # twice as many fakes: the prior matters
    for name, profile, settings in (("logistic", "paper", {"n_epochs": 2}), ("rf", "quick", {"n_trees": 8})):
        model = make_model(name, profile=profile, seed=0, overrides=settings)
        model.fit(X[keep], Y[keep], groups=GROUP[keep])
        save_model(model, tmp_path / name, metadata={})
        assert (load_model(tmp_path / name).predict_p_fake(X) == model.predict_p_fake(X)).all()


@pytest.mark.parametrize("name", ["rf", "logistic", "mlp2", "svm_rbf", "stack"])
def test_an_altered_or_truncated_file_is_refused(name, trained, tmp_path):
    folder = tmp_path / "m"
    for i, damage in enumerate(("flip", "cut", "empty", "missing")):
        for file in ("weights", "card"):
            shutil.rmtree(folder, ignore_errors=True)
            save_model(trained[name], folder, metadata={})
            path = folder / ("model.json" if file == "card" else read_card(folder)["weights_file"])
            content = path.read_bytes()
            middle = content.index(b'"seed": 3') + 8 if file == "card" else len(content) // 2
            path.write_bytes(
                {
                    "flip": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :],
                    "cut": content[: len(content) // 2],
                    "empty": b"",
                    "missing": b"",
                }[damage]
            )
            if i == 3:
                path.unlink()
            with pytest.raises(ModelFileError) as caught:
                load_model(folder)
            assert str(folder) in str(caught.value)
            assert "\n" not in str(caught.value)


def test_a_model_for_other_features_is_refused(trained, tmp_path):
    save_model(trained["mlp2"], tmp_path / "m", metadata={"space": "wplus"})
    with pytest.raises(ModelFileError, match="trained on 6 features, but 5 are given"):
        load_model(tmp_path / "m", n_features=5)
    with pytest.raises(ModelFileError, match="made for space 'wplus', not for 'pca'"):
        load_model(tmp_path / "m", expect={"space": "pca"})
    with pytest.raises(ModelFileError, match="No model in"):
        load_model(tmp_path / "nothing")


def rewrite(folder: Path, payload: bytes, **changes) -> None:
    """Put other weights under a card whose checksums are right: an attacker can do that too."""
    card = read_card(folder)
    card |= {"weights_sha256": persist.hashlib.sha256(payload).hexdigest(), **changes}
    card["card_sha256"] = persist._card_digest(card)
    (folder / "model.json").write_text(json.dumps(card))
    (folder / card["weights_file"]).write_bytes(payload)


class _Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


def test_pickles_and_foreign_types_never_run(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_model(trained["rf"], tmp_path / "m", metadata={})
    rewrite(tmp_path / "m", pickle.dumps(_Bomb()))
    with pytest.raises(ModelFileError, match="not a readable skops file"):
        load_model(tmp_path / "m")
    rewrite(tmp_path / "m", skops.io.dumps(LogisticRegression().fit(X, Y)))
    with pytest.raises(ModelFileError, match="expected a RandomForestClassifier"):
        load_model(tmp_path / "m")
    forest = trained["rf"].forest
    rewrite(tmp_path / "m", skops.io.dumps(forest).replace(b"RandomForestClassifier", b"RandomForestClassifieX"))
    with pytest.raises(ModelFileError):
        load_model(tmp_path / "m")
    rewrite(tmp_path / "m", skops.io.dumps([forest, os.getcwd]))
    with pytest.raises(ModelFileError, match="types that a forest does not need"):
        load_model(tmp_path / "m")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("field", "value"), [("left_child", 10**6), ("left_child", 0), ("right_child", -5), ("feature", 99)]
)
def test_wild_node_indices_are_refused_before_prediction(field, value, trained):
    """skops loads a tree whose nodes point anywhere; scikit-learn would follow them out of its memory."""
    payload = with_node(trained["rf"].forest, field, value)
    with pytest.raises(ModelFileError, match="malformed decision tree"):
        read_forest(payload, n_features=6, path=Path("m/forest.skops"))


def test_a_false_node_count_does_no_harm(trained):
    """Some versions of scikit-learn take the count from the file, others count the nodes."""
    payload = with_node(trained["rf"].forest, "count", 10**6)
    try:
        forest = read_forest(payload, n_features=6, path=Path("m/forest.skops"))
    except ModelFileError:
        return
    assert (forest.predict_proba(X) == trained["rf"].forest.predict_proba(X)).all()


def with_node(forest, field: str, value: int) -> bytes:
    """skops bytes of the forest, with one field of every tree's first node, or all node counts, overwritten."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(skops.io.dumps(forest))) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "schema.json" and field == "count":
                schema = json.loads(content)
                set_node_counts(schema, value)
                content = json.dumps(schema).encode()
            elif name.endswith(".npy") and field != "count":
                array = np.load(io.BytesIO(content), allow_pickle=False)
                if field in (array.dtype.names or ()):
                    array[field][0] = value
                    changed = io.BytesIO()
                    np.save(changed, array, allow_pickle=False)
                    content = changed.getvalue()
            new.writestr(name, content)
    return out.getvalue()


def set_node_counts(part: Any, value: int) -> None:
    children = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    for child in children:
        set_node_counts(child, value)
    if isinstance(part, dict) and "node_count" in part:
        part["node_count"]["content"] = str(value)


def test_arrays_that_do_not_fit_are_refused(trained, tmp_path):
    for name in ("mlp2", "logistic"):
        folder = tmp_path / name
        save_model(trained[name], folder, metadata={})
        path = folder / "weights.safetensors"
        arrays = load_file(path)
        for change, message in (
            ({"scaler.mean": np.zeros(5, np.float32)}, "does not fit its card"),
            ({"extra": np.zeros(1, np.float32)}, "extra of shape"),
            ({"scaler.mean": np.full(6, np.nan, np.float32)}, "not finite numbers in scaler.mean"),
        ):
            save_file(arrays | change, path)
            rewrite(folder, path.read_bytes())
            with pytest.raises(ModelFileError, match=message):
                load_model(folder)


def test_a_crash_while_writing_leaves_the_old_model(trained, tmp_path, monkeypatch):
    save_model(trained["rf"], tmp_path / "m", metadata={"v": 1})

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(persist.os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        save_model(trained["rf"], tmp_path / "m", metadata={"v": 2})
    assert read_card(tmp_path / "m")["metadata"] == {"v": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    monkeypatch.undo()
    save_model(trained["rf"], tmp_path / "m", metadata={"v": 3})
    assert read_card(tmp_path / "m")["metadata"] == {"v": 3}
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_what_cannot_be_saved_is_said(trained, tmp_path):
    with pytest.raises(ValueError, match="not trained yet"):
        save_model(make_model("rf", seed=0), tmp_path / "m", metadata={})
    with pytest.raises(ValueError, match="not plain JSON"):
        save_model(trained["rf"], tmp_path / "m", metadata={"x": object()})
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("name", ["logistic", "mlp2", "svm_linear", "svm_rbf", "gboost", "stack"])
def test_a_fused_space_keeps_its_scaling_on_disk(name, tmp_path):
    model = make_model(name, seed=3, blocks=(4, 2), overrides=SETTINGS[name]).fit(X, Y, groups=GROUP)
    save_model(model, tmp_path / "m", metadata={"space": "wplus+efficientnet"})
    again = load_model(tmp_path / "m")
    assert again.settings == model.settings
    assert (again.predict_p_fake(X) == model.predict_p_fake(X)).all()
    plain = make_model(name, seed=3, overrides=SETTINGS[name]).fit(X, Y, groups=GROUP)
    assert (plain.predict_p_fake(X) != model.predict_p_fake(X)).any()


@pytest.mark.parametrize(
    ("name", "change"),
    [("nodes.left", 10**6), ("nodes.left", -1), ("nodes.right", 0), ("nodes.feature", 99), ("nodes.first", -3)],
)
def test_boosted_trees_that_point_outside_or_back_are_refused(name, change, trained, tmp_path):
    save_model(trained["gboost"], tmp_path / "m", metadata={})
    path = tmp_path / "m" / "weights.safetensors"
    arrays = load_file(path)
    arrays[name] = arrays[name].copy()
    inner = int(np.flatnonzero(arrays["nodes.left"] != np.arange(len(arrays["nodes.left"])))[-1])
    arrays[name][0 if name == "nodes.first" else inner] = change
    save_file(arrays, path)
    rewrite(tmp_path / "m", path.read_bytes())
    with pytest.raises(ModelFileError, match="malformed tree"):
        load_model(tmp_path / "m")


def test_a_forest_of_another_version_of_scikit_learn_is_refused_and_of_skops_warned_of(trained, tmp_path, monkeypatch):
    for name in ("rf", "logistic"):
        save_model(trained[name], tmp_path / name, metadata={})
    found = {"scikit-learn": "99.0.1", "skops": versions.version("skops")}
    monkeypatch.setattr(versions, "version", found.get)
    with pytest.raises(ModelFileError, match=r"written with scikit-learn .*, which 99\.0\.1 does not read"):
        load_model(tmp_path / "rf")
    load_model(tmp_path / "logistic")  # plain arrays mean the same to every version
    major = read_card(tmp_path / "rf")["versions"]["scikit-learn"].split(".")[0]
    found["scikit-learn"] = f"{major}.999"
    with pytest.raises(ModelFileError, match=r"written with scikit-learn .*\.999 does not read"):
        load_model(tmp_path / "rf")
    found |= {"scikit-learn": read_card(tmp_path / "rf")["versions"]["scikit-learn"]}
    found["skops"] = found["skops"].split(".")[0] + ".999"
    with pytest.warns(UserWarning, match="train it again"):
        load_model(tmp_path / "rf")


def test_a_text_for_people_lies_beside_the_card_and_is_not_needed(trained, tmp_path):
    save_model(trained["logistic"], tmp_path / "m", metadata={}, describe=lambda card: f"# {card['name']}")
    assert (tmp_path / "m" / "CARD.md").read_text() == "# logistic"
    (tmp_path / "m" / "CARD.md").unlink()
    load_model(tmp_path / "m")
