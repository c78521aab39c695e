"""Verdicts, suspicious seconds, telling frames, flags and tracks, by hand-made figures."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.ingest.faces import FaceRow
from pipeline.predict import assemble, flags, scoring
from pipeline.predict.assemble import Judged, Rules
from pipeline.predict.decision import Decision
from pipeline.predict.footage import Sampling
from pipeline.predict.scoring import Stretch

BAND = (0.4, 0.6)
RULES = Rules(aggregate="mean", decision=Decision(None, 1, 1, BAND), decides="largest", step_s=0.5, duration_s=4.0)


def judged(frame: int, track: int, p_fake: float, *, side: float = 100.0, found: tuple[str, ...] = ()) -> Judged:
    box = np.array([10.0, 10.0, 10.0 + side, 10.0 + side])
    row = FaceRow(
        frame_index=frame, time_s=frame / 10, status="ok", track_id=track, box_xyxy_px=box, face_width_px=side
    )
    return Judged(row, p_fake=p_fake, p_raw=p_fake, flags=found)


@pytest.mark.parametrize(
    ("p_fake", "says"), [(0.39, "real"), (0.4, "uncertain"), (0.5, "uncertain"), (0.6, "uncertain"), (0.61, "fake")]
)
def test_the_band_gives_no_verdict_its_ends_included(p_fake: float, says: str) -> None:
    assert scoring.verdict(p_fake, BAND) == says


def test_neighbouring_suspicious_frames_are_one_stretch_and_a_calm_one_ends_it() -> None:
    times = np.array([0.25, 0.75, 1.25, 1.75, 2.25])
    found = scoring.suspicious(times, np.array([0.9, 0.7, 0.5, 0.8, 0.2]), high=0.6, step_s=0.5, duration_s=2.5)
    assert found == [Stretch(0.0, 1.0, 0.9), Stretch(1.5, 2.0, 0.8)]


def test_a_stretch_ends_where_the_face_was_not_judged_and_at_the_end_of_the_clip() -> None:
    found = scoring.suspicious(np.array([0.2, 2.4]), np.array([0.9, 0.9]), high=0.6, step_s=0.5, duration_s=2.5)
    assert found == [Stretch(0.0, 0.45, 0.9), Stretch(2.15, 2.5, 0.9)]


def test_stretches_of_several_tracks_are_told_once() -> None:
    pieces = [Stretch(3.0, 4.0, 0.7), Stretch(0.0, 1.0, 0.8), Stretch(0.5, 2.0, 0.9)]
    assert scoring.merged(pieces) == [Stretch(0.0, 2.0, 0.9), Stretch(3.0, 4.0, 0.7)]


def test_telling_frames_are_the_highest_then_the_lowest_and_none_twice() -> None:
    assert scoring.telling(np.array([0.5, np.nan, 0.9, 0.1, 0.7, 0.2, 0.3])) == [2, 4, 0, 6, 5, 3]
    assert scoring.telling(np.array([0.5, np.nan, 0.9])) == [2, 0]


def test_the_main_face_decides_and_another_that_is_called_fake_is_flagged() -> None:
    rows = [judged(i, 0, 0.2, side=200) for i in range(0, 40, 5)] + [judged(i, 1, 0.9) for i in range(0, 20, 5)]
    tracks = assemble.tracks(rows, RULES)
    assert [(t.main, t.verdict, t.n_judged) for t in tracks] == [(True, "real", 8), (False, "fake", 4)]
    video = assemble.video(rows, tracks, RULES, n_sampled=8)
    assert video is not None
    assert (video.verdict, video.decided_by, video.most_suspicious_track) == ("real", [0], 1)
    assert video.p_fake == pytest.approx(0.2)
    assert video.flags == ["other_track_suspicious", "several_faces"]
    assert [(s.start_s, s.end_s) for s in video.suspicious_s] == [(0.0, 1.75)]


def test_a_prior_shifts_verdicts_suspicious_seconds_and_flags() -> None:
    rare = replace(RULES, decision=Decision(0.01, 1, 1, BAND))
    for p_fake, says, shaded in ((0.61, "real", 0), (0.99, "uncertain", 0), (0.999, "fake", 1)):
        rows = [judged(i, 0, p_fake) for i in range(0, 40, 5)]
        tracks = assemble.tracks(rows, rare)
        video = assemble.video(rows, tracks, rare, n_sampled=8)
        assert video is not None
        assert (video.verdict, tracks[0].verdict, len(video.suspicious_s)) == (says, says, shaded)
        odds = p_fake / (1 - p_fake) / 99
        assert video.p_fake == pytest.approx(p_fake)
        assert video.p_fake_at_prior == tracks[0].p_fake_at_prior == pytest.approx(odds / (1 + odds))


def test_all_tracks_decide_where_training_kept_all() -> None:
    rows = [judged(i, 0, 0.2, side=200) for i in range(4)] + [judged(i, 1, 0.9) for i in range(4)]
    rules = replace(RULES, decides="all", step_s=0.1, duration_s=0.4)
    video = assemble.video(rows, assemble.tracks(rows, rules), rules, n_sampled=4)
    assert video is not None
    assert video.p_fake == pytest.approx(0.55)
    assert "mixed" in video.flags


def test_a_false_detection_raises_no_suspicion_of_the_clip() -> None:
    rows = [judged(i, 0, 0.2, side=200) for i in range(0, 40, 5)] + [judged(0, 1, 0.99)]
    tracks = assemble.tracks(rows, RULES)
    video = assemble.video(rows, tracks, RULES, n_sampled=8)
    assert video is not None
    assert tracks[1].flags == ["brief"]
    assert (video.flags, video.suspicious_s, video.most_suspicious_track) == ([], [], 0)


def test_flags_of_a_face_and_of_half_of_the_faces() -> None:
    row = FaceRow(frame_index=0, status="ok", face_width_px=40.0, blur=5.0, yaw_deg=-50.0)
    assert flags.of_face(row, poor=True, unlike=False) == ["small", "blurred", "turned", "poor_reconstruction"]
    assert flags.of_face(FaceRow(frame_index=0, status="ok"), poor=False, unlike=True) == ["unlike_training"]
    assert flags.common([["small"], ["small", "turned"], [], []]) == ["small"]


@pytest.mark.parametrize(
    ("sampling", "n_frames", "duration_s", "n"),
    [
        (Sampling(), 300, 10.0, 20),
        (Sampling(), 30, 1.0, 8),
        (Sampling(), 5, 0.2, 5),
        (Sampling(), 90_000, 3600.0, 240),
        (Sampling(every_s=5.0), 300, 10.0, 2),
        (Sampling(every_s=0.1), 90_000, 3600.0, 2000),
        (Sampling(n_frames=7), 300, 10.0, 7),
    ],
)
def test_how_many_frames_are_looked_at(sampling: Sampling, n_frames: int, duration_s: float, n: int) -> None:
    indices = sampling.indices(n_frames=n_frames, duration_s=duration_s)
    assert len(indices) == n
    assert indices[0] <= n_frames / n / 2  # half a step from either end: each stands for its middle
    assert indices[-1] >= n_frames - n_frames / n / 2 - 1


@pytest.mark.parametrize(
    "bad", [{"every_s": 0.0}, {"every_s": float("nan")}, {"n_frames": 0}, {"every_s": 1, "n_frames": 1}]
)
def test_senseless_samplings_are_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match=r"every-s|n-frames"):
        Sampling(**bad)
