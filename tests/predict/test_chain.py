"""``lf predict`` on clips of the sample set, with models trained here."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest

from classifiers.models import make_model
from classifiers.persist import save_model
from pipeline import params
from pipeline.errors import UserError
from pipeline.ingest.video import probe, read_frames
from pipeline.paths import Paths
from pipeline.predict import chain, child, lines
from pipeline.predict.assemble import Judged
from pipeline.predict.choice import SAMPLE_NOTICE, choose
from pipeline.predict.footage import Sampling
from pipeline.predict.on_map import locate
from pipeline.predict.page import Pictures
from pipeline.predict.result import Result, Summary
from pipeline.report.load import read_light
from tests.ingest.media import noise_frames, write_video
from tests.pipeline import project
from tests.predict.test_files import sound_of

FOUR = Sampling(n_frames=4)


def add_sound(source: Path, target: Path) -> Path:
    """The clip with a second of tone beside it."""
    with av.open(str(source)) as clip, av.open(str(target), "w") as out:
        picture = out.add_stream_from_template(clip.streams.video[0])
        sound = out.add_stream("aac", rate=16_000, layout="mono")
        for packet in clip.demux(clip.streams.video[0]):
            if packet.dts is not None:
                packet.stream = picture
                out.mux(packet)
        tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
        for i in range(0, 16_000, 1000):
            block = av.AudioFrame.from_ndarray(tone[None, i : i + 1000], format="fltp", layout="mono")
            block.sample_rate, block.pts = 16_000, i
            out.mux(sound.encode(block))
        out.mux(sound.encode(None))
    return target


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    """A project with a logistic model on embeddings of eight clips; its footage counts as the sample set."""
    folder = tmp_path_factory.mktemp("predict")
    settings = {"spaces": ["efficientnet"], "train.models": ["logistic"], "map.methods": ["tsne"], "map.dims": [2]}
    paths = project.make(folder, people=range(4), **settings)
    project.run(paths, "videos", "faces", "blend", "split", "invert", "embed", "codes", "train", "map")
    return paths


@pytest.fixture(scope="module")
def done(trained: Paths, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Summary]:
    """One run over a clip with sound, a broken file, one without a face, one that is not there."""
    case = tmp_path_factory.mktemp("case")
    clips = [add_sound(project.SAMPLE / "person09_self_blend.mp4", case / "talks.mp4")]
    clips.append(case / "broken.mp4")
    clips[-1].write_bytes(clips[0].read_bytes()[:3000])
    clips.append(write_video(case / "noise.mp4", noise_frames(6, seed=0, side_px=128)))
    clips.append(case / "gone.mp4")
    summary = chain.predict(params.load(trained.params), trained, clips, case / "out", sampling=FOUR)
    return case / "out", summary


def read(folder: Path) -> Result:
    return Result.model_validate_json((folder / "result.json").read_text())


def test_faces_are_placed_on_the_map_of_the_training_faces(done: tuple[Path, Summary], trained: Paths) -> None:
    found = read(done[0] / "talks")
    assert found.map is not None
    judged = {(f.frame_index, f.track_id) for f in found.frames if f.p_fake is not None}
    assert {(p.frame_index, p.track_id) for p in found.map.faces} == judged
    assert found.map.map_id.startswith("efficientnet-tsne2-")
    known = read_light(trained.table("map"), "map")
    known = known[known["map_id"] == found.map.map_id][["x", "y"]].to_numpy()
    low, high = known.min(axis=0) - np.ptp(known, axis=0), known.max(axis=0) + np.ptp(known, axis=0)
    for face in found.map.faces:
        assert (low <= [face.x, face.y]).all()
        assert ([face.x, face.y] <= high).all()
        assert face.strangeness > 0
    assert "on the map of the training faces" in (done[0] / "talks" / "report.html").read_text()


def test_a_map_of_other_vectors_is_not_used(trained: Paths, tmp_path: Path) -> None:
    judged = [Judged(row=None, p_fake=0.5, vector=np.zeros(8, np.float32))]  # type: ignore[arg-type]
    with pytest.raises(UserError, match="not 'another'"):
        locate(trained, judged, space="efficientnet", feature_id="another")
    with pytest.raises(UserError, match="no 2-D map of the space 'wplus'"):
        locate(trained, judged, space="wplus", feature_id="another")


def test_one_bad_clip_does_not_stop_the_others_and_each_has_its_reason(done: tuple[Path, Summary]) -> None:
    out, summary = done
    assert (summary.n_clips, summary.n_done, summary.n_failed) == (4, 1, 3)
    found = {line.folder: (line.status, line.reason) for line in summary.clips}
    assert found["talks"] == ("ok", None)
    assert found["broken"][0] == "unreadable"
    assert "damaged or cut short" in str(found["broken"][1])
    assert found["noise"] == ("no_face", "no usable face in any of the 4 frames looked at")
    assert found["gone"] == ("unreadable", "the file cannot be read: no such file or directory")
    for folder, (status, reason) in found.items():
        result = read(out / str(folder))
        assert (result.status, result.reason) == (status, reason)
        assert sorted(f.name for f in (out / str(folder)).iterdir()) == sorted(["result.json", *result.files.values()])
    assert Summary.model_validate_json((out / "summary.json").read_text()) == summary
    text = lines.table(summary)
    assert "1 done, 3 failed" in text
    assert "s per second of video" in text


def test_frames_tracks_and_video_agree(done: tuple[Path, Summary]) -> None:
    result = read(done[0] / "talks")
    assert len(result.frames) == 4
    scores = [f.p_fake for f in result.frames if f.p_fake is not None]
    assert len(scores) == 4
    assert result.video is not None
    assert result.video.p_fake == pytest.approx(np.mean(scores))
    assert [t.p_fake for t in result.tracks] == [pytest.approx(np.mean(scores))]
    assert all(f.p_fake == f.p_fake_raw for f in result.frames)  # no calibration is in the card
    assert result.model.calibration == "none"
    assert result.telling[0].frame_index == result.frames[int(np.argmax(scores))].frame_index
    assert all(len(t.neighbours) == 6 for t in result.telling)
    assert {n.label for t in result.telling for n in t.neighbours} <= {"real", "fake"}
    assert set(result.flag_meanings) >= {flag for f in result.frames for flag in f.flags}


def test_what_was_trained_and_evaluated_here_has_this_projects_figures(trained: Paths, tmp_path: Path) -> None:
    paths = Paths(shutil.copytree(trained.root, tmp_path / "project"))
    assert not choose(paths, "efficientnet-logistic").measured_here
    project.run(paths, "evaluate")
    best = choose(paths, None)
    assert (best.n_compared, best.measured_here) == (1, True)


def test_the_annotated_clip_has_every_frame_a_box_and_the_sound(done: tuple[Path, Summary]) -> None:
    out, _ = done
    source, drawn = project.SAMPLE / "person09_self_blend.mp4", out / "talks" / "annotated.mp4"
    assert probe(drawn).n_frames == probe(source).n_frames == 16
    assert sound_of(drawn)[1] == pytest.approx(1.0, abs=0.15)
    before, after = (list(read_frames(path, range(16))) for path in (source, drawn))
    for (_, _, a), (_, _, b) in zip(before, after, strict=True):
        changed = (np.abs(a.astype(int) - b.astype(int)).max(axis=2) > 60).sum()
        assert changed > 200  # a box and its label, in every frame


def test_the_case_report_needs_no_network_and_says_what_it_must(done: tuple[Path, Summary]) -> None:
    page = (done[0] / "talks" / "report.html").read_text()
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    for words in ("talks.mp4", "P(fake) over time", "Nearest training faces", "What this cannot tell", "SHA-256"):
        assert words in page
    assert "&#39;wplus&#39; is not among spaces" in page
    assert "The model&#39;s figures are those its own card states" in page  # nothing was evaluated


def test_the_dashboard_s_child_judges_and_tells_each_part(
    trained: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(trained.root)
    clip = shutil.copy(project.SAMPLE / "person02_real.mp4", tmp_path / "a.mp4")
    before = sorted(trained.logs.rglob("*"))
    assert child.judge(Paths(), Path(clip), tmp_path / "out", "efficientnet-logistic") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    parts = [line["part"] for line in told]
    assert parts == ["start", "faces", "scores", "frames shown", "map", "video", "report"]
    assert read(tmp_path / "out" / "a").status == "ok"
    assert sorted(trained.logs.rglob("*")) == before  # no log keeps the clip's name
    assert child.judge(Paths(), Path(clip), tmp_path / "out", "no-model") == 1
    assert "no model 'no-model'" in json.loads(capsys.readouterr().out.splitlines()[-1])["error"]


def test_an_error_nobody_foresaw_fails_its_clip_alone(
    trained: Paths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    clips = [project.SAMPLE / f"person09_{kind}.mp4" for kind in ("self_blend", "real")]
    render = chain.page.render

    def fragile(result: Result, pictures: Pictures) -> str:
        if result.clip.name == clips[0].name:
            raise RuntimeError("out of luck")
        return render(result, pictures)

    monkeypatch.setattr(chain.page, "render", fragile)
    with caplog.at_level("DEBUG", logger="latentforensics"):
        settings = params.load(trained.params)
        summary = chain.predict(settings, trained, clips, tmp_path, sampling=Sampling(n_frames=1))
    assert [line.status for line in summary.clips] == ["failed", "ok"]
    assert summary.clips[0].reason == "an unexpected error, RuntimeError: out of luck"
    assert [f.name for f in (tmp_path / clips[0].stem).iterdir()] == ["result.json"]
    assert read(tmp_path / clips[0].stem).status == "failed"
    (told,) = [r for r in caplog.records if r.exc_info]
    assert told.levelname == "DEBUG"  # the terminal has one line for the clip, the log file the traceback


def test_a_prior_is_named_in_every_output_and_judges_anew(trained: Paths, tmp_path: Path) -> None:
    clip, settings = project.SAMPLE / "person09_self_blend.mp4", params.load(trained.params)
    one = Sampling(n_frames=1)
    before = chain.predict(settings, trained, [clip], tmp_path, sampling=one)
    plain = read(tmp_path / clip.stem)
    assert plain.video is not None
    assert (plain.run.uncertain_band, plain.run.decision.threshold) == ((0.4, 0.6), 0.5)
    assert plain.video.p_fake_at_prior is None
    assert "as many fakes as reals" in lines.table(before)
    evaluate = settings.evaluate.model_copy(update={"prior_fake": 1e-9})
    rare = chain.predict(settings.model_copy(update={"evaluate": evaluate}), trained, [clip], tmp_path, sampling=one)
    assert rare.n_kept == 0
    shifted = read(tmp_path / clip.stem)
    assert shifted.video is not None
    assert shifted.video.verdict == rare.clips[0].verdict == "real"
    assert shifted.video.p_fake == plain.video.p_fake
    assert shifted.video.p_fake_at_prior == rare.clips[0].p_fake_at_prior
    assert (shifted.video.p_fake_at_prior or 1) < 1e-4
    text = shifted.run.decision.text
    assert "a share of fakes of 1e-09" in text
    assert rare.decision == shifted.run.decision
    assert text in lines.table(rare)
    page = (tmp_path / clip.stem / "report.html").read_text()
    assert text in page
    assert "P(fake) where a share of 1e-09 is fake" in page
    first = next(read_frames(tmp_path / clip.stem / "annotated.mp4", [0]))[2]
    assert (np.abs(first[-8:].astype(int) - next(read_frames(clip, [0]))[2][-8:]).mean()) > 20  # at the lower edge


def test_a_finished_clip_is_kept_until_something_differs(
    trained: Paths, done: tuple[Path, Summary], tmp_path: Path
) -> None:
    clip, settings = tmp_path / "talks.mp4", params.load(trained.params)
    shutil.copy(project.SAMPLE / "person09_self_blend.mp4", clip)

    def again(n_frames: int, *, force: bool = False) -> bool:
        sampling = Sampling(n_frames=n_frames)
        summary = chain.predict(settings, trained, [clip, clip], tmp_path / "out", sampling=sampling, force=force)
        assert (summary.n_done, summary.n_clips) == (1, 1)
        return bool(summary.n_kept)

    assert [again(1), again(1), again(2), again(2, force=True)] == [False, True, False, False]


def test_vectors_of_another_maker_are_refused_and_what_differs_is_named(trained: Paths, tmp_path: Path) -> None:
    other = params.load(trained.params)
    other = other.model_copy(update={"embed": other.embed.model_copy(update={"features": "pooled"})})
    with pytest.raises(UserError, match="'stages' at training, 'pooled' here"):
        chain.predict(other, trained, [tmp_path / "x.mp4"], tmp_path / "out")
    cut = params.load(trained.params)
    cut = cut.model_copy(update={"faces": cut.faces.model_copy(update={"crop": "margin"})})
    with pytest.raises(UserError, match=r"faces\.crop was 'ffhq' at training and is 'margin' here"):
        chain.predict(cut, trained, [tmp_path / "x.mp4"], tmp_path / "out")


def test_models_that_are_not_there_or_altered_are_named(trained: Paths, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model 'wplus-rf'; there are: efficientnet-logistic"):
        choose(trained, "wplus-rf")
    with pytest.raises(UserError, match="there is no trained model"):
        choose(Paths(tmp_path), None)
    shutil.copytree(trained.models, tmp_path / "models")
    card = tmp_path / "models" / "efficientnet-logistic" / "model.json"
    card.write_text(card.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UserError, match="was altered"):
        choose(Paths(tmp_path), None)


def test_w_plus_codes_and_residuals_are_made_scored_and_shown_and_a_sample_model_says_so_everywhere(
    trained: Paths, tmp_path: Path
) -> None:
    project.write_params(
        tmp_path, project.SMALL | {"spaces": ["wplus"], "invert.quick": {"effort": "encoder", "steps": None}}
    )
    paths, settings = Paths(tmp_path), params.load(tmp_path / "params.yaml")
    from pipeline.predict.spaces import open_projector

    space = "wplus.coarse+residual"
    makers = open_projector(space, settings, paths).makers
    assert makers[1] == f"residual1-{makers[0]}"
    n_features = 3 * 512 + 267
    rng = np.random.default_rng(0)
    labels = np.arange(8) % 2
    model = make_model("logistic", profile="quick", seed=0)
    model.fit(rng.normal(size=(8, n_features)).astype(np.float32), labels, groups=np.arange(8) // 2)
    parts = [{"part": part, "feature_id": maker} for part, maker in zip(space.split("+"), makers, strict=True)]
    metadata = {"space": space, "parts": parts, "protocol": "cv", "source": "sample"}
    save_model(model, paths.models / f"{space}-logistic", metadata=metadata)
    clip = project.SAMPLE / "person09_real.mp4"
    summary = chain.predict(settings, paths, [clip], tmp_path / "out", sampling=Sampling(n_frames=2))
    assert summary.n_done == 1
    folder = tmp_path / "out" / clip.stem
    result = read(folder)
    assert result.warnings[0] == summary.warnings[0] == result.limits[0] == SAMPLE_NOTICE
    assert result.run.perceptual == "stlpips-alex"
    assert all(0 < (f.reconstruction_distance or 0) < 0.4 for f in result.frames)
    page = (folder / "report.html").read_text()
    assert SAMPLE_NOTICE in page
    assert page.count('alt="reconstruction"') == page.count('alt="difference"') == 2
    first = next(read_frames(folder / "annotated.mp4", [0]))[2]
    plain = next(read_frames(clip, [0]))[2]
    assert (np.abs(first[-8:].astype(int) - plain[-8:]).mean()) > 20  # the sentence at the lower edge
    assert json.loads((folder / "result.json").read_text())["model"]["trained_on"] == "sample"
