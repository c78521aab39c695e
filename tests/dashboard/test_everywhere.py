"""What every page has: saved tables, colours for both themes and all eyes, faces that can be blurred."""

from __future__ import annotations

import io
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pyarrow.parquet as pq
import pytest

from dashboard import downloads, privacy, theme
from pipeline.report.images import decode, encode
from pipeline.report.palette import ACCENT, CATEGORIES, FAKE, REAL
from tests.conftest import REPOSITORY

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
SIGHTS = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour: str) -> np.ndarray:
    c = np.array(theme.rgb(colour)) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    v = XYZ @ rgb / np.array([0.9505, 1.0, 1.089])
    f = np.where(v > 0.008856, np.cbrt(v), 7.787 * v + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def nearest(colours: tuple[str, ...], sight: str) -> float:
    seen = [lab(np.clip(np.array(SIGHTS[sight]) @ linear(c), 0, 1)) for c in colours]
    return min(float(np.linalg.norm(a - b)) for a, b in combinations(seen, 2))


def contrast(one: str, other: str) -> float:
    light, dark = sorted((float(XYZ[1] @ linear(c)) for c in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("sight", SIGHTS)
def test_colours_are_told_apart_by_every_eye(sight: str) -> None:
    # A difference of 10 is seen at a glance.
    assert nearest(CATEGORIES, sight) > 15
    assert nearest(theme.DARK_CATEGORIES, sight) > 27
    assert nearest((REAL, FAKE), sight) > 80


def test_colours_stand_out_from_their_background() -> None:
    # 3 : 1 is what WCAG 2.1 asks of graphics.
    for colour in (*theme.DARK_CATEGORIES, REAL, FAKE, theme.ON_DARK[ACCENT]):
        assert contrast(colour, theme.DARK_BACKGROUND) > 3
    for colour in (REAL, FAKE, ACCENT):
        assert contrast(colour, "#FFFFFF") > 3


def test_a_dark_figure_has_dark_colours_and_the_same_points() -> None:
    figure = go.Figure(
        go.Scatter(
            x=np.arange(3), y=[1, 2, 3], line={"color": ACCENT}, fillcolor=f"rgba{(*theme.rgb(CATEGORIES[1]), 0.15)}",
            marker={"color": [REAL, CATEGORIES[0], REAL]}, customdata=[[ACCENT]] * 3,
        )
    )  # fmt: skip
    assert theme.tint(figure, dark=False) is figure
    trace = theme.tint(figure, dark=True).data[0]
    assert trace.line.color == theme.ON_DARK[ACCENT]
    assert trace.fillcolor == f"rgba{(*theme.rgb(theme.DARK_CATEGORIES[1]), 0.15)}"
    assert list(trace.marker.color) == [REAL, theme.DARK_CATEGORIES[0], REAL]
    assert trace.x == figure.to_plotly_json()["data"][0]["x"]
    assert trace.customdata[0][0] == ACCENT  # data stays data


def test_a_table_is_saved_in_full_and_runs_nothing() -> None:
    table = pd.DataFrame({"name": ["=1+1", "@a", 'b,"c"\n<b>'], "value": [-0.123456789012345, np.nan, 1e-9]})
    back = pd.read_csv(io.BytesIO(downloads.as_csv(table)))
    assert back["name"].tolist() == ["'=1+1", "'@a", 'b,"c"\n<b>']
    assert back["value"].iloc[0] == table["value"].iloc[0]
    assert pq.read_table(io.BytesIO(downloads.as_parquet(table))).to_pandas().equals(table)
    assert downloads.slug("../../<b>x</b> y") == "b-x-b-y"
    assert downloads.slug("../") == "table"


def test_a_blurred_picture_keeps_no_detail() -> None:
    rng = np.random.default_rng(0)
    face = rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    face[:, :32] //= 2
    seen = privacy.protect(encode(face), "blurred")
    assert seen is not None
    blurred = decode(seen)
    assert blurred is not None
    assert blurred.shape == face.shape
    kept = np.abs(np.diff(blurred.astype(float), axis=1)).mean() / np.abs(np.diff(face.astype(float), axis=1)).mean()
    assert kept < 0.06
    assert blurred[:, 48:].mean() > 1.5 * blurred[:, :16].mean()  # light and dark are still told apart
    assert privacy.protect(encode(face), "hidden") is None
    assert privacy.protect(b"broken", "blurred") is None
    assert privacy.protect(encode(face), "shown") == encode(face)


def test_no_module_stands_in_front_of_python_s_own() -> None:
    """Streamlit puts the script's folder first on the path: a `profile.py` there broke `import torch` in the server."""
    ours = {file.stem for file in (REPOSITORY / "dashboard").glob("*.py")} | {"views", "assets"}
    assert not ours & set(sys.stdlib_module_names)
