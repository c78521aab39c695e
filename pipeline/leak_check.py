"""Is footage that is said to share nothing really apart? Looked at before anything is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from classifiers.leaks import alike_pairs, shared_keys
from pipeline.face_images import usable_faces
from pipeline.likeness import likeness_vector
from pipeline.paths import Paths

N_SHOWN = 5


def footage_pairs(paths: Paths, videos: pd.DataFrame, *, above: float) -> list[dict[str, Any]]:
    """Rows of table ``leaks``, kind ``footage``: two videos of different groups that show (nearly) the same picture.

    Parameters
    ----------
    videos : ``video_id``, ``source_group``, ``rel_path`` of the videos that are to be dealt out.
    above : likeness from which two faces count as the same footage.
    """
    known = videos.set_index("video_id")
    faces, vectors = [], []
    for face, rgb in usable_faces(paths, ["video_id"]):
        if face["video_id"] in known.index:
            faces.append(face)
            vectors.append(likeness_vector(rgb))
    if len(faces) < 2:
        return []
    owner = [face["video_id"] for face in faces]
    pairs = alike_pairs(np.stack(vectors), known.loc[owner, "source_group"].to_numpy(), owner, above=above)
    rows = []
    for pair in pairs:
        first, second = sorted((faces[i] for i in (pair.first, pair.second)), key=lambda f: str(f["video_id"]))
        rows.append(
            {"kind": "footage", "similarity": pair.similarity}
            | _side("first", known.loc[first["video_id"]], first)
            | _side("second", known.loc[second["video_id"]], second)
        )
    return rows


def _side(name: str, video: Any, face: dict[str, Any]) -> dict[str, str]:
    return {
        f"{name}_video": face["video_id"],
        f"{name}_group": str(video["source_group"]),
        f"{name}_file": str(video["rel_path"]),
        f"{name}_face": face["face_id"],
    }


def identity_pairs(videos: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of table ``leaks``, kind ``identity``: a person who stands in several groups, one row per further group."""
    named = videos[videos["people"].map(len) > 0]
    rows = []
    for person, groups in shared_keys(named["people"].tolist(), named["source_group"].tolist()).items():
        mine = named[named["people"].map(lambda own, person=person: person in own)].drop_duplicates("source_group")
        mine = mine.set_index("source_group").loc[groups]
        first = mine.iloc[0]
        for group, other in mine.iloc[1:].iterrows():
            rows.append(
                {
                    "kind": "identity",
                    "identity": person,
                    "first_video": first["video_id"],
                    "first_group": groups[0],
                    "first_file": first["rel_path"],
                    "second_video": other["video_id"],
                    "second_group": str(group),
                    "second_file": other["rel_path"],
                }
            )
    return rows


def footage_sentence(rows: list[dict[str, Any]]) -> str:
    """What is wrong, with the first pairs, and what to do."""
    shown = "; ".join(f"{r['first_file']} and {r['second_file']} ({r['similarity']:.2f})" for r in rows[:N_SHOWN])
    more = f"; and {len(rows) - N_SHOWN} more" if len(rows) > N_SHOWN else ""
    return (
        f"{len(rows)} pairs of videos look like the same footage but stand in different source groups, so a classifier "
        f"could be tested on what it was trained on: {shown}{more} (all in the table 'leaks')"
    )


REMEDY = (
    "name in labels.csv (columns file, label, original or source_group) what belongs together, or set split.leaks to "
    "'join', which keeps such groups on one side, or to 'warn'"
)


def identity_sentence(rows: list[dict[str, Any]]) -> str:
    """People who may stand on both sides."""
    people = sorted({r["identity"] for r in rows})
    shown = ", ".join(people[:N_SHOWN]) + (f" and {len(people) - N_SHOWN} more" if len(people) > N_SHOWN else "")
    return (
        f"{len(people)} people stand in more than one source group ({shown}): results say little about new people; "
        "split.by: identity keeps each on one side"
    )
