"""Clusters made of compression alone are called out, chance is not, and bad tables get a sentence."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from embeddings.cluster_codes import Near
from embeddings.clusters import hdbscan_clusters
from pipeline import about_faces, about_rows, tables
from pipeline.about_inputs import attributes_of
from pipeline.about_verdict import verdict
from pipeline.errors import UserError
from pipeline.paths import Paths
from tests.pipeline import project
from tests.report import material

N_GROUPS = 30
N_FRAMES = 2


def faces(**columns: Any) -> pd.DataFrame:
    """Facts of the faces of 30 groups: a real and a fake video in either compression, two frames of each."""
    rows = [
        {"source_group": f"g{g:02d}", "identity": f"person{g:02d}", "video_id": f"v{g:02d}{label}{c}",
         "face_id": f"f{g:02d}{label}{c}{k}", "label": label, "method": ("real", "swap")[label], "compression": c,
         "dataset": "folder", "height_px": 720}
        for g in range(N_GROUPS) for label in (0, 1) for c in ("c23", "c40") for k in range(N_FRAMES)
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    r = np.random.default_rng(5)
    of_group, of_face = r.normal(size=(N_GROUPS, 6)).repeat(8, axis=0), r.normal(size=(len(table), 6))
    numbers = dict(
        zip(("ita_deg", "yaw_deg", "face_width_px", "blur", "brightness", "lpips"), (of_group + of_face).T, strict=True)
    )
    return table.assign(skin_tone=None, membership=1.0, cluster=0, **numbers).assign(**columns)


def judged(table: pd.DataFrame) -> tuple[str, pd.DataFrame]:
    rows = pd.DataFrame(about_rows.information_rows("x-hdbscan", table, n_shuffles=400, seed=0))
    return verdict(rows), rows.set_index("attribute")


def clustered(table: pd.DataFrame, *, compression: float, group: float) -> np.ndarray:
    """HDBSCAN of embeddings with an effect of compression and one of the group."""
    r = np.random.default_rng(0)
    X = 0.3 * r.normal(size=(len(table), 8))
    X[:, 0] += compression * (table["compression"] == "c40")
    X[:, 1:] += group * r.normal(size=(N_GROUPS, 7)).repeat(8, axis=0)
    return hdbscan_clusters(X, space="raw8", min_cluster_size=5).cluster


def test_clusters_made_of_compression_alone_are_called_out() -> None:
    table = faces()
    sentence, rows = judged(table.assign(cluster=clustered(table, compression=9, group=0)))
    assert sentence.startswith("These clusters are about compression (NMI 1.00 against 0.0")
    assert "not shown to be about forgery (NMI 0.00 against 0.0" in sentence
    assert rows.loc["compression", "told"] == 1.0
    assert set(rows.index[rows["is_about"]]) == {"compression", "video"}, "a video has one compression"


def test_clusters_made_of_people_are_not_taken_for_what_these_people_have_in_common() -> None:
    """Compression goes with the person here, so face by face the two look related."""
    table = faces()
    number = table["source_group"].str[1:].astype(int)
    table = table.assign(compression=np.where(number % 2, "c23", "c40"))
    sentence, rows = judged(table.assign(cluster=clustered(table, compression=0, group=9)))
    assert sentence.startswith(("These clusters are about person", "These clusters are about source group"))
    assert rows.loc["compression", "nmi"] > 0.2
    assert not rows.loc[["compression", "label", "method", "blur", "brightness"], "is_about"].any()


def test_clusters_of_chance_are_about_nothing() -> None:
    """Of 20 such worlds one may be called out by luck: p_holm is 5 % for all attributes together."""
    called_out = 0
    for seed in range(3):
        sentence, rows = judged(faces(cluster=np.random.default_rng(seed).integers(-1, 5, N_GROUPS * 8)))
        called_out += int(rows["is_about"].any())
        assert rows["is_about"].any() or "not shown to be about any of" in sentence
    assert called_out <= 1


def test_clusters_of_fakes_are_said_to_be_about_forgery() -> None:
    table = faces()
    sentence, rows = judged(table.assign(cluster=table["label"]))
    assert sentence.startswith("These clusters are about forgery (real or fake) (NMI 1.00")
    assert "not shown" not in sentence
    assert set(rows.index[rows["is_about"]]) == {"label", "method", "video"}


def test_what_names_a_unit_is_shuffled_by_the_next_smaller_one() -> None:
    units = {name: a.unit for name, a in attributes_of(faces()).items()}
    assert (units["video"], units["source_group"], units["identity"]) == ("face", "video", "video")
    assert {units[n] for n in ("label", "method", "compression", "blur")} == {"source group"}
    shared = faces()
    shared["identity"] = "person" + (shared["source_group"].str[1:].astype(int) // 2).astype(str)
    assert attributes_of(shared)["identity"].unit == "source group", "people in several groups: groups can be exchanged"


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"cluster": -1}, "Nothing can be said of what these clusters are about: every face is noise"),
        ({"cluster": 0}, "there is one cluster alone"),
        ({"label": None, "cluster": np.arange(240) % 2}, "of forgery nothing can be said: not known of any face"),
        ({"source_group": "one", "identity": "one", "cluster": np.arange(240) % 2}, "These clusters are"),
    ],
)
def test_bad_clusterings_get_a_sentence(columns: dict[str, Any], words: str) -> None:
    table = faces(**columns)
    if columns.get("label", "") is None:
        table["cluster"] = (table["compression"] == "c40").astype(int)
    sentence, rows = judged(table)
    assert words in sentence
    assert rows["reason"].notna().any()
    profiles = about_rows.profile_rows("x-hdbscan", table, {})
    assert sum(p["n_faces"] for p in profiles) == len(table)


def test_shares_take_groups_as_the_sample() -> None:
    table = faces(cluster=np.repeat([0, -1], [16, 224]))
    first, noise = about_rows.profile_rows("x", table, {0: Near((3,), (1.5,))})
    assert (first["cluster"], first["n_faces"], first["n_videos"], first["n_groups"]) == (0, 16, 8, 2)
    assert (first["share_fake"], first["methods"], first["method_shares"]) == (0.5, ["real", "swap"], [0.5, 0.5])
    assert first["ci_low"] < 0.1, "two groups, not sixteen faces"
    assert (first["nearest"], noise["nearest"], noise["cluster"]) == ([3], [], -1)


CODE = np.zeros((2, 4), np.float32)


def wanted(**options: int) -> list[about_faces.Wanted]:
    near = {0: Near((1, 2), (1.0, 2.0)), 1: Near((0, 2), (1.0, 2.0)), 2: Near((1, 0), (1.0, 2.0))}
    effort = {"n_mean_faces": 2, "n_walks": 5, "n_steps": 3} | options
    sizes = {0: 5, 1: 9, 2: 4, -1: 100}
    return about_faces.wanted_faces("x", sizes, {0: CODE, 2: CODE + 1}, near, **effort)


def test_the_largest_clusters_are_drawn_and_no_walk_twice() -> None:
    found = wanted()
    assert [(w.kind, w.cluster, w.to_cluster, w.step) for w in found] == [
        ("mean", 1, 1, 0), ("mean", 0, 0, 0), ("walk", 0, 2, 0), ("walk", 0, 2, 1), ("walk", 0, 2, 2),
    ]  # fmt: skip
    assert found[3].code is not None
    assert found[3].code[0, 0] == 0.5
    assert wanted(n_mean_faces=0, n_walks=0) == []


def test_a_cluster_without_codes_has_a_row_with_a_reason() -> None:
    row = next(about_faces.drawn_rows(wanted()[:1], "mobile-own-0", device="cpu", allow_noncommercial=True))
    assert (row["image"], row["reason"]) == (None, "none of its faces has a W+ code")
    assert about_faces.generator_of("stylegan2-ffhq-1024-e4e-100-x") == "stylegan2-ffhq-1024"
    with pytest.raises(UserError, match=r"'other-own-0' cannot be drawn: their generator is none of mobile"):
        next(about_faces.drawn_rows(wanted()[1:], "other-own-0", device="cpu", allow_noncommercial=True))


@pytest.fixture
def filled(tmp_path: Path) -> Paths:
    """Tables of six groups up to clusters; codes of one channel that no generator draws."""
    rows = material.fill(tmp_path)
    usable = [r for r in rows["faces"] if r["status"] == "ok"]
    known = [
        {name: r[name] for name in ("face_id", "video_id", "source_group", "label", "method", "blur", "yaw_deg")}
        | {"brightness": 50.0 + i % 3}
        for i, r in enumerate(usable)
    ]
    material.write(tmp_path, "attributes", known)
    r = np.random.default_rng(0)
    vectors = [
        {"face_id": f["face_id"], "embedder_id": "lite0", "embedding": r.normal(size=6).tolist()} for f in usable
    ]
    material.write(tmp_path, "embeddings", vectors)
    project.write_params(tmp_path, {"about.quick": {"n_mean_faces": 0, "n_walks": 0, "n_channel_shuffles": 20}})
    return Paths(tmp_path)


def rows_and_reason(paths: Paths) -> dict[str, tuple[int, str | None]]:
    names = ("cluster_profiles", "cluster_information", "cluster_channels", "cluster_faces")
    return {n: (tables.n_rows(paths.table(n)), tables.metadata(paths.table(n)).get("reason")) for n in names}


def test_the_stage_writes_what_can_be_known(filled: Paths, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        project.run(filled, "about")
    assert "about: efficientnet-hdbscan-pca50-mcs5-ms5: These clusters are" in caplog.text
    made = rows_and_reason(filled)
    assert made["cluster_profiles"] == (4, None)
    assert made["cluster_channels"] == (3, None)
    assert made["cluster_faces"] == (0, "no mean face is asked for, or there is no cluster")
    info = tables.read_pandas(filled.table("cluster_information"), "cluster_information").set_index("attribute")
    assert {"label", "compression", "dataset", "source_group", "video", "blur"} <= set(info.index)
    assert info.loc["compression", "reason"] == "not known of any face in a cluster"


def test_no_codes_no_clusters_and_all_noise(filled: Paths) -> None:
    material.write(filled.root, "wplus", [])
    project.run(filled, "about")
    made = rows_and_reason(filled)
    assert made["cluster_profiles"][0] == 4
    assert made["cluster_faces"] == made["cluster_channels"] == (0, "no clustered face has a W+ code")
    noise = tables.read_pandas(filled.table("clusters"), "clusters").assign(cluster=-1)
    material.write(filled.root, "clusters", noise.to_dict("records"))
    project.run(filled, "about")
    assert rows_and_reason(filled)["cluster_profiles"][0] == 1
    material.write(filled.root, "clusters", [])
    project.run(filled, "about")
    assert set(rows_and_reason(filled).values()) == {(0, "there is no clustering: see the table 'clusters'")}


def test_faces_that_nobody_knows_stop_the_stage_with_a_sentence(filled: Paths) -> None:
    known = tables.read_pandas(filled.table("attributes"), "attributes").iloc[1:]
    rows = [{k: v for k, v in r.items() if not pd.isna(v)} for r in known.to_dict("records")]
    material.write(filled.root, "attributes", rows)
    with pytest.raises(UserError, match="knows nothing of 1 of 36 clustered faces"):
        project.run(filled, "about")


def test_a_project_without_any_face_gets_empty_tables(tmp_path: Path) -> None:
    for name in ("videos", "faces", "wplus", "embeddings", "codes", "clusters", "attributes"):
        material.write(tmp_path, name, [])
    project.write_params(tmp_path, {})
    project.run(Paths(tmp_path), "about")
    assert set(rows_and_reason(Paths(tmp_path)).values()) == {(0, "there is no clustering: see the table 'clusters'")}
