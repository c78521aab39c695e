"""``result.json`` and ``summary.json``: every field, declared once. ``docs/predict-json.md`` is generated from here."""

from __future__ import annotations

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

#: 2: `run.decision`, `summary.decision` and `model.calibration_reason` were added, and `p_fake_at_prior`. 3: `map`.
FORMAT = 3

Verdict = Literal["real", "fake", "uncertain"]
Status = Literal["ok", "no_face", "unreadable", "failed"]
FaceStatus = Literal["ok", "no_face", "unreadable", "rejected", "failed"]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Span(_Part):
    """Seconds in which the frames of a track are called fake."""

    start_s: float = Field(description="begin, in seconds from the first frame")
    end_s: float = Field(description="end")
    peak_p_fake: float = Field(description="highest P(fake) in between")


class Clip(_Part):
    """The file that was judged."""

    name: str = Field(description="file name")
    path: str = Field(description="path it was read from")
    sha256: str | None = Field(description="SHA-256 of the file; empty where it cannot be read")
    size_bytes: int | None = Field(description="size of the file")
    fps: float | None = Field(default=None, description="mean frame rate in 1/s; 0 for a still image")
    n_frames: int | None = Field(default=None, description="frames of the video")
    width_px: int | None = Field(default=None, description="width, upright")
    height_px: int | None = Field(default=None, description="height, upright")
    duration_s: float | None = Field(default=None, description="length in seconds")


class Measure(_Part):
    """How the model did on videos that it, or its like, had not seen."""

    metric: str = Field(description="name of the metric, see docs/method-classifiers.md")
    value: float = Field(description="value at video level")
    ci_low: float | None = Field(description="lower end of the 95 % interval")
    ci_high: float | None = Field(description="upper end")
    n_groups: int = Field(description="source groups it was measured on")
    split: str = Field(description="rows it was measured on; cv: out of fold")


class Model(_Part):
    """The model that judged, as its card tells."""

    name: str = Field(description="SPACE-MODEL, its folder under models/")
    space: str = Field(description="feature space of its vectors")
    feature_id: str = Field(description="what makes the vectors; equal at training and here")
    why: str = Field(description="why this model judged")
    card_sha256: str = Field(description="checksum of model.json")
    weights_sha256: str = Field(description="checksum of its weights")
    protocol: str | None = Field(description="cv or holdout, see train.protocol")
    n_train: int | None = Field(description="faces it was trained on")
    n_groups_train: int | None = Field(description="source groups it was trained on")
    share_fake_train: float | None = Field(description="share of fakes among them")
    calibration: str = Field(description="how p_fake is made of p_fake_raw; none: equal; prior: by class shares")
    calibration_reason: str | None = Field(description="why it is not what was asked for, or what limits it")
    trained_on: str = Field(description="layout of the training material; 'sample' means: nothing about real footage")
    measured: list[Measure] = Field(description="its figures at video level")


class Decision(_Part):
    """What P(fake) has to be for a verdict."""

    prior_fake: float | None = Field(description="evaluate.prior_fake; empty: as many fakes as reals")
    cost_false_alarm: float = Field(description="evaluate.cost_false_alarm")
    cost_miss: float = Field(description="evaluate.cost_miss")
    threshold: float = Field(description="p_fake from which on calling fake costs least; 0.5 where nothing is set")
    text: str = Field(description="the same in words, with the band")


class Run(_Part):
    """How the result was made."""

    fingerprint: str = Field(description="digest of clip, model, settings and program; an equal one is not made again")
    versions: dict[str, str] = Field(description="program and libraries")
    code: str = Field(description="hash of the program's source")
    device: str = Field(description="cpu or cuda")
    weights: dict[str, str] = Field(description="networks used, with their SHA-256")
    perceptual: str | None = Field(description="metric behind reconstruction_distance")
    aggregate: str = Field(description="from frames to tracks and the video, see train.aggregate")
    uncertain_band: tuple[float, float] = Field(
        description="no verdict for p_fake inside, ends included: train.uncertain_band, moved to the threshold"
    )
    decision: Decision
    n_frames_sampled: int = Field(description="frames looked at")
    step_s: float = Field(description="seconds that one of them stands for")
    seconds: dict[str, float] = Field(description="time taken, by part")
    seconds_per_video_second: float | None = Field(description="time taken for a second of the clip")


