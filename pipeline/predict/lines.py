"""One line for each clip, and the summary of a run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pipeline.predict.result import Line, Result, Summary
from pipeline.predict.session import Session


def line(clip: str, folder: Path | None, status: str, reason: str | None) -> Line:
    """A clip of which nothing was judged."""
    return Line(
        clip=clip,
        folder=None if folder is None else folder.name,
        status=status,
        reason=reason,
        verdict=None,
        p_fake=None,
        p_fake_at_prior=None,
        kept=False,
        seconds=None,
        seconds_per_video_second=None,
    )


def from_result(result: Result, clip: Path, folder: Path, *, kept: bool) -> Line:
    """A clip as its result has it."""
    video, run = result.video, result.run
    found: dict[str, object] = {
        "kept": kept,
        "seconds": sum(run.seconds.values()),
        "seconds_per_video_second": run.seconds_per_video_second,
    }
    if video is not None:
        found |= {"verdict": video.verdict, "p_fake": video.p_fake, "p_fake_at_prior": video.p_fake_at_prior}
    return line(str(clip), folder, result.status, result.reason).model_copy(update=found)


def told(line: Line) -> str:
    """One line of text for a clip."""
    if line.status != "ok":
        return f"{line.clip}: {line.status}: {line.reason}"
    pace = (
        "" if line.seconds_per_video_second is None else f", {line.seconds_per_video_second:.2f} s per second of video"
    )
    kept = ", kept from an earlier run" if line.kept else pace
    return f"{line.clip}: {line.verdict}, P(fake) {line.p_fake:.2f}{_at_prior(line)}{kept}"


def _at_prior(line: Line) -> str:
    return "" if line.p_fake_at_prior is None else f" ({line.p_fake_at_prior:.3f} at the prior)"


def sum_up(session: Session, lines: list[Line], video_s: float) -> Summary:
    """All clips of a run; `video_s` seconds of video were worked on now."""
    choice = session.choice
    done = [one for one in lines if one.status == "ok"]
    fresh_s = sum(one.seconds or 0.0 for one in lines if not one.kept)
    reasons = Counter(f"{one.status}: {one.reason}" for one in lines if one.status != "ok")
    return Summary(
        model=choice.name,
        why=choice.why,
        warnings=session.warnings(),
        decision=session.decision.told(),
        n_clips=len(lines),
        n_done=len(done),
        n_kept=sum(one.kept for one in lines),
        n_failed=len(lines) - len(done),
        failed=dict(reasons.most_common()),
        seconds_per_video_second=fresh_s / video_s if video_s else None,
        clips=lines,
    )


def table(summary: Summary) -> str:
    """The summary for a terminal."""
    width = max((len(Path(one.clip).name) for one in summary.clips), default=0)
    rows = []
    for one in summary.clips:
        score = "     " if one.p_fake is None else f"{one.p_fake:5.2f}{_at_prior(one)}"
        pace = "" if one.seconds_per_video_second is None else f"{one.seconds_per_video_second:6.2f} s/s"
        rest = one.reason or ("kept" if one.kept else pace)
        rows.append(f"{Path(one.clip).name:{width}}  {one.verdict or one.status:10}  {score}  {rest}")
    kept = f", {summary.n_kept} of them kept from an earlier run" if summary.n_kept else ""
    rows.append(f"{summary.n_done} done{kept}, {summary.n_failed} failed; model {summary.model}")
    rows += [f"  {n} x {reason}" for reason, n in summary.failed.items()]
    if summary.seconds_per_video_second is not None:
        rows.append(f"{summary.seconds_per_video_second:.2f} s per second of video")
    return "\n".join([*rows, summary.decision.text, *summary.warnings])
