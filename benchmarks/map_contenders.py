"""Other ways to draw the same points in Streamlit, each as its documentation has it: plotly's scattergl and deck.gl.

Run by Streamlit itself with ``LF_CONTENDER`` set, or by `benchmarks.dashboard` through `compare`.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
from PIL import Image

from benchmarks import big_project
from benchmarks.browser import browser

CONTENDERS = ("plotly", "deckgl")
COLUMNS = ("cluster", "label")
Serve = Callable[[Path, Path], AbstractContextManager[tuple[str, psutil.Process]]]


def points() -> tuple[pd.DataFrame, Any]:
    """The flat map's points with all columns, and the colouring of the chosen one."""
    import streamlit as st

    from dashboard import colouring, map_points

    wanted = map_points.Wanted(big_project.MAPS[2], big_project.CLUSTERING, ("efficientnet", "logistic"), None)
    loaded = map_points.load(wanted)
    column = st.radio("Colour", COLUMNS)
    return loaded.frame, colouring.colouring(loaded.frame, column)


def plotly_figure(frame: pd.DataFrame, look: Any) -> Any:
    """One WebGL trace, its ids as custom data for the selection."""
    import plotly.graph_objects as go

    colours = np.array([c for c, _ in look.palette], dtype=object)[look.codes]
    trace = go.Scattergl(
        x=frame["x"], y=frame["y"], mode="markers", customdata=frame[["face_id"]], marker={"size": 3, "color": colours}
    )
    return go.Figure(trace).update_layout(height=620, dragmode="lasso")


def deck(frame: pd.DataFrame, look: Any) -> Any:
    """A ScatterplotLayer on a plane without a base map."""
    import pydeck  # type: ignore[import-untyped]

    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c, _ in look.palette])[look.codes]
    data = pd.DataFrame({"x": frame["x"], "y": frame["y"], "colour": rgb.tolist(), "face_id": frame["face_id"]})
    layer = pydeck.Layer(
        "ScatterplotLayer", data, get_position="[x, y]", get_fill_color="colour", get_radius=0.4, pickable=True, id="p"
    )
    view = pydeck.View(type="OrthographicView", controller=True)
    state = pydeck.ViewState(target=[0, 0, 0], zoom=2)
    return pydeck.Deck([layer], views=[view], initial_view_state=state, map_provider=None)


def app() -> None:
    """The page of one contender."""
    import streamlit as st

    st.set_page_config(layout="wide")
    frame, look = points()
    started = time.perf_counter()
    if os.environ["LF_CONTENDER"] == "plotly":
        figure = plotly_figure(frame, look)
        size = len(figure.to_json())
        st.plotly_chart(figure, key="map", on_select="rerun")
    else:
        figure = deck(frame, look)
        size = len(figure.to_json())
        st.pydeck_chart(figure, key="map", on_select="rerun", selection_mode="multi-object", height=620)
    st.text(f"payload {size / 1e6:.1f} MB, made in {time.perf_counter() - started:.1f} s")


def compare(project: Path, *, patience: float, serve: Serve) -> None:
    """Open each contender's page, and print when the map is seen and when a colour change is."""
    for name in CONTENDERS:
        os.environ["LF_CONTENDER"] = name
        with serve(project, Path(__file__)) as (address, process), browser() as window:
            for again in ("server just started", "again"):
                started = time.perf_counter()
                window.open(address)
                seen = _wait(window, lambda p: _coloured(p) > 0.02, patience)
                print(f"{name}: first paint, {again:32s} {time.perf_counter() - started:6.2f} s{seen}", flush=True)
            time.sleep(3)
            changed = partial(_differs, _picture(window))
            window.run("document.querySelectorAll('[data-testid=stRadio] label')[2].click()")
            started = time.perf_counter()
            seen = _wait(window, changed, patience)
            print(f"{name}: colour change {time.perf_counter() - started:34.2f} s{seen}")
            print(f"{name}: {window.run('return document.body.innerText.match(/payload.*/)[0]')}; server "
                  f"{process.memory_info().rss / 1e6:,.0f} MB")  # fmt: skip


def _wait(window: Any, fulfilled: Callable[[np.ndarray], bool], patience: float) -> str:
    """Look at the page until a picture fulfils a condition; '' then, and a remark where none did."""
    until = time.perf_counter() + patience
    while time.perf_counter() < until:
        if fulfilled(_picture(window)):
            return ""
    return " (given up)"


def _picture(window: Any) -> np.ndarray:
    """What is seen of the map's area, int16 [h, w, 3]."""
    path = Path(os.environ.get("TMPDIR", "/tmp")) / f"lf-{os.getpid()}.png"
    window.screenshot(path)
    with Image.open(io.BytesIO(path.read_bytes())) as image:
        out = np.asarray(image.convert("RGB"), dtype=np.int16)[200:800, 100:1300]
    path.unlink()
    return out


def _differs(before: np.ndarray, picture: np.ndarray) -> bool:
    """Whether a fiftieth of the pixels has another colour."""
    return float((np.abs(picture - before).max(axis=2) > 40).mean()) > 0.02


def _coloured(picture: np.ndarray) -> float:
    """Share of pixels that are neither white nor grey."""
    return float((np.ptp(picture, axis=2) > 40).mean())


if __name__ == "__main__":
    app()
