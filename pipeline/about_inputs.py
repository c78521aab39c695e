"""Faces with everything a clustering may be about, and what has to be shuffled whole for each of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline import attributes, tables
from pipeline.errors import UserError
from pipeline.paths import Paths

Unit = Literal["face", "video", "source group"]
#: Columns of the facts that are words.
WORDS = ("label", "method", "compression", "dataset", "source_group", "identity", "video")
_FROM_VIDEOS = ("dataset", "identity", "height_px")


@dataclass(frozen=True)
class Attribute:
    """What one attribute says of each face (words, None where unknown), and the unit it is shuffled by."""

    values: NDArray[np.object_]
    unit: Unit


def face_facts(paths: Paths) -> pd.DataFrame:
    """What is known of each usable face, by ``face_id``: the table ``attributes`` and its video's facts.

    ``source_group`` is the split unit, as in every table after the split.
    """
    facts = tables.read_pandas(paths.table("attributes"), "attributes")
    videos = tables.read_pandas(paths.table("videos"), "videos", columns=["video_id", *_FROM_VIDEOS])
    facts = facts.merge(videos, on="video_id", how="left")
    return facts.set_index("face_id", drop=False)


def of_clustering(facts: pd.DataFrame, part: pd.DataFrame) -> pd.DataFrame:
    """Facts of the faces of one clustering, with its columns ``cluster`` and ``membership``, in its order.

    Raises
    ------
    UserError
        Nothing is known of a face.
    """
    strangers = ~part["face_id"].isin(facts.index)
    if strangers.any():
        raise UserError(
            f"table 'attributes' knows nothing of {int(strangers.sum())} of {len(part)} clustered faces (the first is "
            f"{part.loc[strangers, 'face_id'].iloc[0]}): run `dvc repro`"
        )
    joined = facts.loc[part["face_id"]].reset_index(drop=True)
    return joined.assign(cluster=part["cluster"].to_numpy(), membership=part["membership"].to_numpy())


def attributes_of(faces: pd.DataFrame) -> dict[str, Attribute]:
    """Attribute -> its values; numbers in thirds of these faces, or in their named classes.

    Values move with their source group, for whatever people, light or recording have in common is no finding about a
    cluster of them. What names a unit cannot be tested by shuffling that unit's names, so videos are shuffled by face,
    and source groups by video; so are people who stand in one group each.
    """
    named = faces.assign(
        label=faces["label"].map({0: "real", 1: "fake"}),
        video=faces["video_id"],
    )
    found = {name: attributes.words(named[name]) for name in WORDS}
    found |= attributes.sliced(faces) | {"frame_height": attributes.heights(faces["height_px"])}
    people = faces.dropna(subset=["identity"])
    spread = bool(people.groupby("identity")["source_group"].nunique().gt(1).any())
    units: dict[str, Unit] = {
        "video": "face",
        "source_group": "video",
        "identity": "source group" if spread else "video",
    }
    return {name: Attribute(values, units.get(name, "source group")) for name, values in found.items()}