class Frame(_Part):
    """A sampled frame and one face in it; or why there is none."""

    frame_index: int = Field(description="position in the order shown, from 0")
    time_s: float | None = Field(description="time of the frame")
    track_id: int = Field(description="track of the face, -1 where there is none")
    status: FaceStatus = Field(description="what became of it; only 'ok' ones are judged")
    reason: str | None = Field(description="why, where it is not ok")
    box_xyxy_px: list[float] | None = Field(description="left, top, right, bottom in the upright frame")
    face_width_px: float | None = Field(description="width of the box")
    detector_score: float | None = Field(description="the detector's confidence")
    yaw_deg: float | None = Field(description="estimated turn of the head")
    blur: float | None = Field(description="variance of the Laplacian at 256 px; low is blurred")
    p_fake: float | None = Field(description="P(fake), calibrated as model.calibration says")
    p_fake_raw: float | None = Field(description="P(fake) as the model gives it")
    verdict: Verdict | None = Field(description="what p_fake says, see run.uncertain_band")
    uncertain: bool | None = Field(description="whether p_fake lies in the band without a verdict")
    reconstruction_distance: float | None = Field(description="distance of the face from its reconstruction")
    training_distance: float | None = Field(description="distance to the nearest training face")
    flags: list[str] = Field(description="what speaks against relying on it, see the flags")


class Track(_Part):
    """A face followed through the clip."""

    track_id: int = Field(description="number of the track, from 0")
    main: bool = Field(description="whether it has the greatest summed area")
    first_s: float = Field(description="time of its first sampled frame")
    last_s: float = Field(description="time of its last one")
    n_frames: int = Field(description="sampled frames it is in")
    n_judged: int = Field(description="of these, judged ones")
    p_fake: float | None = Field(description="aggregated P(fake); empty where no frame was judged")
    p_fake_at_prior: float | None = Field(description="p_fake at the prior; empty where none is set")
    p_fake_low: float | None = Field(description="10th percentile of its frames' P(fake)")
    p_fake_high: float | None = Field(description="90th percentile")
    verdict: Verdict | None = Field(description="what p_fake says, see run.uncertain_band")
    uncertain: bool | None = Field(description="whether p_fake lies in the band without a verdict")
    suspicious_s: list[Span] = Field(description="seconds in which its frames are called fake")
    flags: list[str] = Field(description="flags that hold for half of its judged frames, or for the track")


class Video(_Part):
    """The clip as a whole."""

    p_fake: float = Field(description="aggregated P(fake) of the tracks in decided_by")
    p_fake_at_prior: float | None = Field(description="p_fake at the prior; empty where none is set")
    p_fake_low: float = Field(description="10th percentile of their frames' P(fake)")
    p_fake_high: float = Field(description="90th percentile")
    verdict: Verdict = Field(description="what p_fake says, see run.uncertain_band")
    uncertain: bool = Field(description="whether p_fake lies in the band without a verdict")
    decided_by: list[int] = Field(description="tracks that count, as faces.keep says: the main one, or all")
    most_suspicious_track: int = Field(description="steady track of the highest P(fake)")
    n_frames_with_face: int = Field(description="sampled frames with a judged face")
    n_faces_judged: int = Field(description="judged faces")
    n_tracks: int = Field(description="tracks")
    suspicious_s: list[Span] = Field(description="seconds in which frames of any steady track are called fake")
    flags: list[str] = Field(description="what speaks against relying on the verdict, see the flags")


class Neighbour(_Part):
    """A training face near a telling one."""

    face_id: str = Field(description="id of the training face")
    label: Literal["real", "fake", "unknown"] = Field(description="label of the training face")
    distance: float = Field(description="distance in the model's space")
    cluster: int | None = Field(description="its cluster, -1 for none; empty where no clustering was made")


class Telling(_Part):
    """A frame shown in the report, with the training faces most like it."""

    frame_index: int = Field(description="frame")
    track_id: int = Field(description="track")
    p_fake: float = Field(description="P(fake), calibrated as model.calibration says")
    neighbours: list[Neighbour] = Field(description="nearest training faces, nearest first")


