"""Stage ``map``: 2-D and 3-D coordinates of every face, for every space and method, and how far each can be trusted."""

from __future__ import annotations

import logging
from itertools import product

import pyarrow as pa

from embeddings.map_quality import map_quality
from embeddings.maps import MapMaker, MapResult, MapSettings
from embeddings.placing import KeptMap
from pipeline import kept_maps, tables
from pipeline.cores import n_cores
from pipeline.params import Map, Params
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.schemas import TABLES
from pipeline.stages import features
from pipeline.stages.common import Stage

STAGE = Stage(
    "map",
    sections=("seed", "spaces", "map"),
    inputs=("wplus", "embeddings", "codes"),
)
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the tables ``map`` and ``map_quality``, and each map with all that placing new faces on it takes."""
    current = STAGE.run(params, paths)
    settings, seed = current.params.map, current.params.seed
    placed: list[pa.Table] = []
    judged: list[dict[str, object]] = []
    skipped: list[str] = []
    wanted = list(product(current.params.spaces, settings.methods, settings.dims))
    loaded, maker = None, None
    for space, method, n_dims in bar(wanted, total=len(wanted), what="map", unit="map"):
        if loaded is None or maker is None or loaded.space != space:
            loaded = features.load(paths, space)
            maker = _maker(loaded, settings, seed)
        try:
            made = maker.make(_settings(settings, method, n_dims, seed))
        except ValueError as error:
            skipped.append(f"{space} {method} {n_dims}-D: {error}")
            log.warning("map: %s", skipped[-1])
            continue
        map_id = f"{space}-{made.map_id}"
        for note in made.notes:
            log.info("map: %s: %s", map_id, note)
        placed.append(_rows(loaded, map_id, made))
        judged.append(_quality(maker, made, map_id, seed))
        if maker.pca is not None:
            kept = KeptMap(method, maker.pca, maker.reduced, made.xyz)
            kept_maps.write(paths.maps, kept_maps.Stored(map_id, space, loaded.feature_id, kept))
        log.info("map: %s, %d faces", map_id, len(made.xyz))
    meta = current.meta(skipped=skipped)
    empty = TABLES["map"].arrow.empty_table()
    paths.maps.mkdir(parents=True, exist_ok=True)
    tables.write_file(pa.concat_tables([empty, *placed]), paths.table("map"), name="map", meta=meta)
    tables.write_rows(judged, paths.table("map_quality"), name="map_quality", meta=meta)


def _maker(loaded: features.Features, settings: Map, seed: int) -> MapMaker:
    return MapMaker(
        loaded.vectors,
        pca_dims=settings.pca_dims,
        pca_method=settings.pca_method,
        seed=seed,
        n_jobs=n_cores(),
    )


def _settings(settings: Map, method: str, n_dims: int, seed: int) -> MapSettings:
    fields = settings.model_dump(exclude={"methods", "dims", "pca_dims", "pca_method"})
    return MapSettings(method=method, n_dims=n_dims, seed=seed, **fields)  # type: ignore[arg-type]


def _rows(loaded: features.Features, map_id: str, made: MapResult) -> pa.Table:
    x, y, *z = (pa.array(axis, pa.float32()) for axis in made.xyz.T)
    n = len(made.xyz)
    columns = [
        pa.array(loaded.faces["face_id"], pa.string()),
        pa.repeat(pa.scalar(map_id), n),
        x,
        y,
        z[0] if z else pa.nulls(n, pa.float32()),
    ]
    return pa.Table.from_arrays(columns, schema=TABLES["map"].arrow)


def _quality(maker: MapMaker, made: MapResult, map_id: str, seed: int) -> dict[str, object]:
    n = len(made.xyz)
    row: dict[str, object] = {"map_id": map_id, "n_points": n}
    if n < 3:
        return {**row, "n_neighbors": 0, "n_queries": 0, "reason": f"only {n} points"}
    found = map_quality(maker.reduced, made.xyz, seed=seed)
    spearman = found.distance_spearman
    return {**row, **found.__dict__, "distance_spearman": None if spearman != spearman else spearman}
