"""Tags of kind label and exclusion as corrections of faces: what they change, and what in them contradicts itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import pandas as pd

from pipeline.overrides import Override

FOLDED_IN = ("label", "exclusion")
_LABELS = {"real": 0, "fake": 1}


@dataclass(frozen=True)
class Changes:
    """What tags say.

    Attributes
    ----------
    labels : face -> 0 or 1; of several label tags of a face the latest.
    excluded : faces; an exclusion stands over a label.
    reasons : face -> the tag's name.
    contradicting : faces that are labelled both real and fake.
    both : faces that are labelled and excluded.
    """

    labels: dict[str, int]
    excluded: frozenset[str]
    reasons: dict[str, str]
    contradicting: frozenset[str]
    both: frozenset[str]

    @property
    def faces(self) -> set[str]:
        """All faces that a tag speaks of."""
        return set(self.labels) | self.excluded


@dataclass(frozen=True)
class Touched:
    """What the changes come to on the faces of a project.

    Attributes
    ----------
    n_to_fake, n_to_real : faces whose label changes; a face that had none is counted by the one it gets.
    n_excluded : faces taken out.
    n_back : faces that a kept correction excludes and a label tag takes back.
    n_same : faces labelled, or excluded, as they are already.
    n_strangers : tagged faces that the project does not hold.
    n_faces, n_videos, n_groups : faces that are changed, excluded or taken back, and their videos and source groups.
    remarks : sentences on what contradicts itself or has a further effect.
    """

    n_to_fake: int
    n_to_real: int
    n_excluded: int
    n_back: int
    n_same: int
    n_strangers: int
    n_faces: int
    n_videos: int
    n_groups: int
    remarks: tuple[str, ...]


def of_tags(tags: pd.DataFrame, names: Collection[str] | None = None) -> Changes:
    """The changes that the table ``tags`` asks for, by all of its tags or by those of some names."""
    rows = tags[tags["kind"].isin(FOLDED_IN)]
    if names is not None:
        rows = rows[rows["tag"].isin(list(names))]
    rows = rows.sort_values("created", kind="stable")
    told = rows[(rows["kind"] == "label") & rows["value"].isin(list(_LABELS))]
    out = rows[rows["kind"] == "exclusion"]
    excluded = frozenset(out["face_id"])
    n_values = told.groupby("face_id")["value"].nunique()
    labels = {f: _LABELS[v] for f, v in zip(told["face_id"], told["value"], strict=True) if f not in excluded}
    reasons = dict(zip(told["face_id"], told["tag"], strict=True)) | dict(zip(out["face_id"], out["tag"], strict=True))
    return Changes(
        labels, excluded, reasons, frozenset(n_values.index[n_values > 1]), excluded & frozenset(told["face_id"])
    )


def touched(changes: Changes, faces: pd.DataFrame) -> Touched:
    """What changes come to on faces.

    Parameters
    ----------
    faces : one row per usable face, as kept corrections have it: ``face_id, video_id, label, source_group, excluded``.
    """
    after = _after(faces, changes)
    gone = faces["excluded"].astype(bool)
    out = ~gone & faces["face_id"].isin(changes.excluded)
    back = gone & faces["face_id"].isin(set(changes.labels))
    changed = ~out & (~gone | back) & after.notna() & (after != faces["label"].astype("float64"))
    hit = faces[changed | out | back]
    named = faces["face_id"].isin(changes.faces)
    return Touched(
        n_to_fake=int((changed & (after == 1)).sum()),
        n_to_real=int((changed & (after == 0)).sum()),
        n_excluded=int(out.sum()),
        n_back=int(back.sum()),
        n_same=int((named & ~changed & ~out & ~back).sum()),
        n_strangers=len(changes.faces - set(faces["face_id"])),
        n_faces=len(hit),
        n_videos=hit["video_id"].nunique(),
        n_groups=hit["source_group"].nunique(),
        remarks=tuple(_remarks(changes, faces, after, before=~gone, left=(~gone | back) & ~out)),
    )


def _after(faces: pd.DataFrame, changes: Changes) -> pd.Series:
    """Labels of all faces as the changes leave them, float64 with NaN for unknown."""
    return faces["face_id"].map(changes.labels).astype("float64").fillna(faces["label"].astype("float64"))


def _remarks(
    changes: Changes, faces: pd.DataFrame, after: pd.Series, *, before: pd.Series, left: pd.Series
) -> list[str]:
    """``before``, ``left``: faces that counted without the tags, and those that count with them, bool."""
    found = []
    here = set(faces["face_id"])
    if n := len(changes.contradicting & here):
        found.append(f"{n:,} faces are labelled both real and fake by different tags: the latest label counts.")
    if n := len(changes.both & here):
        found.append(f"{n:,} faces are labelled and excluded: the exclusion counts.")
    known = faces["label"].astype("float64")
    relabelled = left & after.notna() & (after != known)
    mixed = faces.assign(after=after)[left & after.notna()].groupby("video_id")["after"].nunique()
    n = int(mixed[mixed > 1].index.isin(faces.loc[relabelled, "video_id"]).sum())
    if n:
        found.append(
            f"Of {n:,} videos only some faces are relabelled, so their faces disagree; such a video counts as fake."
        )
    mine = faces["source_group"].isin(faces.loc[relabelled | (before != left), "source_group"])
    for label, name in ((0, "genuine"), (1, "forged")):
        before_groups = set(faces.loc[mine & before & (known == label), "source_group"])
        after_groups = set(faces.loc[mine & left & (after == label), "source_group"])
        if lost := before_groups - after_groups:
            found.append(f"{len(lost):,} source groups have no {name} face left.")
        forged_alone = set(faces.loc[mine & before & (known == 1), "source_group"]) - before_groups
        if label == 0 and (new := after_groups & forged_alone):
            found.append(f"{len(new):,} source groups held forgeries alone and now hold a genuine face.")
    if strangers := len(changes.faces - here):
        found.append(f"{strangers:,} tagged faces are not among this project's usable faces and change nothing.")
    return found


def as_overrides(changes: Changes, faces: pd.DataFrame) -> list[Override]:
    """Lines of an overrides file for the changes: a video's where all its usable faces change alike, else a face's.

    Faces as `touched` takes them; an exclusion that is kept already gives no line.
    """
    words = {0: "real", 1: "fake"}
    said = {f: words[v] for f, v in changes.labels.items()} | dict.fromkeys(changes.excluded, "exclude")
    named = faces[["face_id", "video_id"]].assign(said=faces["face_id"].map(said))
    told = named[named["said"].notna()].assign(reason=lambda rows: rows["face_id"].map(changes.reasons))
    kept = told["said"].eq("exclude") & told["face_id"].isin(faces.loc[faces["excluded"].astype(bool), "face_id"])
    n_faces = named["video_id"].value_counts()
    by_video = told.groupby("video_id", sort=True)["said"].agg(["size", "nunique", "first"])
    alike = (by_video["size"] == n_faces.reindex(by_video.index)) & (by_video["nunique"] == 1)
    whole = by_video[alike & by_video.index.isin(told.loc[~kept, "video_id"])]
    in_whole = told["video_id"].isin(whole.index)
    why: dict[str, list[str]] = {}
    for video, reason in (
        told.loc[in_whole, ["video_id", "reason"]].drop_duplicates().itertuples(index=False, name=None)
    ):
        why.setdefault(video, []).append(reason)
    lines = [Override("video", str(v), c, "tag: " + ", ".join(sorted(why[str(v)]))) for v, c in whole["first"].items()]
    singles = told.loc[~in_whole & ~kept, ["face_id", "said", "reason"]]
    return lines + [Override("face", f, c, f"tag: {r}") for f, c, r in singles.itertuples(index=False, name=None)]
