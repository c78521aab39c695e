"""Stage ``blend``: self-blended images of the user's own genuine faces, extra fakes to train on."""

from __future__ import annotations

import logging
from typing import Any

import pyarrow.dataset as ds

from pipeline import runinfo, tables
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.shards import Shards
from pipeline.stages.common import Run, Stage

STAGE = Stage("blend", sections=("seed", "faces", "sbi"), inputs=("faces",))
BATCH_ROWS = 64
METHOD = "self-blended"
_COLUMNS = ["face_id", "video_id", "source_group", "landmarks_px", "box_xyxy_px", "image"]
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``blended`` table, one piece per batch of genuine faces; without rows where none is asked for."""
    current = STAGE.run(params, paths)
    if current.params.sbi.n_per_real_face == 0:
        meta = current.meta(reason="sbi.n_per_real_face is 0")
        tables.write_rows([], paths.table("blended"), name="blended", meta=meta)
        return
    meta = current.meta()
    shards = Shards(paths.work("blend", meta["fingerprint"]), name="blended", meta=meta)
    counts = Counts("self-blended faces")
    genuine = (ds.field("status") == "ok") & (ds.field("label") == 0)
    batches = tables.read_batches(paths.table("faces"), "faces", columns=_COLUMNS, where=genuine, batch_rows=BATCH_ROWS)
    faces = tables.read(paths.table("faces"), "faces", columns=["face_id"]).num_rows
    keys = []
    for index, batch in enumerate(bar(batches, total=-(-faces // BATCH_ROWS), what="blend", unit="batch")):
        rows = batch.to_pylist()
        keys.append(f"{index:06d}-{runinfo.digest([row['face_id'] for row in rows], n_chars=8)}")
        if not shards.done(keys[-1]):
            shards.write(keys[-1], [made for row in rows for made in _blends(current, row, counts)])
    counts.done = shards.finish(keys, paths.table("blended"))
    counts.log("blend")


def _blends(current: Run, row: dict[str, Any], counts: Counts) -> list[dict[str, Any]]:
    """The self-blended images of one face."""
    from classifiers.self_blend import RECIPE, TIGHT_CROP, self_blend  # OpenCV is loaded where there is work alone
    from pipeline.ingest.aligned import landmarks_in_crop
    from pipeline.ingest.encoding import decode_image, encode_png
    from pipeline.ingest.face_types import NO_TRACK, face_id

    faces, seed = current.params.faces, current.params.seed
    image = decode_image(row["image"])
    points = landmarks_in_crop(
        faces.crop, row["landmarks_px"], row["box_xyxy_px"], margin=faces.margin, size_px=image.shape[0]
    )
    if points is None:
        points = TIGHT_CROP * image.shape[0]
    out = []
    for k in range(current.params.sbi.n_per_real_face):
        rng = runinfo.generator_for(seed, "sbi", row["face_id"], str(k))
        try:
            made = self_blend(image, points, rng=rng)
        except ValueError as error:
            counts.trouble("no blend", str(error))
            continue
        out.append(
            {
                "face_id": face_id(row["face_id"], k, NO_TRACK, f"{RECIPE}-{seed}"),
                "parent_face_id": row["face_id"],
                "k": k,
                "video_id": row["video_id"],
                "source_group": row["source_group"],
                "label": 1,
                "method": METHOD,
                "image": encode_png(made),
            }
        )
    return out
