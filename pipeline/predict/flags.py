"""What speaks against relying on a score: of a frame, of a track, of a clip."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipeline.ingest.faces import FaceRow

SMALL_PX = 64  # a quarter of the 256 px that networks see: the rest is interpolated
BLURRED = 10.0  # of 144 faces of the sample set none is below; c40 compression of a small face comes close
TURNED_DEG = 35.0  # beyond, one half of the face is hardly seen and five landmarks align it badly
FEW_FRAMES = 4
#: A flag of a track or clip holds for this share of its judged frames.
SHARE = 0.5

MEANINGS = {
    "small": f"the face is narrower than {SMALL_PX} px, so most of what is judged is interpolated",
    "blurred": f"the face is blurred (variance of the Laplacian below {BLURRED:g})",
    "turned": f"the head is turned by more than {TURNED_DEG:g} degrees",
    "poor_reconstruction": "the reconstruction is far from the face, so the code says little about it",
    "unlike_training": "the face lies farther from all training faces than 99 % of these do from those of other groups",
    "brief": "the track has fewer than 3 judged frames; it may be a false detection",
    "few_frames": f"fewer than {FEW_FRAMES} faces were judged",
    "damaged": "some of the sampled frames could not be read",
    "face_often_missing": "a face was judged in less than half of the sampled frames",
    "mixed": "some judged frames are called real and some fake",
    "other_track_suspicious": "another face than the one that decides is called fake",
    "several_faces": "more than one person was followed; see each track",
}


def of_face(row: FaceRow, *, poor: bool, unlike: bool) -> list[str]:
    """Flags of one judged face; figures that are unknown (NaN) raise none."""
    found = {
        "small": row.face_width_px < SMALL_PX,
        "blurred": row.blur < BLURRED,
        "turned": abs(row.yaw_deg) > TURNED_DEG,
        "poor_reconstruction": poor,
        "unlike_training": unlike,
    }
    return [name for name, holds in found.items() if holds]


def common(of_frames: Sequence[Sequence[str]]) -> list[str]:
    """Flags that hold for half of the judged frames or more."""
    counts = Counter(flag for flags in of_frames for flag in flags)
    return [name for name in MEANINGS if counts[name] and counts[name] >= SHARE * len(of_frames)]


def of_clip(
    *,
    of_frames: Sequence[Sequence[str]],
    verdicts: Sequence[str],
    n_sampled: int,
    n_decoded: int,
    n_with_face: int,
    n_steady: int,
    other_suspicious: bool,
) -> list[str]:
    """Flags of a clip; `of_frames` and `verdicts` are those of the judged frames that decide."""
    found = {
        "few_frames": len(of_frames) < FEW_FRAMES,
        "damaged": n_decoded < n_sampled,
        "face_often_missing": n_with_face < SHARE * n_sampled,
        "mixed": {"real", "fake"} <= set(verdicts),
        "other_track_suspicious": other_suspicious,
        "several_faces": n_steady > 1,
    }
    return common(of_frames) + [name for name, holds in found.items() if holds]
