"""P(fake) over the seconds of a clip: a strip per model, tracks apart by colour and symbol. Tables in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures import layout, safe
from pipeline.report.palette import CATEGORIES, FAKE, GRID, MUTED, SYMBOLS

MAX_TRACKS = 9  # as many as there are hues
STRIP_PX = 190
_BELOW = -0.07  # where frames without a score are marked


@dataclass(frozen=True)
class Strip:
    """What one model made of a clip.

    Attributes
    ----------
    rows : ``frame_index, time_s, track_id, p_fake`` of judged faces.
    band : no verdict for P(fake) inside; None where it is not known.
    suspicious_s : seconds to shade.
    """

    name: str
    rows: pd.DataFrame
    band: tuple[float, float] | None
    threshold: float = 0.5
    suspicious_s: Sequence[tuple[float, float]] = ()


def longest(rows: pd.DataFrame) -> list[int]:
    """The tracks that are shown: those of the most faces, in order of their number."""
    return sorted(rows["track_id"].value_counts(sort=True).index[:MAX_TRACKS].astype(int))


def timeline(strips: Sequence[Strip], missed: pd.DataFrame, *, duration_s: float | None) -> go.Figure:
    """Draw at least one strip.

    Parameters
    ----------
    missed : ``time_s, reason`` of frames without a judged face, marked below each strip.
    duration_s : length of the clip; None where it is not known.
    """
    names = [safe(strip.name) for strip in strips]
    figure = make_subplots(
        rows=len(strips), cols=1, shared_xaxes=True, subplot_titles=names, vertical_spacing=0.28 / (1 + len(strips))
    )
    tracks = longest(pd.concat([strip.rows for strip in strips]))
    named: set[str] = set()
    for row, strip in enumerate(strips, start=1):
        for place, track in enumerate(tracks):
            part = strip.rows[strip.rows["track_id"].eq(track)].sort_values("time_s")
            if part.empty:
                continue
            name = f"face {track}"
            figure.add_scatter(
                x=part["time_s"], y=part["p_fake"], mode="lines+markers", name=name, legendgroup=name,
                showlegend=name not in named, row=row, col=1, customdata=part[["frame_index"]],
                line={"color": CATEGORIES[place % len(CATEGORIES)], "width": 1.8},
                marker={"symbol": SYMBOLS[place % len(SYMBOLS)], "size": 8},
                hovertemplate="%{x:.2f} s, frame %{customdata[0]}: %{y:.3f}<extra>%{fullData.name}</extra>",
            )  # fmt: skip
            named.add(name)
        _ground(figure, strip, row)
        if not missed.empty:
            figure.add_scatter(
                x=missed["time_s"], y=[_BELOW] * len(missed), mode="markers", name="no score", legendgroup="no score",
                showlegend=row == 1, row=row, col=1, customdata=[[safe(r)] for r in missed["reason"]],
                marker={"symbol": "x-thin", "size": 8, "line": {"color": MUTED, "width": 2}},
                hovertemplate="%{x:.2f} s: %{customdata[0]}<extra></extra>",
            )  # fmt: skip
    ends = [part["time_s"].max() for part in (*(strip.rows for strip in strips), missed) if not part.empty]
    end = max([duration_s or 0.0, 0.1, *(float(e) for e in ends if pd.notna(e))])
    figure.update_yaxes(title="P(fake)", range=[-0.12, 1.05], tickvals=[0, 0.5, 1])
    figure.update_xaxes(range=[-0.02 * end, 1.02 * end])
    figure.update_annotations(font_size=13, x=0, xanchor="left")
    layout(figure, height=90 + STRIP_PX * len(strips))
    figure.update_layout(margin={"t": 64}, legend={"y": 1 + 0.16 / len(strips)})
    return figure.update_xaxes(title="seconds", row=len(strips), col=1)


def _ground(figure: go.Figure, strip: Strip, row: int) -> None:
    """Band, threshold and suspicious seconds, below the lines."""
    below = {"line_width": 0, "layer": "below", "row": row, "col": 1, "exclude_empty_subplots": False}
    if strip.band is not None:
        figure.add_hrect(*strip.band, fillcolor=GRID, opacity=0.8, **below)
    for start, end in strip.suspicious_s:
        figure.add_vrect(start, end, fillcolor=FAKE, opacity=0.15, **below)
    figure.add_hline(strip.threshold, line={"color": MUTED, "dash": "dot", "width": 1.3}, row=row, col=1)
