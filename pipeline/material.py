"""What a model was trained on, as far as its card has to tell it: read where it is trained and where it is used."""

from __future__ import annotations

from typing import Any

from pipeline import tables
from pipeline.paths import Paths

#: Settings of `faces` that decide what a cut face shows; a model speaks for faces cut like those it was trained on.
CUT = ("detector", "crop", "margin", "size_px")
SAMPLE = "sample"


def cut_of(faces: dict[str, Any]) -> dict[str, Any]:
    """The settings of a cut out of a whole section; the margin only where it is used."""
    return {name: faces[name] for name in CUT if name != "margin" or faces["crop"] == "margin"}


def facts(paths: Paths) -> dict[str, Any]:
    """Where the faces of a project came from and how they were cut, as their table recorded it.

    Returns
    -------
    dict
        ``source`` (layout, such as ``sample`` or ``dfdc``), ``cut`` (see `cut_of`) and the table's ``fingerprint``;
        empty where there is no such table or it does not tell.
    """
    meta = tables.metadata(paths.table("faces"))
    params = meta.get("params", {})
    if "data" not in params or "faces" not in params:
        return {}
    return {
        "source": params["data"]["source"],
        "cut": cut_of(params["faces"]),
        "fingerprint": meta["fingerprint"],
    }
