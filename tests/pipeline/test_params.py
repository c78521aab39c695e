"""Settings are checked before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from inversion.schedule import EFFORTS
from pipeline import params
from pipeline.errors import UserError
from tests.conftest import REPOSITORY


@pytest.fixture
def raw() -> dict:
    return yaml.safe_load((REPOSITORY / "params.yaml").read_text())


def write(tmp_path: Path, raw: object) -> Path:
    file = tmp_path / "params.yaml"
    file.write_text(yaml.safe_dump(raw))
    return file


def test_the_shipped_settings_are_valid() -> None:
    loaded = params.load(REPOSITORY / "params.yaml")
    assert EFFORTS[loaded.invert.paper.effort].steps == 100, "LatentForensics optimises for a hundred steps"
    assert loaded.data.source == "sample"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("faces", "colour"), 1, "faces.colour: unknown key"),
        (("seed",), -1, "seed: input should be greater than or equal to 0"),
        (("device",), "gpu", "device: "),
        (("data", "source"), "youtube", "data.source: "),
        (("split", "fractions"), [0.5, 0.5, 0.5], "sum to 1"),
        (("data", "root"), "~/case", "write the home folder out"),
        (("train", "models"), [], "train.models"),
        (("train", "models"), ["rf", "rf"], "models names something twice"),
        (("spaces",), ["wplus", "wplus"], "spaces names something twice"),
        (("faces", "detector"), "mtcn", "faces.detector"),
        (("split", "fractions"), [0.0, 0.5, 0.5], "train above 0"),
        (("train", "uncertain_band"), [0.7, 0.3], "two probabilities in order"),
        (("train", "uncertain_band"), [0.55, 0.8], "uncertain_band must hold 0.5, not"),
        (("train", "uncertain_band"), [0.1, 0.45], "uncertain_band must hold 0.5, not"),
        (("workers", "scheduler"), "not an address", "workers.scheduler"),
        (("invert", "quick", "steps"), "many", "invert.quick.steps"),
        (("invert", "poor_above"), 0.4, "invert.poor_above"),
        (("invert", "poor_above"), {"auto": 0.4}, "invert.poor_above"),
        (("invert", "poor_above"), {"stlpips-alex": 0}, "invert.poor_above.stlpips-alex"),
        (("evaluate", "n_study_faces"), 1, "evaluate.n_study_faces"),
        (("split", "leaks"), "ignore", "split.leaks"),
        (("split", "by"), "colour", "split.by"),
        (("slices", "classifiers"), "some", "slices.classifiers"),
    ],
)
def test_a_wrong_setting_is_named(
    tmp_path: Path, raw: dict, path: tuple[str, ...], value: object, message: str
) -> None:
    place = raw
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    with pytest.raises(UserError, match=message):
        params.load(write(tmp_path, raw))


def test_a_missing_setting_is_named(tmp_path: Path, raw: dict) -> None:
    del raw["faces"]["crop"]
    with pytest.raises(UserError, match=r"faces\.crop: missing"):
        params.load(write(tmp_path, raw))


@pytest.mark.parametrize("text", ["", "- a\n", "a: [", "\xff"])
def test_a_file_that_is_no_settings_file_is_a_sentence_not_a_traceback(tmp_path: Path, text: str) -> None:
    file = tmp_path / "params.yaml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match=r"params\.yaml"):
        params.load(file)


def test_a_missing_file_says_where_to_run() -> None:
    with pytest.raises(UserError, match="run this in a folder that holds"):
        params.load(Path("nowhere/params.yaml"))


def test_a_stage_cannot_read_what_it_did_not_declare() -> None:
    loaded = params.load(REPOSITORY / "params.yaml")
    stage = params.StageParams(loaded, ("seed", "profile", "invert", "workers"))
    assert stage.seed == 0
    assert stage.effort("invert") == loaded.invert.quick
    assert set(stage.as_dict()) == {"seed", "profile", "invert"}, "workers never change a result"
    with pytest.raises(AttributeError, match="did not declare the parameter 'faces'"):
        _ = stage.faces
    with pytest.raises(KeyError, match="colours"):
        params.StageParams(loaded, ("colours",))


def test_a_result_depends_on_what_is_used_alone(tmp_path: Path, raw: dict) -> None:
    def fingerprinted(**changes: object) -> dict:
        settings = yaml.safe_load(yaml.safe_dump(raw))
        for key, value in changes.items():
            place = settings
            *sections, last = key.split("__")
            for section in sections:
                place = place[section]
            place[last] = value
        sections = ("seed", "device", "profile", "spaces", "invert", "weights")
        return params.StageParams(params.load(write(tmp_path, settings)), sections).as_dict()

    before = fingerprinted()
    assert fingerprinted(invert__paper__steps=7) == before
    assert fingerprinted(spaces=["wplus"]) == before
    assert fingerprinted(weights__allow_noncommercial=False) == before
    assert fingerprinted(invert__poor_above={}) == before, "a threshold marks codes and makes none"
    assert fingerprinted(invert__quick__steps=7) != before
    assert fingerprinted(profile="paper") != before
    assert fingerprinted(seed=1) != before
