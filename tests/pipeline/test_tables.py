"""Tables are checked, sorted and written at once or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import tables
from pipeline.errors import UserError
from pipeline.schemas import TABLES


def embedding(face: str, values: list[float]) -> dict[str, object]:
    return {"face_id": face, "embedder_id": "net", "embedding": values}


def test_a_table_comes_back_sorted_with_its_metadata(tmp_path: Path) -> None:
    rows = [embedding("b", [1, 2]), embedding("a", [3, 4])]
    tables.write_rows(rows, tmp_path / "embeddings", name="embeddings", meta={"fingerprint": "f"})
    back = tables.read(tmp_path / "embeddings", "embeddings")
    assert back.column("face_id").to_pylist() == ["a", "b"]
    assert back.column("embedding").to_pylist() == [[3, 4], [1, 2]]
    assert tables.metadata(tmp_path / "embeddings")["fingerprint"] == "f"


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=4), max_size=6))
def test_vectors_survive_a_round_trip(tmp_path_factory: pytest.TempPathFactory, vectors: list[list[float]]) -> None:
    folder = tmp_path_factory.mktemp("round") / "embeddings"
    rows = [embedding(f"{i:03d}", v) for i, v in enumerate(vectors)]
    tables.write_rows(rows, folder, name="embeddings", meta={})
    assert tables.read(folder, "embeddings").column("embedding").to_pylist() == vectors


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": 2}, "above 1"),
        ({"status": "fine"}, "'fine' is not one of"),
        ({"video_id": None}, "1 empty values"),
        ({"fps": "fast"}, "fast"),
        ({"colour": "red"}, "unknown column 'colour'"),
        ({"width_px": 0}, "below 1"),
    ],
)
def test_a_row_that_breaks_the_declaration_is_named(change: dict[str, object], message: str) -> None:
    row = {"video_id": "v", "rel_path": "a.mp4", "dataset": "folder", "source_group": "g", "status": "ok"}
    tables.build("videos", [row])
    with pytest.raises(tables.TableError, match=message):
        tables.build("videos", [row | change])


def test_a_repeated_key_is_refused_within_and_across_shards(tmp_path: Path) -> None:
    with pytest.raises(tables.TableError, match="repeat the key"):
        tables.build("embeddings", [embedding("a", [1]), embedding("a", [2])])
    part = tables.build("embeddings", [embedding("a", [1])])
    with pytest.raises(tables.TableError, match="repeats a key"):
        tables.write_shards([part, part], tmp_path / "embeddings", name="embeddings", meta={})
    assert not any(tmp_path.iterdir()), "nothing half-written stays behind"


def test_nan_is_refused_where_a_number_is_due() -> None:
    row = {
        "id": "a",
        "level": "frame",
        "space": "wplus",
        "model": "rf",
        "split": "cv",
        "source_group": "g",
        "uncertain": False,
    }
    tables.build("predictions", [row | {"p_fake": 0.5}])
    with pytest.raises(tables.TableError, match="NaN"):
        tables.build("predictions", [row | {"p_fake": float("nan")}])


def test_a_failed_write_keeps_the_former_table(tmp_path: Path) -> None:
    folder = tmp_path / "embeddings"
    tables.write_rows([embedding("a", [1])], folder, name="embeddings", meta={})

    def parts():  # type: ignore[no-untyped-def]
        yield tables.build("embeddings", [embedding("b", [1])])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tables.write_shards(parts(), folder, name="embeddings", meta={})
    assert tables.read(folder, "embeddings").column("face_id").to_pylist() == ["a"]
    assert [p.name for p in tmp_path.iterdir()] == ["embeddings"]


def test_missing_foreign_and_damaged_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there"):
        tables.read(tmp_path / "embeddings", "embeddings")
    foreign = tmp_path / "map.parquet"
    pq.write_table(pa.table({"x": [1]}), foreign)
    with pytest.raises(UserError, match="does not hold the table 'map'"):
        tables.read(foreign, "map")
    foreign.write_bytes(b"PAR1 nothing")
    with pytest.raises(UserError, match="not a readable Parquet file"):
        tables.read(foreign, "map")


def test_an_empty_table_can_be_written_and_streamed(tmp_path: Path) -> None:
    tables.write_rows([], tmp_path / "embeddings", name="embeddings", meta={})
    assert tables.read(tmp_path / "embeddings", "embeddings").num_rows == 0
    assert sum(b.num_rows for b in tables.read_batches(tmp_path / "embeddings", "embeddings")) == 0


def test_streaming_gives_every_row_once_in_order_and_respects_the_filter(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    parts = [
        tables.build("embeddings", [embedding(f"{i:04d}", rng.normal(size=3).tolist()) for i in range(s, s + 70)])
        for s in (0, 70, 140)
    ]
    tables.write_shards(parts, tmp_path / "embeddings", name="embeddings", meta={})
    batches = list(tables.read_batches(tmp_path / "embeddings", "embeddings", columns=["face_id"], batch_rows=32))
    ids = [i for b in batches for i in b.column(0).to_pylist()]
    assert ids == [f"{i:04d}" for i in range(210)]
    assert max(b.num_rows for b in batches) <= 32
    late = tables.read_batches(
        tmp_path / "embeddings", "embeddings", columns=["face_id"], where=pc.field("face_id") >= "0200"
    )
    assert sum(b.num_rows for b in late) == 10


def test_every_declared_table_has_a_key_a_sort_order_and_a_meaning_per_column() -> None:
    for table in TABLES.values():
        assert set(table.key) <= set(table.column_names)
        assert set(table.sort) <= set(table.column_names)
        assert all(c.meaning for c in table.columns)
