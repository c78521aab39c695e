"""The page and its figures on full, missing, empty, foreign and hostile tables."""

from __future__ import annotations

import io
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipeline import tables
from pipeline.paths import Paths
from pipeline.report import load
from pipeline.report.render import RunFacts, WeightUse, figures, gather, render
from tests.report import material

RUN = RunFacts(
    seed=7,
    profile="quick",
    device="cpu",
    fingerprint="abc123",
    source=material.HOSTILE,
    versions={"numpy": "2.4"},
    weights=[
        WeightUse("mobile", "a package", "non-commercial", True),
        WeightUse("lite0", "other", "Apache-2.0", False),
    ],
    facts={"data root": material.HOSTILE},
)


class Page(HTMLParser):
    """Collects tags, addresses and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "action", "background")]
        assert not any(k.startswith("on") for k, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("full")
    material.fill(root)
    return root


def test_page_is_complete_self_contained_and_repeatable(full: Path) -> None:
    data = gather(Paths(full), RUN)
    drawn = figures(data)
    assert set(drawn) == {
        "quality", "effort", "metrics-video", "metrics-frame", "best-model", "curves",
        "importance-wplus-rf-alone-balanced-accuracy",
        "slices", "channel-effects", "learning", "cluster-information-0",
        "map-efficientnet-tsne2-perp30", "tree-efficientnet-hdbscan-pca50-mcs5-ms5",
    }  # fmt: skip
    page = render(data, drawn)
    assert page == render(data)
    parsed = Page(page)
    assert all(a.startswith(("data:image/", "#")) for a in parsed.addresses)
    assert "script" not in parsed.tags
    assert material.HOSTILE in parsed.text  # shown as it is written, as text
    assert parsed.text.count("Not shown") == 1
    assert "Not shown: mean face of cluster 1: none of its faces has a W+ code." in parsed.text
    assert "fitted on faces of this study" in parsed.text
    assert page.count('alt="|pca - face|') == 6
    for words in (
        "stlpips-alex",
        "forbids commercial use",
        "print-of-wplus",
        "optimistic",
        "Cluster 0",
        "agree with those of all faces by 0.30 [0.10, 0.50]",
        "a single cluster is no finding",
        "Only 6 independent",
        "No label was corrected by hand",
        "2 slices of 4 compared are shown to be failed",
        "skin tone (ITA): dark",
        "Labels can be told without looking at the face, from: top left corner (ROC-AUC 0.97)",
        "Fall of ROC-AUC, channel permuted",
        "These clusters are about compression (NMI 0.90 against 0.10 [0.050, 0.20] shuffled), not shown to be about "
        "forgery",
        "Cluster 0, mean face of 12 faces",
        "0, 1, 2",
    ):
        assert words in parsed.text, words
    assert not re.search(r"url\(|@import", page)


def test_codes_without_steps_have_no_curve(tmp_path: Path) -> None:
    rows = material.fill(tmp_path)["effort"]
    material.write(tmp_path, "effort", rows[:1])
    data = gather(Paths(tmp_path), RUN)
    assert "effort" not in figures(data)
    assert "Not shown: the first codes were taken as they are" in Page(render(data)).text


def test_figures_are_readable_and_of_sober_size(full: Path) -> None:
    for name, data in figures(gather(Paths(full), RUN)).items():
        with Image.open(io.BytesIO(data)) as image:
            assert image.format == "PNG", name
            assert 600 < image.width < 2200, name


def test_every_missing_table_is_said(tmp_path: Path) -> None:
    data = gather(Paths(tmp_path), RUN)
    assert figures(data) == {}
    text = Page(render(data)).text
    for name in ("videos", "faces", "wplus", "metrics", "importance", "map", "clusters"):
        assert f"table '{name}' is not there" in text


@pytest.mark.parametrize("name", load.REPORTED)
def test_any_single_table_may_be_missing_or_empty(tmp_path: Path, name: str) -> None:
    material.fill(tmp_path, without=[name], n_groups=2, n_frames=1)
    assert f"table '{name}' is not there" in Page(render(gather(Paths(tmp_path), RUN), {})).text
    material.write(tmp_path, name, [], reason="the reason it has none")
    none = (
        "No label was corrected by hand"
        if name == "overrides"
        else f"table '{name}' has no rows: the reason it has none"
    )
    assert none in Page(render(gather(Paths(tmp_path), RUN), {})).text


def test_reconstructions_may_be_missing(tmp_path: Path) -> None:
    material.fill(tmp_path, without=["reconstructions"], n_groups=1, n_frames=1)
    assert "table 'reconstructions' is not there" in Page(render(gather(Paths(tmp_path), RUN), {})).text


def test_truncated_and_foreign_tables_are_named(tmp_path: Path) -> None:
    material.fill(tmp_path, n_groups=2, n_frames=1)
    paths = Paths(tmp_path)
    metrics = paths.table("metrics")
    metrics.write_bytes(metrics.read_bytes()[:200])
    pq.write_table(pa.table({"anything": [1]}), paths.table("map"))
    (paths.table("faces") / "part-00001.parquet").write_bytes(b"PAR1 no table PAR1")
    text = Page(render(gather(paths, RUN))).text
    assert "metrics.parquet is not a readable Parquet file" in text
    assert "map.parquet does not hold the table 'map'" in text
    assert "table 'faces' cannot be read" in text


def test_a_table_whose_required_column_is_missing_is_named(tmp_path: Path) -> None:
    material.fill(tmp_path, n_groups=1, n_frames=1)
    path = Paths(tmp_path).table("metrics")
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(["level"]).replace_schema_metadata(table.schema.metadata), path)
    assert "has empty values in column 'level'" in Page(render(gather(Paths(tmp_path), RUN), {})).text


def test_one_class_gives_no_curve_and_no_crash(tmp_path: Path) -> None:
    rows = material.rows_of(n_groups=2)
    for name, table in rows.items():
        for row in table:
            row.update({"label": 1} if "label" in row else {})
        for row in table if name == "metrics" else []:
            row.update(value=None, ci_low=None, ci_high=None, reason="one class only")
        material.write(tmp_path, name, table)
    text = Page(render(gather(Paths(tmp_path), RUN))).text
    assert "All usable labelled videos are fake" in text
    assert "no model has a ROC-AUC" in text
    assert "one class only" in text


def test_images_are_read_by_id_only(full: Path) -> None:
    path = Paths(full).table("reconstructions")
    found = load.read_images(path, "reconstructions", ["f0000", "absent"], projector_id=material.INVERTER)
    assert list(found) == ["f0000"]
    assert load.read_images(path, "reconstructions", ["f0000"], projector_id="another") == {}
    assert load.read_images(path, "reconstructions", []) == {}


def test_a_face_s_image_is_found_in_the_shard_of_the_asked_inverter(tmp_path: Path) -> None:
    path = Paths(tmp_path).table("reconstructions")
    shards = [
        tables.build(
            "reconstructions",
            [{"face_id": f, "inverter_id": inverter, "image": f"{f} {inverter}".encode()} for f in "ab"],
        )
        for inverter in ("one", "two")
    ]
    tables.write_shards(shards, path, name="reconstructions", meta={})
    assert load.locate(path, "reconstructions") == dict.fromkeys("ab", ("part-00000.parquet", "part-00001.parquet"))
    for inverter in ("one", "two"):
        found = load.read_images(path, "reconstructions", ["a"], projector_id=inverter)
        assert found == {"a": f"a {inverter}".encode()}


def test_corrections_by_hand_are_told(full: Path, tmp_path: Path) -> None:
    root = tmp_path / "corrected"
    shutil.copytree(full, root)
    named = {"video_id": "v000", "label_before": 0}
    material.write(
        root,
        "overrides",
        [
            named | {"face_id": "f0000", "label": 1, "excluded": False},
            named | {"face_id": "f0001", "label": 0, "excluded": True},
            named | {"face_id": "f0002", "label": 0, "excluded": False},
        ],
    )
    text = Page(render(gather(Paths(root), RUN))).text
    assert "Labels of 1 faces of 1 videos were corrected by hand, and 1 faces are excluded" in text
    assert "1 faces are named, but had that label already" in text
