"""The stage ``codes`` on a small project: both codecs, what classifiers make of them, hold-out, and what goes wrong."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from embeddings.image_pca import load_pca
from embeddings.quantise import perplexity
from embeddings.vqvae import VqVae2, VqVaeSize
from embeddings.vqvae_codec import VqVaeCodec
from embeddings.vqvae_fit import start_vqvae
from embeddings.vqvae_weights import save_vqvae
from pipeline import tables
from pipeline.doctor import examine
from pipeline.errors import UserError
from pipeline.ingest.encoding import decode_image
from pipeline.paths import Paths
from pipeline.stages import features
from tests.pipeline import project

BOTH = {"spaces": ["pca", "vqvae"], "codes.vqvae": {"weights_file": "vqvae.safetensors", "as": "histogram"}}


def with_weights(paths: Paths) -> Paths:
    """A network of the smallest size, with codebooks that are not all alike."""
    model = VqVae2(VqVaeSize(n_channels=4, n_res_blocks=1, n_res_channels=2, dim=4, n_codes=8))
    start_vqvae(model, seed=0)
    random = torch.Generator().manual_seed(0)
    patches = torch.rand(4, 3, 8, 8, generator=random).mul(2).sub(1).repeat_interleave(16, 2).repeat_interleave(16, 3)
    model.quantize_t.restart(model.encode(patches).top_vectors, below=math.inf, random=random)
    model.quantize_b.restart(model.encode(patches).bottom_vectors, below=math.inf, random=random)
    save_vqvae(model, paths.root / "vqvae.safetensors", facts={})
    return paths


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """Both codecs, and every stage after them, on four people."""
    paths = with_weights(project.make(tmp_path_factory.mktemp("codes"), people=[0, 1, 2, 3], **BOTH))
    project.run(paths)
    return paths


def test_every_face_has_a_code_of_each_codec(done: Paths) -> None:
    data = tables.read_pandas(done.table("codes"), "codes")
    assert data.groupby(data["codec_id"].str.split("-").str[0]).size().to_dict() == {"pca": 16, "vqvae": 16}
    pca, vqvae = (data[data["codec_id"].str.startswith(f"{space}-")] for space in ("pca", "vqvae"))
    assert pca["codec_id"].iloc[0].startswith("pca-15-"), "sixteen faces span fifteen directions"
    assert pca["indices"].isna().all()
    assert {len(i) for i in vqvae["indices"]} == {5120}
    assert {len(c) for c in vqvae["code"]} == {16}
    assert pca["in_fit"].all()
    assert not vqvae["in_fit"].any()
    assert pca["lpips"].max() < 0.01 < vqvae["lpips"].min()
    assert tables.metadata(done.table("codes"))["perceptual"] == "stlpips-alex"
    # All faces are in the fit, so their components lose nothing; the untrained network loses nearly everything.
    assert pca["psnr_db"].min() > 40 > 20 > vqvae["psnr_db"].max()


def test_later_stages_work_in_both_spaces(done: Paths) -> None:
    predictions = tables.read_pandas(done.table("predictions"), "predictions")
    assert set(predictions["space"]) == {"pca", "vqvae"}
    for name, column in (("map", "map_id"), ("clusters", "clustering_id")):
        ids = tables.read_pandas(done.table(name), name)[column]
        assert {i.split("-")[0] for i in ids} == {"pca", "vqvae"}, name
    assert tables.read(done.table("importance"), "importance").num_rows == 0
    assert "<html" in done.report_html.read_text(encoding="utf-8")


def test_a_space_is_read_without_the_other_and_the_fit_is_kept(done: Paths) -> None:
    found = features.load(done, "pca")
    assert found.vectors.shape == (16, 15)
    assert features.load(done, "vqvae").vectors.shape == (16, 16)
    (stored,) = done.projectors.iterdir()
    assert stored.stem == found.feature_id == load_pca(stored).codec_id


def test_decoded_images_are_those_that_were_judged(done: Paths) -> None:
    faces, decoded, codes = (tables.read_pandas(done.table(n), n) for n in ("faces", "decoded", "codes"))
    judged = decoded.merge(codes[["face_id", "codec_id", "mse_unit"]]).merge(faces[["face_id", "image"]], on="face_id")
    assert len(judged) == 32
    for row in judged.to_dict("records"):
        made, face = (decode_image(row[f"image_{side}"]) / 127.5 for side in ("x", "y"))
        # Stored in 8 bits: each pixel is at most half a level off what was judged.
        assert abs(np.square(made - face).mean() ** 0.5 - row["mse_unit"] ** 0.5) <= 0.5 / 127.5


def test_the_study_compares_both_codecs_and_flags_the_fitted_one(done: Paths) -> None:
    study = tables.read_pandas(done.table("study"), "study")
    assert set(study["perceptual"]) == {"stlpips-alex"}
    part = study[study["measure"] == "lpips"].set_index("space")
    assert part["n_in_fit"].to_dict() == {"pca": 16, "vqvae": 0}
    codes = tables.read_pandas(done.table("codes"), "codes", columns=["codec_id", "lpips"])
    mean = codes.loc[codes["codec_id"].str.startswith("vqvae"), "lpips"].mean()
    assert part.loc["vqvae", "value"] == pytest.approx(mean, rel=1e-5)
    groups = tables.read_pandas(done.table("faces"), "faces", columns=["source_group"])["source_group"]
    assert part.loc["vqvae", "n_groups"] == groups.nunique()


def test_a_second_run_copies_what_is_finished(done: Paths) -> None:
    before = tables.read(done.table("codes"), "codes")
    pieces = {p: p.stat().st_mtime_ns for p in (done.root / "work" / "codes").rglob("*.*")}
    project.run(done, "codes")
    assert tables.read(done.table("codes"), "codes").equals(before)
    assert {p: p.stat().st_mtime_ns for p in (done.root / "work" / "codes").rglob("*.*")} == pieces


def test_a_hold_out_keeps_judged_faces_out_of_the_fit(done: Paths) -> None:
    project.write_params(done.root, project.SMALL | BOTH | {"spaces": ["pca"], "train.protocol": "holdout"})
    project.run(done, "codes")
    codes = tables.read_pandas(done.table("codes"), "codes").set_index("face_id")
    faces = tables.read_pandas(done.table("faces"), "faces", columns=["face_id", "video_id"])
    splits = tables.read_pandas(done.table("splits"), "splits").set_index("video_id")["split"]
    train = faces.set_index("face_id")["video_id"].map(splits).loc[codes.index] == "train"
    assert (codes["in_fit"] == train).all()
    n_train = int(train.sum())
    assert 0 < n_train < 16
    assert codes["codec_id"].iloc[0].startswith(f"pca-{n_train - 1}-")
    assert codes.loc[train, "psnr_db"].min() > codes.loc[~train, "psnr_db"].max()


def test_without_either_space_the_table_is_empty(tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[0])
    project.run(paths, "codes")  # not even faces are read
    assert tables.read(paths.table("codes"), "codes").num_rows == 0
    assert np.array(list(paths.projectors.iterdir())).size == 0


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, r"codes\.vqvae\.weights_file: .*vqvae\.safetensors is not there"), (b"x" * 50, "codes: .*cannot be read")],
)
def test_weights_that_cannot_be_used_are_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    paths = project.make(tmp_path, people=[0], **(BOTH | {"spaces": ["vqvae"]}))
    if content is not None:
        (tmp_path / "vqvae.safetensors").write_bytes(content)
        project.run(paths, "videos", "faces")
    with pytest.raises(UserError, match=message):
        project.run(paths, "codes")


def test_the_shipped_weights_serve_where_no_file_is_named(tmp_path: Path) -> None:
    paths = project.make(tmp_path, people=[4, 5], kinds=["real"], spaces=["vqvae"])
    assert [c.state for c in examine(paths) if c.name == "weights vqvae-faces"] == ["note"]
    project.run(paths, "videos", "faces", "codes")
    codes = tables.read_pandas(paths.table("codes"), "codes")
    assert codes["psnr_db"].min() > 25
    top, bottom = VqVaeCodec.split(np.stack(codes["indices"]).astype(np.int16))
    assert perplexity(torch.from_numpy(top)) > 50
    assert perplexity(torch.from_numpy(bottom)) > 100
