"""P(fake) over the seconds of a clip, a line for each track."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from pipeline.predict.result import Frame, Track
from pipeline.predict.scoring import Band
from pipeline.report.palette import FAKE, GRID, MATPLOTLIB_MARKERS, MUTED, category_style
from pipeline.report.plot_style import new_axes, styled

MAX_TRACKS = 8


@styled
def timeline(
    frames: Sequence[Frame], tracks: Sequence[Track], *, band: Band, threshold: float, duration_s: float
) -> Figure:
    """Draw the judged frames of the longest tracks (8 at most); suspicious seconds are shaded."""
    figure, (ax,) = new_axes(9.6, 2.9)
    shown = sorted(tracks, key=lambda t: (-t.n_judged, t.track_id))[:MAX_TRACKS]
    ax.axhspan(*band, color=GRID, alpha=0.8, lw=0, label="no verdict")
    marked = False
    for track in shown:
        for span in track.suspicious_s:
            name = None if marked else "suspicious"
            ax.axvspan(span.start_s, span.end_s, color=FAKE, alpha=0.22, lw=0, label=name)
            marked = True
    for track in sorted(shown, key=lambda t: t.track_id):
        own = [f for f in frames if f.track_id == track.track_id and f.p_fake is not None and f.time_s is not None]
        colour, marker = category_style(track.track_id)
        ax.plot(
            [f.time_s or 0.0 for f in own],
            [f.p_fake or 0.0 for f in own],
            color=colour,
            marker=MATPLOTLIB_MARKERS[marker],
            ms=4.5,
            lw=1.6,
            label=f"face {track.track_id}",
        )
    ax.axhline(threshold, color=MUTED, lw=0.8, ls=":")
    ax.set(xlabel="seconds", ylabel="P(fake)", ylim=(-0.03, 1.03), xlim=(0, max(duration_s, 0.1)))
    ax.grid(axis="y")
    ax.legend(fontsize=8, ncols=6, loc="lower left", bbox_to_anchor=(0, 1.0), borderaxespad=0.2)
    return figure
