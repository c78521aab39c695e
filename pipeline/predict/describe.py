"""Facts about clip, model and program for ``result.json``."""

from __future__ import annotations

import importlib.metadata
import platform
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from classifiers.calibrate import Calibrator
from pipeline.ingest.video import VideoInfo
from pipeline.predict import flags
from pipeline.predict.assemble import Judged
from pipeline.predict.choice import SAMPLE_NOTICE, Choice
from pipeline.predict.result import Clip, Measure, Model, Status, Track, Video
from pipeline.runinfo import file_sha256

_VERSIONS = ("latentforensics", "torch", "timm", "scikit-learn", "av", "opencv-python-headless", "numpy")

LIMITS = (
    "P(fake) is a statistical statement about material like the training material. It is no proof about this clip.",
    "Manipulation methods, compression and cameras that were not in the training material are not covered.",
    "Only sampled frames were looked at; what happens between them was not judged. Boxes there are interpolated.",
    "A track is one face followed by place and size. After a cut another person may continue it.",
    "Detectors and generators serve some groups of people worse than others, and so does every score built on them.",
    "Percentiles of the frames tell how steady the score is, not how sure the model is.",
)


def clip_facts(path: Path) -> Clip:
    """Name, path and content; the content is unknown where the file cannot be read."""
    sha256, size = None, None
    try:
        if path.is_file():  # a pipe would never end
            size, sha256 = path.stat().st_size, file_sha256(path)
    except OSError:
        pass  # the reason is found, and told, where the clip is opened
    return Clip(name=path.name, path=str(path.absolute()), sha256=sha256, size_bytes=size)


def with_video(clip: Clip, info: VideoInfo) -> Clip:
    """The same with what is known of the video."""
    names = ("fps", "n_frames", "width_px", "height_px", "duration_s")
    return clip.model_copy(update={name: getattr(info, name) for name in names})


def model(choice: Choice, calibrator: Calibrator | None) -> Model:
    """The model's card."""
    card = choice.card
    info: dict[str, Any] = card["info"]
    return Model(
        name=choice.name,
        space=choice.space,
        feature_id=choice.feature_id,
        why=choice.why,
        card_sha256=card["card_sha256"],
        weights_sha256=card["weights_sha256"],
        protocol=card["metadata"].get("protocol"),
        n_train=info.get("n_train"),
        n_groups_train=info.get("n_groups_train"),
        share_fake_train=info.get("share_fake_train"),
        calibration="none" if calibrator is None else calibrator.method,
        calibration_reason=None if calibrator is None else calibrator.reason,
        trained_on=choice.source,
        measured=[
            Measure(
                metric=f.metric, value=f.value, ci_low=f.ci_low, ci_high=f.ci_high, n_groups=f.n_groups, split=f.split
            )
            for f in choice.figures
        ],
    )


def versions() -> dict[str, str]:
    """Program, libraries and Python."""
    return {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in _VERSIONS}


def why_not(judged: Sequence[Judged]) -> tuple[Status, str]:
    """Why nothing of a clip was judged: what became of most of its rows."""
    if failed := Counter(one.reason for one in judged if one.reason):
        return "failed", failed.most_common(1)[0][0]
    rows = [one.row for one in judged]
    if rows and all(row.status == "unreadable" for row in rows):
        return "unreadable", rows[0].reason
    rejected = Counter(row.reason for row in rows if row.status == "rejected")
    n = len({row.frame_index for row in rows})
    text = f"no usable face in any of the {n} frames looked at"
    return "no_face", f"{text}; {rejected.most_common(1)[0][0]}" if rejected else text


def meanings(judged: Sequence[Judged], tracks: Sequence[Track], video: Video) -> dict[str, str]:
    """Every flag that occurs, explained."""
    found = {f for one in judged for f in one.flags} | {f for t in tracks for f in t.flags} | set(video.flags)
    return {name: meaning for name, meaning in flags.MEANINGS.items() if name in found}


def limits(choice: Choice) -> list[str]:
    """What no number can tell; first what is peculiar to the model."""
    return [*(w for w in choice.warnings() if w == SAMPLE_NOTICE), *LIMITS]
