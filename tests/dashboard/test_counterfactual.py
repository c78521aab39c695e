"""The page Counterfactual: a model and a face are chosen, walked, and drawn where the reader turns it on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from dashboard import live, walks
from pipeline import networks
from tests.dashboard.test_pages import open_page, sentences
from tests.inversion.toy import ToyGenerator
from tests.pipeline import walkable
from tests.report import material


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walkable.fill(tmp_path_factory.mktemp("counterfactual")).root


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ToyGenerator]:
    """The generator that is loaded; what was cached of it is forgotten afterwards."""
    generator = ToyGenerator()
    monkeypatch.setattr(networks, "load_generator", lambda *_, **__: generator)
    live._generator.clear()
    live._walk.clear()
    yield generator
    live._generator.clear()
    live._walk.clear()


def test_a_face_is_walked_without_drawing(full: Path, monkeypatch: pytest.MonkeyPatch, toy: ToyGenerator) -> None:
    app = open_page("counterfactual", full, monkeypatch)
    assert app.selectbox(key="walk_model").options == ["wplus-logistic", "wplus-rf"]
    tiles = [m.label for m in app.metric]
    assert tiles[0] == "P(fake) of the code"
    assert tiles[2] in ("Verdict ‘fake’ after", "Verdict ‘real’ after")
    assert app.metric[2].value.endswith(" std")
    assert len(app.get("plotly_chart")) == 2
    stops = next(d.value for d in app.dataframe if "verdict" in d.value.columns)
    assert len(stops) == 5
    assert stops["verdict"].iloc[-1] in tiles[2]
    assert toy.n_full_images == 0
    app.selectbox(key="walk_model").select("wplus-rf")
    app.selectbox(key="walk_order").select("by id")
    app.selectbox(key="walk_stops").select(3).run()
    assert not app.exception
    assert app.selectbox(key="walk_face").value == "f0000"
    assert len(next(d.value for d in app.dataframe if "verdict" in d.value.columns)) == 3


def test_pictures_are_drawn_on_demand_and_hidden_ones_never(
    full: Path, monkeypatch: pytest.MonkeyPatch, toy: ToyGenerator
) -> None:
    bodies = {}
    for how in ("hidden", "blurred", "shown"):
        app = open_page("counterfactual", full, monkeypatch, state={"faces": how}, query={"walk_stops": "3"})
        app.toggle(key="walk_draw").set_value(True).run()
        assert not app.exception
        bodies[how] = app.main.get("html")[-1].proto.body
        assert toy.n_full_images == (0 if how == "hidden" else 3)  # the second time from the cache
    pictures = {how: {p.partition("'")[0] for p in body.split("src='")[1:]} for how, body in bodies.items()}
    assert not pictures["hidden"]
    assert bodies["hidden"].count("face hidden") == 5
    assert bodies["shown"].count("src='") == 5  # the face, three stops, the difference
    assert pictures["blurred"]
    assert not pictures["shown"] & pictures["blurred"]


def test_hostile_addresses_change_nothing_and_a_face_that_is_sent_on_is_found(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = {
        "walk_model": "../../etc/passwd", "walk_face": "<script>alert(1)</script>", "walk_stops": "999999",
        "walk_order": "'; drop table", "walk_find": "",
    }  # fmt: skip
    app = open_page("counterfactual", full, monkeypatch, query=hostile)
    assert app.selectbox(key="walk_model").value == "wplus-logistic"
    assert app.selectbox(key="walk_stops").value == 5
    assert str(app.selectbox(key="walk_face").value).startswith("f0")
    app = open_page("counterfactual", full, monkeypatch, query={"walk_find": "<b>[x](http://example.invalid)"})
    assert "No face with a W+ code" in sentences(app)
    # A face outside of what is searched for is offered all the same.
    app = open_page("counterfactual", full, monkeypatch, query={"walk_face": "f0512", "walk_find": "f00"})
    assert app.selectbox(key="walk_face").value == "f0512"
    assert "f0001" in "".join(app.selectbox(key="walk_face").options)
    app.text_input(key="walk_find").set_value("f0311").run()
    assert app.selectbox(key="walk_face").value == "f0311"


def test_without_a_model_or_settings_it_is_said_what_to_run(
    full: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walkable.fill(tmp_path, (), n_groups=2, n_frames=1)
    assert "dvc repro train" in sentences(open_page("counterfactual", tmp_path, monkeypatch))
    shutil.copytree(full / "models" / "wplus-logistic", tmp_path / "models" / "wplus-logistic")
    weights = tmp_path / "models" / "wplus-logistic" / "weights.safetensors"
    sound = weights.read_bytes()
    weights.write_bytes(sound[:-4])
    assert "altered or truncated" in sentences(open_page("counterfactual", tmp_path, monkeypatch))
    weights.write_bytes(sound)
    (tmp_path / "params.yaml").unlink()
    assert "params.yaml" in sentences(open_page("counterfactual", tmp_path, monkeypatch))


def test_tables_beside_the_page_s_own_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    walkable.fill(tmp_path, ("logistic",), n_groups=2, n_frames=1, without=["faces", "videos", "predictions"])
    app = open_page("counterfactual", tmp_path, monkeypatch)
    assert len(app.get("plotly_chart")) == 2
    assert "not judged" in app.selectbox(key="walk_face").options[0]


def test_faces_are_ranked_by_what_is_odd_about_them() -> None:
    faces = pd.DataFrame(
        {
            "face_id": list("abcde"), "rel_path": ["x.mp4", "Y.mp4", None, "x.mp4", "x.mp4"],
            "label": ["real", "real", "fake", "fake", "unknown"], "p_fake": [0.9, 0.4, 0.45, None, 0.95],
            "p_fake_raw": [None] * 5, "lpips": [0.1, 0.2, 0.3, 0.9, 0.4], "status": ["poor", "ok", "ok", "ok", "ok"],
        }
    )  # fmt: skip

    def order(name: str) -> str:
        return "".join(walks.rank(faces, name, threshold=0.5)["face_id"])

    assert order("wrongly judged first")[:2] == "ac"  # d and e: not judged, no label
    assert order("unsure first") == "cbaed"
    assert order("poorly reconstructed first") == "adecb"
    assert order("by id") == "abcde"
    assert walks.rank(faces, "by id", threshold=0.5)["wrong"].tolist() == [True, False, True, False, False]
    assert walks.find(faces, "y.MP")["face_id"].tolist() == ["b"]
    assert walks.find(faces, "D")["face_id"].tolist() == ["d"]


def test_live_rendering_in_the_app_reads_the_stored_code(
    full: Path, monkeypatch: pytest.MonkeyPatch, toy: ToyGenerator
) -> None:
    monkeypatch.setenv("LF_PROJECT", str(full))
    found = live.strip("f0000", material.INVERTER, channel=0, n_std=1.0)
    assert found is not None
    assert toy.n_full_images == 3
