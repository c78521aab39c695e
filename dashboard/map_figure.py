"""The map: thousands of faces as WebGL points in two or three dimensions, coloured by any column."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures import layout, safe
from pipeline.report.palette import NOISE, UNKNOWN, category_style, label_colour
from pipeline.report.summary import is_flat

MAX_LEGEND = 24  # categories beyond the most frequent ones share one grey entry
CATEGORIES = (
    "label", "cluster", "method", "compression", "dataset", "source_group", "identity", "split", "fold", "video_id",
)  # fmt: skip
NUMBERS = (
    "p_fake", "lpips", "mse_unit", "psnr_db", "w_distance_std", "yaw_deg", "blur", "face_width_px", "score",
    "membership", "outlier_score", "time_s",
)  # fmt: skip
NAMES = {
    "p_fake": "P(fake) of the chosen model",
    "lpips": "perceptual distance",
    "mse_unit": "mean squared error ([-1, 1])",
    "psnr_db": "PSNR (dB)",
    "w_distance_std": "distance from mean code (std)",
    "yaw_deg": "head yaw (deg)",
    "face_width_px": "face width (px)",
    "blur": "sharpness (Laplacian variance)",
    "score": "detector score",
    "membership": "cluster membership",
    "outlier_score": "outlier score",
    "time_s": "time (s)",
    "source_group": "source group",
    "video_id": "video",
    "dataset": "data set",
}


def column_name(column: str) -> str:
    """Readable name of a column, with its unit."""
    return NAMES.get(column, column)


def colourable(points: pd.DataFrame) -> list[str]:
    """Columns with at least one value, categories first."""
    return [c for c in (*CATEGORIES, *NUMBERS) if c in points.columns and points[c].notna().any()]


def thin(points: pd.DataFrame, n_max: int) -> pd.DataFrame:
    """At most ``n_max`` points, the same ones at every call, in their order."""
    if len(points) <= n_max:
        return points
    keep = np.sort(np.random.default_rng(0).choice(len(points), size=n_max, replace=False))
    return points.iloc[keep]


def map_figure(points: pd.DataFrame, *, colour: str, faded: pd.Series | None = None, height: int = 640) -> go.Figure:
    """Draw one map.

    Parameters
    ----------
    points : DataFrame
        As `dashboard.data.points` makes it. ``customdata[0]`` of each drawn point is its ``face_id``.
    colour : str
        Column to colour by: one hue per value for categories, a colour scale for numbers.
    faded : bool Series, optional
        Points to draw pale, in the index of ``points``.
    """
    flat = is_flat(points)
    shown = points if faded is None else points[~faded]
    size = float(np.clip(180 / np.sqrt(max(1, len(points))), 3, 8))
    figure = go.Figure()
    if faded is not None and faded.any():
        figure.add_trace(
            _trace(points[faded], flat, size=size, name="others", marker={"color": NOISE, "opacity": 0.25})
        )
    if colour in NUMBERS:
        marker = _scale(points[colour].astype("float64"), shown[colour].astype("float64"), colour)
        figure.add_trace(_trace(shown, flat, size=size, name=column_name(colour), marker=marker))
        figure.update_layout(showlegend=False)
    else:
        for name, mask, hue, symbol in categories(points, colour):
            part = shown[mask.loc[shown.index]]
            if not part.empty:
                marker = {"color": hue, "symbol": symbol, "opacity": 0.85}
                figure.add_trace(
                    _trace(part, flat, size=size, name=f"{safe(name, n_chars=32)} ({int(mask.sum()):,})", marker=marker)
                )
    return _finish(figure, points, flat, height)


def categories(points: pd.DataFrame, colour: str) -> list[tuple[str, pd.Series, str, str]]:
    """``(name, rows, colour, marker)`` per value of a column; the same value has the same colour on every map.

    Values are numbered by their order among all values present, clusters by their own number. Beyond the `MAX_LEGEND`
    most frequent values the rest share one grey entry.
    """
    values = points[colour]
    if colour == "label":
        return [(n, values.eq(n), label_colour(n), "circle") for n in ("real", "fake", "unknown")]
    if colour in ("cluster", "fold"):
        values = values.astype("Int64")
    known = sorted(values.dropna().unique())
    sizes = values.value_counts()
    frequent = sorted(sizes.index, key=lambda v: (-sizes[v], v))[:MAX_LEGEND]
    out = []
    for index, value in enumerate(known):
        if value in frequent:
            number = int(value) if colour in ("cluster", "fold") else index
            hue, symbol = category_style(number)
            name = "noise" if colour == "cluster" and number < 0 else str(value)
            out.append((name, values.eq(value).fillna(False), hue, symbol))
    rest = values.notna() & ~values.isin(frequent)
    if rest.any():
        out.append((f"{values[rest].nunique():,} others", rest, UNKNOWN, "circle"))
    if values.isna().any():
        out.append(("unknown", values.isna(), NOISE, "circle"))
    return out


def _scale(every: pd.Series, shown: pd.Series, colour: str) -> dict[str, Any]:
    """Marker of a numeric colouring: fixed ends for shares, else the 1st and 99th percentile of all points."""
    finite = every[np.isfinite(every)]
    low, high = (0.0, 1.0) if colour == "p_fake" else (float(finite.quantile(0.01)), float(finite.quantile(0.99)))
    bar = {"title": {"text": column_name(colour), "side": "right"}, "thickness": 14, "len": 0.85}
    # Blue over grey to vermillion repeats the label colours for P(fake); cividis reads the same to every eye.
    hues = [[0, "#0072B2"], [0.5, "#D9D9D9"], [1, "#D55E00"]] if colour == "p_fake" else "Cividis"
    ends = {"cmin": low, "cmax": max(high, low + 1e-9)}
    return ends | {"color": shown, "colorscale": hues, "colorbar": bar, "opacity": 0.85}


def _trace(
    points: pd.DataFrame, flat: bool, *, name: str, size: float, marker: dict[str, Any]
) -> go.Scattergl | go.Scatter3d:
    data = np.column_stack([points["face_id"].to_numpy(dtype=object), hover_text(points)])
    hover = "%{customdata[1]}<extra></extra>"
    common = {
        "x": points["x"],
        "y": points["y"],
        "mode": "markers",
        "name": name,
        "customdata": data,
        "hovertemplate": hover,
    }
    if flat:
        return go.Scattergl(**common, marker={"size": size, "line": {"width": 0}, **marker})
    return go.Scatter3d(**common, z=points["z"], marker={"size": max(2.5, size * 0.62), "line": {"width": 0}, **marker})


def hover_text(points: pd.DataFrame) -> np.ndarray:
    """What is told of each point, escaped: object array [n] of strings with line breaks for plotly."""
    lines = (
        ("face ", "face_id"), ("<br>", "label"), (", ", "method"), ("<br>group ", "source_group"),
        ("<br>frame ", "frame_index"), (" of ", "rel_path"), ("<br>cluster ", "cluster"),
    )  # fmt: skip
    text = np.full(len(points), "", dtype=object)
    for before, column in lines:
        text = text + before + _texts(points, column)
    return text


def _texts(points: pd.DataFrame, column: str) -> np.ndarray:
    """One column as escaped text; each distinct value is escaped once, for there may be a hundred thousand points."""
    if column not in points.columns:
        return np.full(len(points), "—", dtype=object)
    values = points[column].astype("Int64") if column in ("cluster", "frame_index") else points[column]
    codes, distinct = pd.factorize(values)
    # factorize gives an empty value the code -1, which picks the last entry here.
    return np.array([*(safe(v) for v in distinct), "—"], dtype=object)[codes]


def _finish(figure: go.Figure, points: pd.DataFrame, flat: bool, height: int) -> go.Figure:
    layout(figure, height=height)
    side = {"orientation": "v", "x": 1.01, "xanchor": "left", "y": 0.95, "yanchor": "top", "itemsizing": "constant"}
    # uirevision keeps zoom and camera while the colouring changes, until another map is chosen.
    figure.update_layout(legend=side, uirevision=str(points["map_id"].iloc[0]), margin={"l": 0, "r": 0, "t": 8, "b": 0})
    axis = {"title": "", "showticklabels": False, "showgrid": True}
    if flat:
        figure.update_xaxes(**axis)
        figure.update_yaxes(**axis, scaleanchor="x", showline=True)
        figure.update_layout(dragmode="pan")
    else:
        space = {
            **axis,
            "backgroundcolor": "white",
            "gridcolor": "#DDE2E8",
            "zerolinecolor": "#DDE2E8",
            "showspikes": False,
        }
        scene = {"xaxis": space, "yaxis": space, "zaxis": space, "aspectmode": "data", "dragmode": "turntable"}
        figure.update_layout(scene=scene | {"camera": {"eye": {"x": 1.15, "y": 1.15, "z": 0.7}}})
    return figure
