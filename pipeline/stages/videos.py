"""Stage ``videos``: catalogue the material into one row per file."""

from __future__ import annotations

import logging
from typing import Any

from pipeline import runinfo, tables
from pipeline.errors import UserError
from pipeline.ingest.catalogue import CatalogueError, scan
from pipeline.ingest.video import UnreadableVideo, probe
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.progress import Counts, bar
from pipeline.stages.common import Stage

STAGE = Stage("videos", sections=("data",))
log = logging.getLogger("latentforensics")


def run(params: Params, paths: Paths) -> None:
    """Write the ``videos`` table."""
    current = STAGE.run(params, paths)
    root = paths.root / current.params.data.root
    try:
        records = scan(current.params.data.source, root)
    except CatalogueError as error:
        raise UserError(str(error)) from error
    counts = Counts("files")
    rows = []
    for record in bar(records, total=len(records), what="videos", unit="file"):
        row = _row(record)
        rows.append(row)
        if row["status"] == "ok":
            counts.done += 1
        else:
            counts.trouble(row["status"], row["reason"])
    # The fingerprint of what follows depends on the files themselves, not only on the settings.
    content = runinfo.digest([[r[k] for k in ("video_id", "label", "source_group", "status")] for r in rows])
    meta = current.meta(content=content)
    meta["fingerprint"] = runinfo.digest([meta["fingerprint"], content])
    tables.write_rows(rows, paths.table("videos"), name="videos", meta=meta)
    counts.log("videos")
    _warn_of_unconnected_fakes(current.params.data.source, rows)


def _warn_of_unconnected_fakes(source: str, rows: list[dict[str, Any]]) -> None:
    """In a plain folder nothing tells which fake was made from which video; apart, they would leak."""
    usable = [row for row in rows if row["status"] == "ok"]
    reals = {row["source_group"] for row in usable if row["label"] == 0}
    fakes = [row for row in usable if row["label"] == 1]
    n_alone = sum(row["source_group"] not in reals for row in fakes)
    if source in ("folder", "crops") and reals and n_alone:
        log.warning(
            "videos: %d of %d fakes are not connected with any real footage; if they were made from videos in real/, "
            "name those in labels.csv (columns file, label, original), or results will be too good",
            n_alone,
            len(fakes),
        )


def _row(record: Any) -> dict[str, Any]:
    """One row: the record of the catalogue plus what the file itself says."""
    row = {
        "video_id": record.video_id,
        "rel_path": record.rel_path,
        "dataset": record.dataset,
        "label": record.label,
        "method": record.method,
        "compression": record.compression,
        "source_group": record.source_group,
        "identity": record.identity,
        "status": record.status,
        "reason": record.reason or None,
    }
    if record.status != "ok":
        return row
    try:
        info = probe(record.path)
    except UnreadableVideo as error:
        return row | {"status": "unreadable", "reason": str(error)}
    facts = ("fps", "n_frames", "width_px", "height_px", "duration_s")
    return row | {name: getattr(info, name) for name in facts}
