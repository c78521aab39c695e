"""A judged clip as ``lf predict`` leaves it, made without a model: two tracks, a lost frame, hostile names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.predict.result import Clip, Decision, Frame, Model, Result, Run, Telling, Track, Video
from pipeline.predict.store import ANNOTATED, REPORT, RESULT
from tests.ingest.media import write_video
from tests.report.material import HOSTILE

SCORES = {0: (0.2, 0.9), 5: (0.4, 0.8), 10: (0.7, 0.3)}  # frame -> P(fake) of both tracks


def _frame(index: int, track: int, p_fake: float | None) -> Frame:
    seen = p_fake is not None
    return Frame(
        frame_index=index, time_s=index / 25, track_id=track, status="ok" if seen else "no_face",
        reason=None if seen else HOSTILE, box_xyxy_px=[10, 8, 40, 38] if seen else None, face_width_px=30,
        detector_score=1, yaw_deg=0, blur=100, p_fake=p_fake, p_fake_raw=p_fake,
        verdict=None, uncertain=None, reconstruction_distance=None, training_distance=None, flags=[],
    )  # fmt: skip


def _track(track: int) -> Track:
    return Track(
        track_id=track, main=track == 0, first_s=0, last_s=0.4, n_frames=3, n_judged=3, p_fake=0.5,
        p_fake_at_prior=None, p_fake_low=0.2, p_fake_high=0.9, verdict="uncertain", uncertain=True, suspicious_s=[],
        flags=["brief"],
    )  # fmt: skip


def result(**changes: Any) -> Result:
    """A valid result; ``changes`` replace its fields."""
    decision = Decision(prior_fake=None, cost_false_alarm=1, cost_miss=1, threshold=0.5, text="The threshold is 0.5.")
    fields: dict[str, Any] = {
        "status": "ok", "reason": None, "warnings": ["The model was trained on the sample set.", HOSTILE],
        "clip": Clip(name=f"{HOSTILE}.mp4", path=HOSTILE, sha256=None, size_bytes=1, width_px=64, height_px=48,
                     duration_s=0.6),
        "model": Model(name="wplus-rf", space="wplus", feature_id="x", why=HOSTILE, card_sha256="", weights_sha256="",
                       protocol="cv", n_train=1, n_groups_train=1, share_fake_train=0.5, calibration="none",
                       calibration_reason=None, trained_on="sample", measured=[]),
        "run": Run(fingerprint="", versions={}, code="", device="cpu", weights={}, perceptual=None, aggregate="mean",
                   uncertain_band=(0.4, 0.6), decision=decision, n_frames_sampled=4, step_s=0.2, seconds={},
                   seconds_per_video_second=None),
        "video": Video(p_fake=0.433, p_fake_at_prior=None, p_fake_low=0.2, p_fake_high=0.7, verdict="uncertain",
                       uncertain=True, decided_by=[0], most_suspicious_track=1, n_frames_with_face=3, n_faces_judged=6,
                       n_tracks=2, suspicious_s=[], flags=["mixed"]),
        "tracks": [_track(0), _track(1)],
        "frames": [_frame(i, t, p) for i, both in SCORES.items() for t, p in enumerate(both)] + [_frame(14, -1, None)],
        "telling": [Telling(frame_index=0, track_id=1, p_fake=0.9, neighbours=[]),
                    Telling(frame_index=0, track_id=0, p_fake=0.2, neighbours=[])],
        "neighbour_metric": None, "map": None, "flag_meanings": {"mixed": HOSTILE}, "notes": [HOSTILE],
        "limits": ["No proof."], "files": {"annotated": "../../secret.mp4", "report": "/etc/passwd"},
    }  # fmt: skip
    return Result(**(fields | changes))


def write(folder: Path, *, with_clip: bool = True, **changes: Any) -> Path:
    """Write a case's folder; ``with_clip`` says whether the clip with boxes is there."""
    folder.mkdir(parents=True)
    (folder / RESULT).write_text(result(**changes).model_dump_json())
    (folder / REPORT).write_text("<html></html>")
    if with_clip:
        write_video(folder / ANNOTATED, 15)
    return folder
