"""Stage ``map``: 2-D and 3-D coordinates of every face, for every space and method."""

from __future__ import annotations

import logging
from itertools import product

import numpy as np
from numpy.typing import NDArray

from embeddings.maps import make_map
from embeddings.reduce import fit_pca
from pipeline import tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.stages import features
from pipeline.stages.common import Stage

STAGE = Stage(
    "map",
    sections=("seed", "spaces", "map"),
    inputs=("wplus", "embeddings", "codes"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``map`` table."""
    current = STAGE.run(params, paths)
    settings = current.params.map
    rows: list[dict[str, object]] = []
    skipped: list[str] = []
    spaces = {space: features.load(paths, space) for space in current.params.spaces}
    # Components are found once per space; make_map's own reduction of so few columns costs nothing.
    reduced = {space: _reduced(loaded, settings.pca_dims) for space, loaded in spaces.items()}
    wanted = list(product(spaces, settings.methods, settings.dims))
    for space, method, n_dims in bar(wanted, total=len(wanted), what="map", unit="map"):
        try:
            made = make_map(
                reduced[space],
                method=method,
                n_dims=n_dims,
                pca_dims=settings.pca_dims,
                perplexity=settings.perplexity,
                n_neighbors=settings.n_neighbors,
                min_dist=settings.min_dist,
                seed=current.params.seed,
            )
        except ValueError as error:
            skipped.append(f"{space} {method} {n_dims}-D: {error}")
            log.warning("map: %s", skipped[-1])
            continue
        map_id = f"{space}-{made.map_id}"
        for note in made.notes:
            log.info("map: %s: %s", map_id, note)
        for face, point in zip(spaces[space].faces["face_id"], made.xyz, strict=True):
            x, y, *z = (float(v) for v in point)
            rows.append({"face_id": face, "map_id": map_id, "x": x, "y": y, "z": z[0] if z else None})
        log.info("map: %s, %d faces", map_id, len(made.xyz))
    tables.write_rows(rows, paths.table("map"), name="map", meta=current.meta(skipped=skipped))


def _reduced(loaded: features.Features, pca_dims: int) -> NDArray[np.float32]:
    """Principal components, or the vectors themselves where they are too few or all equal (make_map says so)."""
    try:
        return fit_pca(loaded.vectors, pca_dims).transform(loaded.vectors)
    except ValueError:
        return loaded.vectors
