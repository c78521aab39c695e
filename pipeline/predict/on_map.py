"""Where a clip's faces lie on the map of the training faces, which does not move for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.predict.assemble import Judged
from pipeline.predict.result import MapPlaces, Place
from pipeline.report import summary
from pipeline.report.load import read_light
from pipeline.report.palette import INK, label_colour
from pipeline.report.plot_style import new_axes, styled


@dataclass(frozen=True, eq=False)
class OnMap:
    """A clip's faces on a map; `known` holds the map's own: ``face_id, x, y, label`` by name."""

    places: MapPlaces
    known: pd.DataFrame


def locate(paths: Paths, judged: Sequence[Judged], *, space: str, feature_id: str) -> OnMap:
    """Place the judged faces on the space's 2-D map (t-SNE where there is one).

    Raises
    ------
    UserError
        The project has no such map, or it was made of other vectors; the message says which.
    """
    # Imported where they are used: openTSNE takes a second to import, and most of this module never asks for it.
    from embeddings.placing import place
    from pipeline import kept_maps

    able = [one for one in judged if one.is_judged and one.vector is not None]
    table = read_light(paths.table("map"), "map")
    flat = [str(i) for i, part in table.groupby("map_id", sort=True) if summary.is_flat(part)]
    own = [i for i in flat if i.startswith(f"{space}-")]
    if not own:
        raise UserError(f"the project holds no 2-D map of the space '{space}'")
    map_id = next((i for i in own if "-tsne" in i), own[0])
    stored = kept_maps.read(paths.maps / kept_maps.file_name(map_id))
    if (stored.map_id, stored.feature_id) != (map_id, feature_id):
        raise UserError(f"the map '{stored.map_id}' was made of '{stored.feature_id}', not '{feature_id}'")
    vectors: NDArray[np.float32] = np.stack([one.vector for one in able if one.vector is not None])
    try:
        placed = place(stored.kept, vectors)
    except ValueError as error:
        raise UserError(f"faces cannot be placed on the map '{map_id}': {error}") from error
    points = [
        Place(
            frame_index=one.row.frame_index,
            track_id=one.row.track_id,
            x=float(x),
            y=float(y),
            strangeness=float(strangeness),
        )
        for one, (x, y), strangeness in zip(able, placed.xyz, placed.strangeness, strict=True)
    ]
    known = table[table["map_id"] == map_id][["face_id", "x", "y"]]
    labels = read_light(paths.table("faces"), "faces", ["face_id", "label"])
    known = summary.named_labels(summary.with_faces(known, labels, ["label"]))
    return OnMap(MapPlaces(map_id=map_id, faces=points), known)


@styled
def map_figure(found: OnMap) -> Figure:
    """Training faces by label, the clip's faces on top; hollow where they are unlike all the map was made from."""
    figure, (ax,) = new_axes(6.6, 4.6)
    size = float(np.clip(6000 / max(1, len(found.known)), 3, 30))
    for name in ("unknown", "real", "fake"):
        part = found.known[found.known["label"] == name]
        if not part.empty:
            ax.scatter(part["x"], part["y"], s=size, c=label_colour(name), lw=0, alpha=0.55, label=f"training, {name}")
    for strange, name in ((False, "this clip"), (True, "this clip, unlike any")):
        own = [p for p in found.places.faces if (p.strangeness > 1) == strange]
        if own:
            ax.scatter(
                [p.x for p in own],
                [p.y for p in own],
                s=46,
                marker="D",
                facecolors="none" if strange else INK,
                edgecolors=INK if strange else "white",
                lw=1.2,
                label=f"{name} ({len(own)})",
            )
    ax.set(
        xlabel="first coordinate (no unit)", ylabel="second coordinate (no unit)", aspect="equal", adjustable="datalim"
    )
    ax.grid(lw=0.5)
    ax.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
