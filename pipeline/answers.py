"""Rows of the table ``predictions``: what a classifier says of frames, tracks and videos."""

from __future__ import annotations

import pandas as pd

from classifiers.aggregate import Aggregation, aggregate_p_fake

_COLUMNS = ["id", "level", "label", "source_group", "split", "p_fake", "p_fake_raw"]


def prediction_rows(
    frames: pd.DataFrame, *, space: str, model: str, aggregate: Aggregation, uncertain_band: tuple[float, float]
) -> list[dict[str, object]]:
    """Frame rows and, aggregated, track and video rows.

    Parameters
    ----------
    frames : one row per judged face: ``face_id, video_id, track_id, label, source_group, split, p_fake, p_fake_raw``.
    """
    frames = frames.assign(track=frames["video_id"] + ":" + frames["track_id"].astype(str))
    levels = [frames.assign(id=frames["face_id"], level="frame")]
    for level, key in (("track", "track"), ("video", "video_id")):
        first = frames.drop_duplicates(key)
        of_level = first.assign(id=first[key], level=level)
        # Fake where any face of it is: corrections may tell a video's faces apart.
        of_level["label"] = of_level["id"].map(frames.groupby(key)["label"].max())
        for column in ("p_fake", "p_fake_raw"):
            ids, values = aggregate_p_fake(frames[column].to_numpy(), frames[key].tolist(), method=aggregate)
            of_level[column] = of_level["id"].map(dict(zip(ids.tolist(), values.tolist(), strict=True)))
        levels.append(of_level)
    every = pd.concat([part[_COLUMNS] for part in levels]).assign(space=space, model=model)
    every["label"] = every["label"].astype(int)
    every["uncertain"] = every["p_fake"].between(*uncertain_band)
    return [{str(name): value for name, value in row.items()} for row in every.to_dict("records")]
