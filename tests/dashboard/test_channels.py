"""The page Channels: importance of every measure, and what a channel does to a face."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.dashboard.test_pages import open_page, sentences
from tests.report import material


def strip(size_px: int = 16) -> bytes:
    """A JPEG of three tiles."""
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (size_px, 3 * size_px, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("channels")
    rows = material.fill(root)
    effects = [r | {"strip": strip() if r["channel"] != 3 else None} for r in rows["channel_effects"]]
    material.write(root, "channel_effects", effects)
    return root


def pictures(page: str) -> int:
    return page.count("<img src='data:image/png;base64,")


def test_importance_parts_and_agreement_are_shown(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("channels", full, monkeypatch)
    assert app.selectbox(key="channel_measure").options == ["wplus · Balanced accuracy, one-channel forest"]
    parts = next(d.value for d in app.dataframe if "part" in d.value.columns)
    assert parts["channels"].tolist() == ["0 to 2", "3"]
    agreement = next(d.value for d in app.dataframe if "Spearman" in d.value.columns)
    assert agreement["Spearman"].tolist() == ["0.400"]
    assert len(app.get("plotly_chart")) == 4  # importance, change of this face, mean change, change per channel


def test_a_face_and_a_channel_are_chosen_and_its_strip_is_shown(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("channels", full, monkeypatch)
    assert pictures(app.main.get("html")[-1].proto.body) == 3
    app.select_slider(key="channel").set_value(3).run()
    assert not app.exception
    assert "No strip of this face and channel" in sentences(app)


def test_hidden_and_blurred_strips_hold_no_face(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = open_page("channels", full, monkeypatch).main.get("html")[-1].proto.body
    blurred = open_page("channels", full, monkeypatch, state={"faces": "blurred"}).main.get("html")[-1].proto.body
    hidden = open_page("channels", full, monkeypatch, state={"faces": "hidden"}).main.get("html")[-1].proto.body
    assert pictures(blurred) == 3
    assert blurred != shown
    assert pictures(hidden) == 0
    assert hidden.count("face hidden") == 3


def test_where_nothing_was_rendered_the_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    material.fill(tmp_path, empty=["channel_effects"], n_groups=2, n_frames=1)
    app = open_page("channels", tmp_path, monkeypatch)
    assert "importance.quick.n_effect_faces" in sentences(app)
    app.toggle(key="render_live").set_value(True).run()
    assert not app.exception
    assert "params.yaml" in sentences(app)  # there are no settings here to say which generator


def test_live_rendering_draws_the_asked_channel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline import effects
    from tests.inversion.toy import ToyGenerator

    generator = ToyGenerator()
    code = generator.mean_w.repeat(generator.n_channels, 1).numpy()
    still = effects.live_strip(generator, code, channel=0, n_std=0.0, seed=0)
    with Image.open(io.BytesIO(still)) as picture:
        assert picture.size == (3 * effects.STRIP_PX, effects.STRIP_PX)
    assert effects.live_strip(generator, code, channel=0, n_std=2.0, seed=0) != still
    with pytest.raises(ValueError, match="expected channels"):
        effects.live_strip(generator, code, channel=generator.n_channels, n_std=1.0, seed=0)
