"""Corrected labels: the file, what it does to faces, and that the stages after ``split`` use them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pipeline import overrides, tables
from pipeline.errors import UserError
from pipeline.report import summary
from tests.pipeline import project
from tests.pipeline.test_units import make

HEAD = "face_id,video_id,change,reason\n"


def test_a_file_is_read_as_it_is_written() -> None:
    text = HEAD + "f1,,exclude,\n,v1,fake,\"seen, 'twice'\"\n"
    lines = overrides.parse(text, name="x")
    assert {(o.kind, o.key, o.change) for o in lines} == {("face", "f1", "exclude"), ("video", "v1", "fake")}
    assert overrides.parse(overrides.text_of(lines), name="x") == lines
    assert overrides.read(Path("/nowhere/overrides.csv")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected the header face_id,video_id,change,reason, got nothing"),
        ("file,label\n", "got file,label"),
        (HEAD + "f1,v1,real,\n", "line 2: expected a face_id or a video_id, got both"),
        (HEAD + ",,real,\n", "got neither"),
        (HEAD + "f1,,maybe,\n", "expected a change of real, fake, exclude, got 'maybe'"),
        (HEAD + "f1,,real\n", "expected 4 fields, got 3"),
        (HEAD + "f1,,real,\nf1,,fake,\n", "line 3: face 'f1' is told twice"),
        (HEAD + 'f1,,real,"\n', "not readable as CSV"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        overrides.parse(text, name="overrides.csv")


def test_a_face_s_line_stands_over_its_video_s() -> None:
    faces = pd.DataFrame({"face_id": ["a", "b", "c", "d"], "video_id": ["v", "v", "w", "w"], "label": [0, 0, 1, None]})
    told = overrides.parse(HEAD + ",v,fake,\nb,,real,\nd,,exclude,\nz,,real,\n", name="x")
    rows, n_unknown = overrides.resolve(told, faces)
    assert n_unknown == 1
    table = tables.build("overrides", rows).to_pandas()
    known = faces.assign(method=["real", "real", "m", None])
    out = overrides.apply_rows(known, table)
    assert out["face_id"].tolist() == ["a", "b", "c"]
    assert out["label"].tolist() == [1, 0, 1]
    assert out["method"].tolist() == [None, "real", "m"]  # by which method, nobody knows
    assert len(overrides.apply_rows(known, table, drop=False)) == 4
    sentence = summary.overrides_sentence(table)
    assert "Labels of 1 faces of 1 videos" in sentence
    assert "1 faces are excluded" in sentence
    assert "1 faces are named" in sentence


def test_training_and_measuring_use_corrected_labels(tmp_path: Path) -> None:
    paths = make(tmp_path, shared=False, **{"train.spaces": ["efficientnet"], "split.leaks": "warn"})
    project.run(paths, "split", "train")
    before = tables.metadata(paths.table("predictions"))["fingerprint"]
    assert tables.read_pandas(paths.table("overrides"), "overrides").empty
    (tmp_path / "overrides.csv").write_text(HEAD + ",v000,fake,\n,v011,exclude,\n")
    project.run(paths, "split", "train")
    assert tables.metadata(paths.table("predictions"))["fingerprint"] != before  # else kept work would be used again
    found = tables.read_pandas(paths.table("predictions"), "predictions")
    label = found.set_index(["level", "id"])["label"]
    assert label["video", "v000"] == 1
    assert ("video", "v011") not in label.index
    assert label["video", "v010"] == 0
    assert "v011" not in set(tables.read_pandas(paths.table("splits"), "splits")["video_id"])
