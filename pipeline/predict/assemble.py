"""From judged faces to the frames, tracks and video of ``result.json``. No I/O."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from classifiers.aggregate import Aggregation
from pipeline.ingest.detect import box_area_px
from pipeline.ingest.faces import FaceRow
from pipeline.ingest.tracks import NO_TRACK
from pipeline.predict import flags, scoring
from pipeline.predict.boxes import TrackPath
from pipeline.predict.decision import Decision
from pipeline.predict.result import Frame, Span, Track, Video
from pipeline.predict.scoring import Band, Stretch

NAN = float("nan")


@dataclass(frozen=True, eq=False)
class Judged:
    """A row of the sampled frames with what the model made of it; NaN and None where it was not judged."""

    row: FaceRow
    p_fake: float = NAN
    p_raw: float = NAN
    vector: NDArray[np.float32] | None = None
    reconstruction: NDArray[np.uint8] | None = None
    distance: float | None = None
    training_distance: float = NAN
    reason: str = ""
    flags: tuple[str, ...] = field(default=())

    @property
    def is_judged(self) -> bool:
        """Whether there is a P(fake)."""
        return not math.isnan(self.p_fake)


@dataclass(frozen=True)
class Rules:
    """How faces become a verdict.

    Attributes
    ----------
    decides : as ``faces.keep``: 'largest', the main track alone, or 'all'; so videos were judged when the model was.
    """

    aggregate: Aggregation
    decision: Decision
    decides: str
    step_s: float
    duration_s: float

    @property
    def band(self) -> Band:
        """No verdict for P(fake) inside."""
        return self.decision.band


def frames(judged: Sequence[Judged], band: Band) -> list[Frame]:
    """Every row, in its order."""
    return [_frame(one, band) for one in judged]


def _frame(one: Judged, band: Band) -> Frame:
    row = one.row
    says = scoring.verdict(one.p_fake, band) if one.is_judged else None
    return Frame(
        frame_index=row.frame_index,
        time_s=_known(row.time_s),
        track_id=row.track_id,
        status="failed" if one.reason else row.status,
        reason=one.reason or row.reason or None,
        box_xyxy_px=None if row.box_xyxy_px is None else [round(float(v), 1) for v in row.box_xyxy_px],
        face_width_px=_known(row.face_width_px),
        detector_score=_known(row.score),
        yaw_deg=_known(row.yaw_deg),
        blur=_known(row.blur),
        p_fake=_known(one.p_fake),
        p_fake_raw=_known(one.p_raw),
        verdict=says,
        uncertain=None if says is None else says == "uncertain",
        reconstruction_distance=one.distance,
        training_distance=_known(one.training_distance),
        flags=list(one.flags),
    )


def tracks(judged: Sequence[Judged], rules: Rules) -> list[Track]:
    """Every track, in order of first appearance."""
    by_id: dict[int, list[Judged]] = {}
    for one in judged:
        if one.row.track_id != NO_TRACK:
            by_id.setdefault(one.row.track_id, []).append(one)
    main = max(by_id, key=lambda i: (sum(_area(one.row) for one in by_id[i]), -i), default=NO_TRACK)
    return [_track(i, by_id[i], rules, is_main=i == main) for i in sorted(by_id)]


def _track(track_id: int, rows: list[Judged], rules: Rules, *, is_main: bool) -> Track:
    used = [one for one in rows if one.is_judged]
    p_fake, times = _column(used, "p_fake"), np.array([one.row.time_s for one in used], dtype=np.float64)
    found = scoring.judge(p_fake, method=rules.aggregate)
    says = scoring.verdict(found.p_fake, rules.band) if found else None
    high = rules.band[1]
    stretches = scoring.suspicious(times, p_fake, high=high, step_s=rules.step_s, duration_s=rules.duration_s)
    brief = ["brief"] if len(used) < scoring.STEADY_FRAMES else []
    return Track(
        track_id=track_id,
        main=is_main,
        first_s=rows[0].row.time_s,
        last_s=rows[-1].row.time_s,
        n_frames=len(rows),
        n_judged=len(used),
        p_fake=found.p_fake if found else None,
        p_fake_at_prior=rules.decision.at_prior(found.p_fake) if found else None,
        p_fake_low=found.low if found else None,
        p_fake_high=found.high if found else None,
        verdict=says,
        uncertain=None if says is None else says == "uncertain",
        suspicious_s=[_span(s) for s in stretches],
        flags=flags.common([one.flags for one in used]) + brief,
    )


def video(judged: Sequence[Judged], of_tracks: Sequence[Track], rules: Rules, *, n_sampled: int) -> Video | None:
    """The clip as a whole; None where no face was judged."""
    able = [t for t in of_tracks if t.p_fake is not None]
    if not able:
        return None
    main = next((t for t in able if t.main), able[0])
    deciding = [main] if rules.decides == "largest" else able
    ids = {t.track_id for t in deciding}
    used = [one for one in judged if one.is_judged and one.row.track_id in ids]
    p_fake = _column(used, "p_fake")
    found = scoring.judge(p_fake, method=rules.aggregate)
    assert found is not None  # deciding tracks have judged frames
    says = scoring.verdict(found.p_fake, rules.band)
    steady = [t for t in able if t.n_judged >= scoring.STEADY_FRAMES] or deciding
    others = [t for t in steady if t.verdict == "fake" and t.track_id not in ids]
    all_judged = [one for one in judged if one.is_judged]
    n_with_face = len({one.row.frame_index for one in all_judged})
    spans = [Stretch(s.start_s, s.end_s, s.peak_p_fake) for t in steady for s in t.suspicious_s]
    return Video(
        p_fake=found.p_fake,
        p_fake_at_prior=rules.decision.at_prior(found.p_fake),
        p_fake_low=found.low,
        p_fake_high=found.high,
        verdict=says,
        uncertain=says == "uncertain",
        decided_by=sorted(ids),
        most_suspicious_track=max(steady, key=lambda t: (t.p_fake or 0.0, -t.track_id)).track_id,
        n_frames_with_face=n_with_face,
        n_faces_judged=len(all_judged),
        n_tracks=len(of_tracks),
        suspicious_s=[_span(s) for s in scoring.merged(spans)],
        flags=flags.of_clip(
            of_frames=[one.flags for one in used],
            verdicts=[scoring.verdict(one.p_fake, rules.band) for one in used],
            n_sampled=n_sampled,
            n_decoded=len({one.row.frame_index for one in judged if one.row.status != "unreadable"}),
            n_with_face=n_with_face,
            n_steady=len(steady),
            other_suspicious=bool(others) and says != "fake",
        ),
    )


def paths(judged: Sequence[Judged]) -> list[TrackPath]:
    """Where each face was seen, for drawing; rejected faces too."""
    out = []
    for track_id in sorted({one.row.track_id for one in judged} - {NO_TRACK}):
        own = [one for one in judged if one.row.track_id == track_id and one.row.box_xyxy_px is not None]
        boxes = np.stack([np.asarray(one.row.box_xyxy_px, dtype=np.float64) for one in own])
        indices = np.array([one.row.frame_index for one in own], dtype=np.int64)
        out.append(TrackPath(track_id, indices, boxes, _column(own, "p_fake")))
    return out


def _column(judged: Sequence[Judged], name: str) -> NDArray[np.float64]:
    return np.array([getattr(one, name) for one in judged], dtype=np.float64)


def _area(row: FaceRow) -> float:
    return 0.0 if row.box_xyxy_px is None else box_area_px(row.box_xyxy_px)


def _span(stretch: Stretch) -> Span:
    return Span(start_s=stretch.start_s, end_s=stretch.end_s, peak_p_fake=stretch.peak)


def _known(value: float) -> float | None:
    return None if math.isnan(value) else float(value)
