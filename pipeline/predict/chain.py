"""``lf predict`` from clips to their folders: look, judge, draw, report, and sum up."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from pipeline import runinfo
from pipeline.errors import UserError
from pipeline.ingest.video import UnreadableVideo
from pipeline.params import Params
from pipeline.paths import Paths
from pipeline.predict import assemble, describe, lines, page, store
from pipeline.predict.annotate import annotate
from pipeline.predict.assemble import Judged
from pipeline.predict.boxes import places
from pipeline.predict.choice import choose
from pipeline.predict.footage import Footage, Sampling, look
from pipeline.predict.on_map import OnMap, locate
from pipeline.predict.result import FORMAT, Clip, Line, Result, Summary
from pipeline.predict.session import Clock, Session
from pipeline.predict.show import Shown, show
from pipeline.progress import bar

log = logging.getLogger("latentforensics")


def predict(
    params: Params,
    paths: Paths,
    clips: Sequence[Path],
    out: Path,
    *,
    model: str | None = None,
    sampling: Sampling | None = None,
    force: bool = False,
) -> Summary:
    """Judge clips; write a folder for each and ``summary.json``.

    Parameters
    ----------
    out
        Folder for the results.
    model
        ``SPACE-MODEL``; None for the best one by the metrics.
    force
        Judge clips again that an earlier run has finished alike.

    Raises
    ------
    UserError
        No model can be used, or nothing can be written. A clip that cannot be judged raises nothing.
    """
    device = runinfo.pick_device(params.device)
    session = Session(params, paths, out, choose(paths, model), sampling or Sampling(), device)
    log.info("predict: model %s: %s", session.choice.name, session.choice.why)
    log.info("predict: %s", session.decision.text)
    for warning in session.warnings():
        log.warning("predict: %s", warning)
    session.scorer  # noqa: B018 - a model that cannot be used is said before any clip is looked at
    unique = list({str(clip.absolute()): clip for clip in clips}.values())
    taken: set[str] = set()
    done: list[Line] = []
    video_s = 0.0
    try:
        out.mkdir(parents=True, exist_ok=True)
        for clip in bar(unique, total=len(unique), what="predict", unit="clip"):
            line, length_s = _one(session, clip, taken, force=force)
            done.append(line)
            video_s += length_s
            log.info("predict: %s", lines.told(line))
        summary = lines.sum_up(session, done, video_s)
        store.write_text(out / store.SUMMARY, summary.model_dump_json(indent=2) + "\n")
    except OSError as error:
        raise UserError(f"results cannot be written to {out}: {error.strerror or error}") from error
    return summary


def _one(session: Session, clip: Path, taken: set[str], *, force: bool) -> tuple[Line, float]:
    """One clip, whatever becomes of it, and the seconds of video that were worked on now."""
    try:
        folder = store.place(session.out, clip, taken)
    except UserError as error:
        return lines.line(str(clip), None, "failed", str(error)), 0.0
    facts = describe.clip_facts(clip)
    fingerprint = session.fingerprint(facts.sha256)
    if not force and (kept := _finished(folder, fingerprint)) is not None:
        return lines.from_result(kept, clip, folder, kept=True), 0.0
    with store.fresh_folder(folder) as fresh:
        result = _judge_whatever_comes(session, clip, facts, fingerprint, fresh)
        store.write_text(fresh / store.RESULT, result.model_dump_json(indent=1) + "\n")
    return lines.from_result(result, clip, folder, kept=False), result.clip.duration_s or 0.0


def _finished(folder: Path, fingerprint: str) -> Result | None:
    """An earlier result of the same clip, model, settings and program, if it is whole; failed clips are tried again."""
    try:
        found = Result.model_validate(store.read_result(folder))
    except ValueError:
        return None  # none there, edited by hand, or of another version: made again
    whole = found.format == FORMAT and all((folder / name).is_file() for name in found.files.values())
    return found if whole and found.status == "ok" and found.run.fingerprint == fingerprint else None


def _judge_whatever_comes(session: Session, path: Path, facts: Clip, fingerprint: str, folder: Path) -> Result:
    """The same, but an error that nobody foresaw fails this clip alone; what it left in `folder` goes.

    A UserError is no such error: what the user has to mend would fail every clip.
    """
    try:
        return _judge(session, path, facts, fingerprint, folder)
    except UserError:
        raise
    except Exception as error:
        log.debug("predict: %s failed", path, exc_info=True)  # the traceback goes to the log file alone
        for left in folder.iterdir():
            left.unlink()
        reason = f"an unexpected error, {type(error).__name__}: {error}"
        return _not_judged(session, facts, fingerprint, "failed", reason, Clock())


def _judge(session: Session, path: Path, facts: Clip, fingerprint: str, folder: Path) -> Result:
    """Everything about one clip, written into `folder` but for the JSON itself."""
    clock = Clock()
    try:
        with clock.part("faces"):
            footage = _look(session, path)
    except UnreadableVideo as error:
        return _not_judged(session, facts, fingerprint, "unreadable", str(error), clock)
    facts = describe.with_video(facts, footage.info)
    with clock.part("scores"):
        judged = session.scorer.judge(footage.rows)
    rules = session.rules(footage)
    of_tracks = assemble.tracks(judged, rules)
    video = assemble.video(judged, of_tracks, rules, n_sampled=len(footage.indices))
    if video is None:
        status, reason = describe.why_not(judged)
        return _not_judged(session, facts, fingerprint, status, reason, clock, footage, judged)
    with clock.part("frames shown"):
        # A blurred face in the background has the lowest P(fake) of all and tells nothing.
        of_interest = {*video.decided_by, video.most_suspicious_track}
        candidates = [one for one in judged if one.row.track_id in of_interest]
        shown = show(session.paths, session.scorer, candidates, invert=lambda: session.inverter)
    files = {"report": store.REPORT}
    notes: list[str] = []
    on_map: OnMap | None = None
    with clock.part("map"):
        choice = session.choice
        try:
            on_map = locate(session.paths, judged, space=choice.space, feature_id=choice.feature_id)
        except UserError as error:
            notes.append(f"not placed on a map: {error}")
    with clock.part("video"):
        try:
            scenes = _draw(session, footage, judged, folder, shown, notes)
            files["annotated"] = store.ANNOTATED
        except (av.FFmpegError, UnreadableVideo) as error:
            (folder / store.ANNOTATED).unlink(missing_ok=True)
            scenes = {}
            notes.append(f"the annotated clip could not be written: {error}")
    result = Result(
        status="ok",
        reason=None,
        warnings=session.warnings(),
        clip=facts,
        model=describe.model(session.choice, session.scorer.calibrator),
        run=session.run_facts(fingerprint, clock, footage),
        video=video,
        tracks=of_tracks,
        frames=assemble.frames(judged, rules.band),
        telling=shown.telling,
        neighbour_metric=session.scorer.memory.metric,
        map=on_map.places if on_map else None,
        flag_meanings=describe.meanings(judged, of_tracks, video),
        notes=notes,
        limits=describe.limits(session.choice),
        files=files,
    )
    with clock.part("report"):
        text = page.render(result, replace(shown.pictures, scenes=scenes, on_map=on_map))
        store.write_text(folder / store.REPORT, text)
    return result.model_copy(update={"run": session.run_facts(fingerprint, clock, footage)})


def _look(session: Session, path: Path) -> Footage:
    from pipeline.stages.face_work import face_settings

    settings = replace(face_settings(session.params.faces), keep="all")
    return look(path, sampling=session.sampling, detector=session.detector, settings=settings)


def _draw(
    session: Session, footage: Footage, judged: Sequence[Judged], folder: Path, shown: Shown, notes: list[str]
) -> dict[int, NDArray[np.uint8]]:
    """Write the annotated clip; return the frames the report shows."""
    paths = assemble.paths(judged)
    written = annotate(
        footage.path,
        folder / store.ANNOTATED,
        draw=lambda index, rgb: session.overlay.draw(rgb, places(paths, index, step=footage.step_frames)),
        keep=frozenset(t.frame_index for t in shown.telling[:1]),
    )
    notes.append(f"sound: {written.sound}")
    return written.kept


def _not_judged(
    session: Session,
    facts: Clip,
    fingerprint: str,
    status: str,
    reason: str,
    clock: Clock,
    footage: Footage | None = None,
    judged: Sequence[Judged] = (),
) -> Result:
    of_tracks = assemble.tracks(judged, session.rules(footage)) if footage else []
    return Result(
        status=status,
        reason=reason,
        warnings=session.warnings(),
        clip=facts,
        model=describe.model(session.choice, session.scorer.calibrator),
        run=session.run_facts(fingerprint, clock, footage),
        video=None,
        tracks=of_tracks,
        frames=assemble.frames(judged, session.decision.band),
        telling=[],
        neighbour_metric=None,
        map=None,
        flag_meanings={},
        notes=[],
        limits=describe.limits(session.choice),
        files={},
    )
