"""Walks on stored models and codes, and their pictures."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from classifiers.calibrate import Calibrator
from classifiers.persist import load_model
from pipeline import params, tables
from pipeline.counterfactual import N_OTHERS, walk_face
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.walk_pictures import draw
from pipeline.walker import Walker, open_walker, read_code
from tests.inversion.toy import N_CHANNELS, W_DIM, ToyGenerator
from tests.pipeline import walkable
from tests.report import material


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return walkable.fill(tmp_path_factory.mktemp("walk"), ("logistic", "rf", "mlp2"))


def opened(paths: Paths, name: str) -> Walker:
    return open_walker(name, params.load(paths.params), paths)


@pytest.mark.parametrize("name", ["logistic", "mlp2", "rf"])
def test_a_real_face_is_walked_to_fake_along_what_tells(name: str, project: Paths) -> None:
    walker = opened(project, f"wplus-{name}")
    code = read_code(project, "f0000", material.INVERTER)
    found = walk_face(walker, code, group="g00", n_steps=5, seed=0)
    assert found.goal == "fake"
    assert np.array_equal(found.codes[0], code)
    stops = found.stops
    assert stops["verdict"].iloc[[0, -1]].tolist() == ["real", "fake"]
    assert found.walk.flip == stops["distance_std"].iloc[-2]
    if name != "mlp2":  # at one place a network may lean on another channel more
        assert found.channels.sort_values("share")["channel"].iloc[-1] == 1  # where fakes are shifted
    assert found.channels["share"].sum() == pytest.approx(1.0)
    assert found.channels["part"].tolist() == ["coarse"] * N_CHANNELS
    assert found.nulls["random"].n == N_OTHERS
    assert found.nulls["faces"].n == 30  # 36 faces less six of the face's own group
    assert found.nulls["random"].median_change < abs(stops["p_fake"].iloc[-2] - stops["p_fake"].iloc[0])
    assert (stops["random_low"] <= stops["random_high"]).all()
    np.testing.assert_allclose(found.curve["p_fake"].iloc[[0, -1]], stops["p_fake"].iloc[[0, -1]], rtol=1e-6)


def test_the_unit_and_what_is_known_of_the_model(project: Paths) -> None:
    walker = opened(project, "wplus-logistic")
    codes = np.array(tables.read_pandas(project.table("wplus"), "wplus")["wplus"].tolist())
    np.testing.assert_allclose(walker.spread, codes.std(axis=0), rtol=1e-5)
    assert walker.apart == pytest.approx(np.sqrt(2), rel=0.1)
    assert walker.knows("v000")
    assert not walker.knows("v010")
    assert (walker.rule.threshold, walker.rule.low, walker.rule.high) == (0.5, 0.4, 0.6)


def test_where_calibration_makes_all_answers_alike_the_own_answer_is_walked(project: Paths, tmp_path: Path) -> None:
    paths = walkable.fill(tmp_path, (), n_groups=2, n_frames=1)
    model = load_model(project.root / "models" / "wplus-logistic")
    for kept, is_flat in ((Calibrator("platt", slope=0.0), True), (Calibrator("platt", slope=0.1), False)):
        walkable.save(tmp_path, model, calibration=kept.to_json())
        walker = opened(paths, "wplus-logistic")
        assert walker.is_flat == is_flat
        own = model.predict_p_fake(walker.sample)
        np.testing.assert_array_equal(walker.score(walker.sample), own if is_flat else kept.apply(own))


@pytest.mark.parametrize(
    ("space", "facts", "said"),
    [
        ("wplus+efficientnet", {}, "only these can be drawn again"),
        ("wplus.fine", {}, "only these can be drawn again"),
        ("wplus", {"parts": [{"part": "wplus", "space": "wplus", "feature_id": "other-1", "n_dims": 12}]}, "other-1"),
        ("wplus", {"calibration": {"method": "platt"}}, "calibrator"),
    ],
)
def test_models_that_cannot_be_walked_are_refused(
    space: str, facts: dict[str, object], said: str, project: Paths, tmp_path: Path
) -> None:
    paths = walkable.fill(tmp_path, (), n_groups=2, n_frames=1)
    walkable.save(tmp_path, load_model(project.root / "models" / "wplus-logistic"), space=space, **facts)
    with pytest.raises(UserError, match=said):
        opened(paths, f"{space}-logistic")


def test_codes_that_give_no_walk_are_refused(project: Paths, tmp_path: Path) -> None:
    paths = walkable.fill(tmp_path, (), n_groups=2, n_frames=1)
    model = load_model(project.root / "models" / "wplus-logistic")
    walkable.save(tmp_path, model)
    with pytest.raises(UserError, match="no W\\+ code of face nobody"):
        read_code(paths, "nobody", material.INVERTER)
    with pytest.raises(UserError, match="no model 'wplus-rf'"):
        opened(paths, "wplus-rf")
    walker = opened(paths, "wplus-logistic")
    with pytest.raises(UserError, match="features"):
        walk_face(walker, np.zeros((1, 4), np.float32), group=None, n_steps=3, seed=0)
    rows = tables.read(paths.table("wplus"), "wplus").to_pylist()
    for values, said in (([0.0] * 12, "are the same"), ([float("nan")] * 12, "NaN"), ([0.0] * 8, "features|numbers")):
        material.write(tmp_path, "wplus", [r | {"wplus": values} for r in rows])
        with pytest.raises(UserError, match=said):
            opened(paths, "wplus-logistic")
    material.write(tmp_path, "wplus", rows[:1])
    with pytest.raises(UserError, match="two or more"):
        opened(paths, "wplus-logistic")


def test_pictures_and_what_differs() -> None:
    generator = ToyGenerator()
    codes = generator.mean_w.repeat(3, N_CHANNELS, 1).numpy()
    same = draw(generator, codes)
    assert (same.mean_change, same.gain) == (0.0, 30)
    codes[-1, 1] += generator.std_w.numpy()
    strip = draw(generator, codes)
    assert len(strip.pictures) == 3
    assert strip.mean_change > 0
    assert strip.gain < 30
    with Image.open(io.BytesIO(strip.difference)) as picture:
        assert picture.size == (256, 256)
        assert 0 < np.asarray(picture).mean() <= strip.mean_change * strip.gain + 1
    with pytest.raises(ValueError, match="expected W\\+ codes"):
        draw(generator, np.zeros((2, N_CHANNELS + 1, W_DIM), np.float32))
