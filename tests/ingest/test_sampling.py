"""Frame sampling: properties that hold for any video, and the papers' numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.ingest.sampling import frame_indices

COUNTS = st.integers(0, 5_000)
SIZES = st.integers(1, 6_000)


def _settings(mode: str, size: int, seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    return {"mode": mode, "k": size, "n": size, "n_real": size, "n_fake": size, "label": seed % 2, "rng": rng}


@given(st.sampled_from(["every_k", "uniform", "random", "per_class"]), COUNTS, SIZES, st.integers(0, 9))
def test_indices_are_distinct_ascending_and_inside(mode: str, n_frames: int, size: int, seed: int) -> None:
    indices = frame_indices(n_frames=n_frames, **_settings(mode, size, seed))
    assert indices.dtype == np.int64
    assert np.all(np.diff(indices) > 0)
    assert indices.size == 0 or (indices[0] >= 0 and indices[-1] < n_frames)


@given(st.sampled_from(["uniform", "random", "per_class"]), COUNTS, SIZES)
def test_as_many_as_asked_for_or_all(mode: str, n_frames: int, size: int) -> None:
    assert frame_indices(n_frames=n_frames, **_settings(mode, size, 1)).size == min(size, n_frames)


@given(st.integers(1, 5_000), st.integers(1, 50))
def test_uniform_takes_one_frame_of_each_segment_at_its_middle(n_frames: int, n: int) -> None:
    n = min(n, n_frames)
    indices = frame_indices("uniform", n_frames, n=n)
    middles_twice = (2 * np.arange(n) + 1) * n_frames  # in units of 1 / (2 n) frame: whole numbers
    assert np.all(2 * n * indices <= middles_twice)  # the middle lies in the frame's [index, index + 1)
    assert np.all(middles_twice < 2 * n * (indices + 1))
    # Centred: as much is left before the first as after the last, up to the rounding of both.
    assert abs(indices[0] - (n_frames - 1 - indices[-1])) <= 1


@pytest.mark.parametrize(
    ("n_frames", "k", "expected"), [(31, 10, [0, 10, 20, 30]), (30, 10, [0, 10, 20]), (3, 10, [0])]
)
def test_every_k_as_latentforensics_takes_them(n_frames: int, k: int, expected: list[int]) -> None:
    assert frame_indices("every_k", n_frames, k=k).tolist() == expected


def test_per_class_as_york_takes_them() -> None:
    assert frame_indices("per_class", 300, label=0).size == 40
    assert frame_indices("per_class", 300, label=1).size == 8


def test_random_depends_on_the_generator_alone() -> None:
    first, again, other = (frame_indices("random", 300, n=20, rng=np.random.default_rng(s)) for s in (7, 7, 8))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_random_is_fair() -> None:
    rng = np.random.default_rng(0)
    hits = np.zeros(20)
    for _ in range(4_000):
        hits[frame_indices("random", 20, n=5, rng=rng)] += 1
    # Each frame: binomial(4000, 1/4), mean 1000, deviation 27; 5 deviations.
    assert np.all(np.abs(hits - 1_000) < 137)


@pytest.mark.parametrize("mode", ["every_k", "uniform", "random", "per_class"])
def test_a_video_without_frames_gives_none(mode: str) -> None:
    assert frame_indices(n_frames=0, **_settings(mode, 3, 0)).size == 0


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"mode": "all"}, "mode must be"),
        ({"n_frames": -1}, "n_frames must be 0 or more, not -1"),
        ({"mode": "every_k", "k": 0}, "k must be at least 1, not 0"),
        ({"mode": "uniform", "n": 0}, "n must be at least 1, not 0"),
        ({"mode": "random", "rng": None}, "needs rng"),
        ({"mode": "per_class", "label": None}, "needs the video's label"),
        ({"mode": "per_class", "label": 1, "n_fake": 0}, "n_fake must be at least 1"),
    ],
)
def test_bad_settings_are_named(change: dict[str, Any], match: str) -> None:
    settings: dict[str, Any] = {"mode": "uniform", "n_frames": 10} | change
    with pytest.raises(ValueError, match=match):
        frame_indices(**settings)
