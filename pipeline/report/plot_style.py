"""How the report's figures look, and how they become PNG bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from pipeline.report.palette import FIGURE_DPI, GRID, INK, MUTED

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "text.parse_math": False,  # names come from files: a dollar sign is a dollar sign
}


@contextmanager
def _style() -> Iterator[None]:
    with rc_context(_STYLE):
        yield


def styled(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Run a drawing function under this style, without touching matplotlib's global settings."""

    @wraps(draw)
    def inner(*args: Any, **kwargs: Any) -> Figure:
        with _style():
            return draw(*args, **kwargs)

    return inner


def png(figure: Figure, *, dpi: int = FIGURE_DPI) -> bytes:
    """A figure as PNG bytes; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    with _style():
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=dpi, metadata={"Software": None})
    return buffer.getvalue()


def new_axes(width: float, height: float, n: int = 1) -> tuple[Figure, list[Axes]]:
    """A figure of a size in inches with `n` axes side by side."""
    # Padding in inches: half a tick label may stand out on the right.
    figure = Figure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.06))
    axes = figure.subplots(1, n, squeeze=False)
    return figure, list(axes[0])


def short_name(text: Any, *, n_chars: int = 28) -> str:
    """A name from a file, safe and short enough for an axis."""
    clean = "".join(c if c.isprintable() else "?" for c in str(text)).lstrip("_")
    return clean if len(clean) <= n_chars else clean[: n_chars - 1] + "…"