class Place(_Part):
    """A judged face on the map."""

    frame_index: int = Field(description="frame")
    track_id: int = Field(description="track")
    x: float = Field(description="first coordinate")
    y: float = Field(description="second coordinate")
    strangeness: float = Field(
        description="distance to the map's nearest face, by what 99 % of its own have; above 1, a place says little"
    )


class MapPlaces(_Part):
    """The clip's faces on the map of the training faces."""

    map_id: str = Field(description="the map, as the table map names it")
    faces: list[Place]


class Result(_Part):
    """``result.json``: what became of one clip."""

    format: int = Field(default=FORMAT, description="version of this layout")
    status: Status = Field(description="ok, or why nothing was judged")
    reason: str | None = Field(description="in one sentence, where it is not ok")
    warnings: list[str] = Field(description="what a reader has to know before any number")
    clip: Clip
    model: Model
    run: Run
    video: Video | None = Field(description="the verdict; empty where nothing was judged")
    tracks: list[Track]
    frames: list[Frame]
    telling: list[Telling] = Field(description="frames the report shows")
    neighbour_metric: str | None = Field(description="how distances to training faces are measured")
    map: MapPlaces | None = Field(description="where the faces lie among training faces; empty without a map")
    flag_meanings: dict[str, str] = Field(description="every flag that occurs, explained")
    notes: list[str] = Field(description="what could not be done, such as sound that was lost")
    limits: list[str] = Field(description="what no number here can tell")
    files: dict[str, str] = Field(description="annotated and report: names of the other outputs")


class Line(_Part):
    """One clip in the summary."""

    clip: str = Field(description="file as it was named")
    folder: str | None = Field(description="its folder")
    status: Status = Field(description="as in result.json")
    reason: str | None = Field(description="as in result.json")
    verdict: Verdict | None = Field(description="as in result.json")
    p_fake: float | None = Field(description="as in result.json")
    p_fake_at_prior: float | None = Field(description="as in result.json")
    kept: bool = Field(description="whether an earlier run's result was kept")
    seconds: float | None = Field(description="time taken")
    seconds_per_video_second: float | None = Field(description="time taken for a second of the clip")


class Summary(_Part):
    """``summary.json``: the clips of one run."""

    format: int = Field(default=FORMAT, description="version of this layout")
    model: str = Field(description="the model that judged")
    why: str = Field(description="why this model")
    warnings: list[str] = Field(description="what a reader has to know before any number")
    decision: Decision
    n_clips: int = Field(description="clips named")
    n_done: int = Field(description="clips with a verdict or an uncertain answer, kept ones included")
    n_kept: int = Field(description="of these, clips that an earlier run had finished")
    n_failed: int = Field(description="clips of which nothing could be judged")
    failed: dict[str, int] = Field(description="reason -> clips")
    seconds_per_video_second: float | None = Field(description="time for a second of video, over clips done now")
    clips: list[Line]


_DOCUMENTED = (
    Result, Clip, Model, Measure, Run, Decision, Video, Track, Span, Frame, Telling, Neighbour, MapPlaces, Place,
    Summary, Line,
)  # fmt: skip


def describe() -> str:
    """All fields, in Markdown."""
    parts = []
    for part in _DOCUMENTED:
        lines = [f"## {part.__name__}", "", str(part.__doc__), "", "| field | type | meaning |", "|---|---|---|"]
        for name, field in part.model_fields.items():
            lines.append(f"| {name} | {_type(field.annotation)} | {field.description or _first_line(field)} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _first_line(field: Any) -> str:
    """Of a part without a description of its own: what it is."""
    inner = next((a for a in get_args(field.annotation) if a is not type(None)), field.annotation)
    return str(inner.__doc__).splitlines()[0].rstrip(".")


def _type(annotation: Any) -> str:
    text = annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)
    for long in ("typing.", "pipeline.predict.result."):
        text = text.replace(long, "")
    if text.startswith("Literal"):
        return ", ".join(f"`{a}`" for a in get_args(annotation))
    return text.replace("Literal['real', 'fake', 'uncertain']", "verdict").replace("|", "or")
