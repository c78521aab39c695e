"""Colours of map points: one byte per point into a palette, and the legend that explains it. Nothing here draws."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.report.palette import CATEGORIES as HUES
from pipeline.report.palette import NOISE, SYMBOLS, UNKNOWN, category_style, label_colour

# Values beyond the most frequent ones share one grey entry: as many as hues and symbols tell apart, and more clusters,
# which may share a look, for they lie apart.
MAX_LEGEND, MAX_CLUSTERS = len(HUES) * len(SYMBOLS), 200
N_STEPS = 200  # steps of a colour scale; finer than eyes or screens tell apart
CATEGORIES = (
    "label", "cluster", "tag", "method", "compression", "dataset", "source_group", "identity", "split", "fold",
    "video_id",
)  # fmt: skip
NUMBERS = (
    "p_fake", "lpips", "mse_unit", "psnr_db", "w_distance_std", "yaw_deg", "blur", "face_width_px", "score",
    "membership", "outlier_score", "time_s",
)  # fmt: skip
WHOLE = frozenset({"cluster", "fold"})  # numbers that name a category
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
# Blue over grey to vermillion repeats the label colours; cividis reads the same to every eye (Nuñez et al. 2018).
_DIVERGING = ("#0072B2", "#D9D9D9", "#D55E00")
_CIVIDIS = ("#00224E", "#2A3F6D", "#575D6D", "#7D7C78", "#A59C74", "#D2C060", "#FEE838")


@dataclass(frozen=True)
class Entry:
    """One line of the legend.

    Attributes
    ----------
    code : place in the palette.
    name : what is written; for categories the value itself, 'noise', 'unknown' or '12 others'.
    colour : ``#rrggbb``.
    symbol : place in `pipeline.report.palette.SYMBOLS`.
    count : points of this entry, on the whole map.
    """

    code: int
    name: str
    colour: str
    symbol: int
    count: int


@dataclass(frozen=True, eq=False)
class Colouring:
    """How the points of a map are coloured.

    Attributes
    ----------
    codes : uint8 [n], place of each point's colour in ``palette``.
    palette : ``(#rrggbb, symbol)`` per code, at most 256.
    legend : one entry per category; for a scale at most one, for points without a value.
    scale : ends of a colour scale, None for categories.
    """

    codes: NDArray[np.uint8]
    palette: tuple[tuple[str, int], ...]
    legend: tuple[Entry, ...]
    scale: tuple[float, float] | None = None


def column_name(column: str) -> str:
    """Readable name of a column, with its unit."""
    return NAMES.get(column, column)


def colourable(points: pd.DataFrame) -> list[str]:
    """Columns with at least one value, categories first."""
    return [c for c in (*CATEGORIES, *NUMBERS) if c in points.columns and points[c].notna().any()]


def colouring(points: pd.DataFrame, column: str) -> Colouring:
    """Colours of all points by one column: a hue per value for categories, a colour scale for numbers."""
    return _scale(points[column], column) if column in NUMBERS else _categories(points[column], column)


def _categories(values: pd.Series, column: str) -> Colouring:
    """The same value has the same colour on every map.

    Values are numbered by their order among all values present, clusters by their own number.
    """
    codes, distinct = pd.factorize(values, sort=True)  # missing values get -1
    counts = np.bincount(codes[codes >= 0], minlength=len(distinct))
    n_most = MAX_CLUSTERS if column == "cluster" else MAX_LEGEND
    frequent = set(np.lexsort((np.arange(len(distinct)), -counts))[:n_most].tolist())
    place = np.zeros(len(distinct) + 1, dtype=np.uint8)  # the last one is for missing values, which index as -1
    legend: list[Entry] = []
    for index in sorted(frequent):
        name, (colour, symbol) = _style(distinct[index], index, column)
        if counts[index]:
            place[index] = len(legend)
            legend.append(Entry(len(legend), name, colour, SYMBOLS.index(symbol), int(counts[index])))
    rest = [i for i in range(len(distinct)) if i not in frequent]
    if rest:
        place[rest] = len(legend)
        legend.append(Entry(len(legend), f"{len(rest):,} others", UNKNOWN, 0, int(counts[rest].sum())))
    n_missing = int((codes < 0).sum())
    if n_missing:
        place[-1] = len(legend)
        legend.append(Entry(len(legend), "unknown", NOISE, 0, n_missing))
    return Colouring(place[codes], tuple((e.colour, e.symbol) for e in legend), tuple(legend))


def _style(value: object, index: int, column: str) -> tuple[str, tuple[str, str]]:
    if column == "label":
        return str(value), (label_colour(str(value)), "circle")
    if column in WHOLE:
        number = int(value)  # type: ignore[call-overload]
        return ("noise" if column == "cluster" and number < 0 else str(number)), category_style(number)
    return str(value), category_style(index)


def _scale(values: pd.Series, column: str) -> Colouring:
    """Fixed ends for shares, else the 1st and 99th percentile of all points."""
    numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
    finite = np.isfinite(numbers)
    low, high = (0.0, 1.0) if column == "p_fake" else map(float, np.quantile(numbers[finite], [0.01, 0.99]))
    high = max(high, low + 1e-9)
    share = np.clip((np.where(finite, numbers, low) - low) / (high - low), 0, 1)
    codes = np.where(finite, np.round(share * (N_STEPS - 1)), N_STEPS).astype(np.uint8)
    palette = (*((colour, 0) for colour in _ramp(_DIVERGING if column == "p_fake" else _CIVIDIS)), (NOISE, 0))
    n_missing = int((~finite).sum())
    legend = (Entry(N_STEPS, "unknown", NOISE, 0, n_missing),) if n_missing else ()
    return Colouring(codes, palette, legend, (low, high))


def _ramp(colours: tuple[str, ...]) -> list[str]:
    """`N_STEPS` colours, evenly spread over some given ones."""
    stops = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours])
    at = np.linspace(0, len(colours) - 1, N_STEPS)
    parts = [np.interp(at, np.arange(len(colours)), stops[:, channel]) for channel in range(3)]
    return [f"#{r:02X}{g:02X}{b:02X}" for r, g, b in np.round(np.stack(parts, axis=1)).astype(int)]
