"""The case report of one clip: ``report.html``, which needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.predict import timeline
from pipeline.predict.on_map import OnMap, map_figure
from pipeline.predict.result import Decision, Frame, Result, Span, Telling, Video
from pipeline.report import blocks
from pipeline.report.blocks import Block, Section
from pipeline.report.images import DIFFERENCE_GAIN, data_uri, difference, encode, thumbnail_uri
from pipeline.report.page import page
from pipeline.report.palette import metric_name
from pipeline.report.plot_style import png

MAP_CAPTION = (
    "Where the clip's faces come to lie on the map of the training faces, which does not move for them. Near points "
    "look alike to the network; far distances mean little. A hollow mark is unlike all that the map was made from."
)
FACE_PX, SCENE_PX, NEIGHBOUR_PX = 192, 520, 112
Image = NDArray[np.uint8]
CALIBRATION = {
    "none": "not calibrated: as the model gives it",
    "prior": "not calibrated: corrected for class shares in training alone",
    "platt": "calibrated (platt)",
    "isotonic": "calibrated (isotonic)",
}


@dataclass(frozen=True, eq=False)
class Pictures:
    """What the report shows beside the result.

    Attributes
    ----------
    faces, reconstructions : aligned faces and what their codes give back, by (frame index, track).
    scenes : whole frames with their boxes, by frame index.
    training : encoded images of training faces by id.
    on_map : the clip's faces among training faces, where the project has a map.
    why_no_reconstruction, why_no_neighbours, why_no_clusters : said where they are missing.
    """

    faces: Mapping[tuple[int, int], Image]
    reconstructions: Mapping[tuple[int, int], Image]
    scenes: Mapping[int, Image]
    training: Mapping[str, bytes] = field(default_factory=dict)
    on_map: OnMap | None = None
    why_no_reconstruction: str = ""
    why_no_neighbours: str = ""
    why_no_clusters: str = ""


def render(result: Result, pictures: Pictures) -> str:
    """The page of a clip that was judged; ValueError where it was not."""
    if result.video is None:
        raise ValueError(f"{result.clip.name} was not judged: {result.reason}")
    clip, video = result.clip, result.video
    sections = [
        _time_section(result, video),
        _frames_section(result, pictures),
        _neighbours_section(result, pictures),
        _quality_section(result),
        Section("limits", "What this cannot tell", blocks=[blocks.bullets(result.limits)]),
        _model_section(result),
        _run_section(result),
    ]
    return page(
        title=f"{clip.name}: {verdict_text(video, result.run.decision)}",
        lead=f"{clip.path} · SHA-256 {clip.sha256}",
        sections=sections,
        tiles=_tiles(result, video),
        warnings=[*result.warnings, *(_sentence(result.flag_meanings[name]) for name in video.flags)],
        footer="P(fake) lies in [0, 1]; 1 is fake. It is evidence to be weighed by a person, not a verdict. "
        "No label of this clip was read. All figures of this page are in result.json.",
    )


def verdict_text(video: Video, decision: Decision) -> str:
    """The outcome in a few words."""
    words = {"fake": "called fake", "real": "called real", "uncertain": "uncertain"}
    text = f"{words[video.verdict]}, P(fake) {video.p_fake:.2f}"
    if video.p_fake_at_prior is None:
        return text
    return f"{text}, {video.p_fake_at_prior:.3f} at the prior {decision.prior_fake:g}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _tiles(result: Result, video: Video) -> list[dict[str, str]]:
    low, high = result.run.uncertain_band
    seconds = sum(s.end_s - s.start_s for s in video.suspicious_s)
    tiles = [
        (video.verdict, f"no verdict from {low:g} to {high:g}"),
        (
            f"{video.p_fake:.2f}",
            f"P(fake), {CALIBRATION[result.model.calibration]}",
        ),
        *_prior_tile(result, video),
        (f"{video.p_fake_low:.2f} – {video.p_fake_high:.2f}", "10th to 90th percentile of its frames"),
        (f"{seconds:.1f} s", f"suspicious of {result.clip.duration_s or 0:.1f} s"),
        (f"{video.n_frames_with_face} / {result.run.n_frames_sampled}", "sampled frames with a judged face"),
        (str(video.n_tracks), "faces followed"),
    ]
    return [{"value": value, "name": name} for value, name in tiles]


def _prior_tile(result: Result, video: Video) -> list[tuple[str, str]]:
    if video.p_fake_at_prior is None:
        return []
    return [(f"{video.p_fake_at_prior:.3f}", f"P(fake) where a share of {result.run.decision.prior_fake:g} is fake")]


def _spans(spans: Sequence[Span]) -> str:
    return ", ".join(f"{s.start_s:.1f}–{s.end_s:.1f} s (up to {s.peak_p_fake:.2f})" for s in spans) or "none"


def _time_section(result: Result, video: Video) -> Section:
    band = result.run.uncertain_band
    threshold, duration_s = result.run.decision.threshold, result.clip.duration_s or 0.0
    figure = timeline.timeline(result.frames, result.tracks, band=band, threshold=threshold, duration_s=duration_s)
    caption = (
        f"Each dot is a sampled frame, which stands for {result.run.step_s:.2f} s. Suspicious seconds: "
        f"{_spans(video.suspicious_s)}."
    )
    rows = [
        (
            f"face {t.track_id}" + (" (main)" if t.main else ""),
            f"{t.first_s:.1f}–{t.last_s:.1f}",
            f"{t.n_judged} / {t.n_frames}",
            "—" if t.p_fake is None else f"{t.p_fake:.2f} [{t.p_fake_low:.2f}, {t.p_fake_high:.2f}]",
            t.verdict or "not judged",
            _spans(t.suspicious_s),
            ", ".join(f.replace("_", " ") for f in t.flags) or "none",
        )
        for t in result.tracks
    ]
    columns = ["track", "seconds", "frames judged", "P(fake)", "verdict", "suspicious", "flags"]
    names = ", ".join(f"face {i}" for i in video.decided_by)
    note = f"The clip's verdict is that of {names}. In brackets: 10th and 90th percentile of the frames."
    found = [
        blocks.figure(png(figure), "P(fake) over time", caption, reason=""),
        blocks.table(columns, rows, note=note),
    ]
    return Section("timeline", "P(fake) over time", blocks=found)


def _frames_section(result: Result, pictures: Pictures) -> Section:
    title = f"Face, reconstruction, |difference| × {DIFFERENCE_GAIN}"
    intro = "The highest and the lowest P(fake) of the faces that decide and of the most suspicious one."
    if pictures.why_no_reconstruction:
        title = "Faces"
    else:
        intro += (
            " The reconstruction is the generator's nearest image: detail it cannot draw is lost, whether the "
            "face is real or fake. What differs is no map of a forgery."
        )
    of = {(f.frame_index, f.track_id): f for f in result.frames}
    cards = [_card(of[t.frame_index, t.track_id], pictures, result) for t in result.telling]
    found: list[Block] = [{"kind": "sheet", "title": title, "cards": cards}]
    if pictures.why_no_reconstruction:
        found.append(blocks.missing(f"reconstructions: {pictures.why_no_reconstruction}"))
    for index in [t.frame_index for t in result.telling][:1]:
        if index in pictures.scenes:
            scene = encode(pictures.scenes[index], kind="JPEG", size_px=SCENE_PX)
            caption = f"Frame {index} as in {result.files.get('annotated', 'the annotated clip')}."
            block = {"kind": "figure", "uri": data_uri(scene, kind="jpeg"), "alt": "frame", "caption": caption}
            found.append(block | {"width_px": SCENE_PX})
    return Section("frames", "Telling frames", intro, found)


def _card(frame: Frame, pictures: Pictures, result: Result) -> dict[str, Any]:
    key = frame.frame_index, frame.track_id
    face, made = pictures.faces.get(key), pictures.reconstructions.get(key)
    gap = difference(face, made) if face is not None and made is not None else None
    figures = [f"P(fake) {frame.p_fake:.2f}"]
    if frame.reconstruction_distance is not None:
        figures.append(f"distance {frame.reconstruction_distance:.2f} ({result.run.perceptual})")
    return {
        "original": _jpeg(face),
        "reconstruction": _jpeg(made),
        "difference": _jpeg(gap),
        "label": frame.verdict,
        "figures": " · ".join(figures),
        "caption": f"frame {frame.frame_index} · {frame.time_s:.2f} s · face {frame.track_id} · "
        f"{frame.face_width_px or 0:.0f} px wide",
        "flag": ", ".join(f.replace("_", " ") for f in frame.flags) or None,
    }


def _jpeg(rgb: Image | None) -> str | None:
    return None if rgb is None else data_uri(encode(rgb, kind="JPEG", size_px=FACE_PX), kind="jpeg")


def _neighbours_section(result: Result, pictures: Pictures) -> Section:
    if pictures.why_no_neighbours:
        return Section("near", "Nearest training faces", blocks=[blocks.missing(pictures.why_no_neighbours)])
    intro = (
        f"The labelled training faces nearest in the space {result.model.space} ({result.neighbour_metric} distance). "
        "What they share with the face may be person, pose, light or compression as well as a forgery. A blue line "
        "is a training face known to be real, an orange one a fake."
    )
    found: list[Block] = [_near(t, pictures) for t in result.telling]
    if pictures.on_map is not None:
        found.append(blocks.figure(png(map_figure(pictures.on_map)), "faces on the map", MAP_CAPTION, reason=""))
    if pictures.why_no_clusters:
        found.append(blocks.missing(f"clusters: {pictures.why_no_clusters}"))
    return Section("near", "Nearest training faces", intro, found)


def _near(telling: Telling, pictures: Pictures) -> Block:
    face = pictures.faces.get((telling.frame_index, telling.track_id))
    faces = []
    for n in telling.neighbours:
        cluster = {None: "", -1: ", no cluster"}.get(n.cluster, f", cluster {n.cluster}")
        uri = thumbnail_uri(pictures.training.get(n.face_id), size_px=NEIGHBOUR_PX)
        faces.append({"uri": uri, "label": n.label, "caption": f"{n.label}, {n.distance:.3g}{cluster}"})
    title = f"frame {telling.frame_index}, face {telling.track_id}, P(fake) {telling.p_fake:.2f}"
    return {"kind": "neighbours", "title": title, "uri": _jpeg(face), "faces": faces}


def _quality_section(result: Result) -> Section:
    judged = [f for f in result.frames if f.p_fake is not None]
    rows = [
        (name.replace("_", " "), meaning, f"{sum(name in f.flags for f in judged)} of {len(judged)}")
        for name, meaning in result.flag_meanings.items()
        if any(name in f.flags for f in judged)
    ]
    found = [blocks.table(["flag", "meaning", "judged faces"], rows)] if rows else [blocks.text("No face is flagged.")]
    outcomes: dict[tuple[str, str], int] = {}
    for f in result.frames:
        if f.status != "ok":
            outcomes[f.status, f.reason or ""] = outcomes.get((f.status, f.reason or ""), 0) + 1
    if outcomes:
        lines = [(status, reason, n) for (status, reason), n in sorted(outcomes.items(), key=lambda kv: -kv[1])]
        found += [blocks.heading("Not judged"), blocks.table(["outcome", "reason", "rows"], lines)]
    return Section("quality", "Quality of what was judged", blocks=found)


def _model_section(result: Result) -> Section:
    model = result.model
    pairs: list[tuple[str, Any]] = [
        ("model", model.name),
        ("chosen", model.why),
        ("trained on", model.trained_on),
        ("training faces", f"{model.n_train or '—'} of {model.n_groups_train or '—'} source groups"),
        ("share of fakes", blocks.percent(model.share_fake_train)),
        ("protocol", model.protocol or "—"),
        ("calibration", "; ".join(filter(None, (CALIBRATION[model.calibration], model.calibration_reason)))),
        ("vectors", model.feature_id),
        ("checksums", f"card {model.card_sha256[:16]}, weights {model.weights_sha256[:16]}"),
    ]
    found = [blocks.facts(pairs)]
    if model.measured:
        rows = []
        for m in model.measured:
            text = f"{m.value:.3f}"
            if m.ci_low is not None and m.ci_high is not None:
                text += f" [{m.ci_low:.3f}, {m.ci_high:.3f}]"
            rows.append((metric_name(m.metric), text, m.n_groups, m.split))
        note = "Video level, on training material the judging model had not seen; 95 % intervals over source groups."
        found.append(blocks.table(["metric", "value", "groups", "rows"], rows, note=note))
    return Section("model", "The model", blocks=found)


def _run_section(result: Result) -> Section:
    clip, run = result.clip, result.run
    pairs: list[tuple[str, Any]] = [("file", clip.path), ("SHA-256", clip.sha256 or "—")]
    if clip.n_frames is not None:
        size = f"{clip.width_px} × {clip.height_px} px, {clip.fps:.3g} frames/s, {clip.n_frames:,} frames, "
        pairs.append(("clip", size + f"{clip.duration_s:.2f} s"))
    pairs += [
        ("frames looked at", f"{run.n_frames_sampled}, one for {run.step_s:.2f} s"),
        ("frames to clip", run.aggregate),
        ("verdicts", run.decision.text),
        ("device", run.device),
        ("time", ", ".join(f"{name} {s:.1f} s" for name, s in run.seconds.items())),
        ("fingerprint", run.fingerprint),
        ("code", run.code),
        ("versions", ", ".join(f"{k} {v}" for k, v in run.versions.items())),
        ("weights", ", ".join(f"{k} {v[:12]}" for k, v in run.weights.items()) or "—"),
    ]
    found = [blocks.facts(pairs)]
    if result.notes:
        found.append(blocks.bullets(result.notes))
    return Section("run", "How it was made", blocks=found)
