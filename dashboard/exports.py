"""What a selection is taken away as: tables, ids, and label files that the pipeline reads. Nothing here draws."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from dashboard import data

MAX_PICTURES = 5_000
_HEADER = ("file", "label", "source_group", "method", "compression", "identity")


@dataclass(frozen=True)
class LabelFile:
    """A ``labels.csv``, and how many entries it has and lacks.

    Attributes
    ----------
    text : the file, UTF-8.
    n_files : entries.
    n_excluded : left out, for a tag excludes them.
    n_unlabelled : left out, for neither the material nor a tag says what they are.
    n_contradicting : left out, for their faces are labelled both real and fake.
    """

    text: str
    n_files: int
    n_excluded: int
    n_unlabelled: int
    n_contradicting: int

    def remarks(self) -> str:
        """What was left out, as one sentence; empty where nothing was."""
        parts = [
            f"{n:,} {why}"
            for n, why in (
                (self.n_excluded, "excluded by a tag"),
                (self.n_unlabelled, "without a label"),
                (self.n_contradicting, "with faces labelled both real and fake"),
            )
            if n
        ]
        return f"Left out: {', '.join(parts)}." if parts else ""


def parquet(rows: pd.DataFrame) -> bytes:
    """All columns of the rows."""
    buffer = io.BytesIO()
    rows.to_parquet(buffer, index=False)
    return buffer.getvalue()


def ids_csv(rows: pd.DataFrame) -> str:
    """Face, video and frame of each row."""
    return str(rows[["face_id", "video_id", "frame_index"]].to_csv(index=False))


def labels_csv(rows: pd.DataFrame, tags: pd.DataFrame, *, by: str) -> LabelFile:
    """A ``labels.csv`` for the layouts ``crops`` and ``folder``, with labels and exclusions from tags folded in.

    Parameters
    ----------
    rows : faces with ``face_id, label, rel_path, source_group`` and, where known, method, compression, identity.
    tags : the table ``tags``; the latest label tag of a face stands over the material's label.
    by : ``video`` lists source files by their path below ``data.root``; ``face`` lists ``images/<face_id>.png``, as
        `crops_zip` packs them.
    """
    table = rows.copy()
    relabelled = _latest_labels(tags)
    table["label"] = table["face_id"].map(relabelled).fillna(table["label"].astype(object))
    excluded = table["face_id"].isin(tags.loc[tags["kind"] == "exclusion", "face_id"])
    changed = table["face_id"].isin(relabelled.keys())
    # A genuine face has no method; one that a person found to be fake has none that is known.
    table["method"] = table["method"].astype(object).where(~changed, None)
    key = table["rel_path"] if by == "video" else "images/" + table["face_id"].astype(str) + ".png"
    table["file"] = key.astype(object)
    kept = table[~excluded & table["file"].notna()]
    n_excluded = table.loc[excluded, "file"].nunique() - len(set(table.loc[excluded, "file"]) & set(kept["file"]))
    known = kept[kept["label"].isin(["real", "fake"])]
    n_labels = known.groupby("file")["label"].nunique()
    clear = known[known["file"].map(n_labels) == 1].drop_duplicates("file").sort_values("file")
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(_HEADER)
    for row in clear[list(_HEADER)].astype(object).where(clear[list(_HEADER)].notna(), "").itertuples(index=False):
        writer.writerow(row)
    n_unlabelled = kept["file"].nunique() - len(n_labels)
    return LabelFile(buffer.getvalue(), len(clear), int(n_excluded), n_unlabelled, int((n_labels > 1).sum()))


def crops_zip(rows: pd.DataFrame, tags: pd.DataFrame) -> bytes:
    """A whole data folder for ``data.source: crops``: the aligned faces and their ``labels.csv``."""
    labels = labels_csv(rows, tags, by="face")
    wanted = [line["file"] for line in csv.DictReader(io.StringIO(labels.text))]
    pictures = _pictures([name.removeprefix("images/").removesuffix(".png") for name in wanted])
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as out:
        out.writestr("labels.csv", labels.text)
        for name in wanted:
            if (picture := pictures.get(name.removeprefix("images/").removesuffix(".png"))) is not None:
                out.writestr(name, picture)
    return buffer.getvalue()


def _pictures(faces: Sequence[str]) -> Mapping[str, bytes]:
    return data.images("faces", faces)


def _latest_labels(tags: pd.DataFrame) -> dict[str, str]:
    labels = tags[tags["kind"] == "label"].sort_values("created", kind="stable")
    return dict(zip(labels["face_id"], labels["value"], strict=True))
