"""Tracks on closed-form paths of boxes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.ingest.bridges import bridge_frames
from pipeline.ingest.detect import Detection
from pipeline.ingest.tracks import NO_TRACK, box_iou, largest_track, link


def face(x: float, y: float, size: float = 100.0) -> Detection:
    """A square face centred at (x, y)."""
    half = size / 2
    return Detection(np.array([x - half, y - half, x + half, y + half]), np.zeros((5, 2)), 1.0)


def test_one_still_face_is_one_track() -> None:
    assert link([[face(100, 100)]] * 4) == [[0]] * 4


def test_two_people_passing_at_a_distance_keep_their_tracks() -> None:
    # A walks right along the top, B left along the bottom, 250 px apart where they pass; the order in the list
    # changes halfway
    frames, expected = [], []
    for step in range(11):
        a, b = face(100 + 80 * step, 150), face(900 - 80 * step, 400)
        frames.append([a, b] if step < 5 else [b, a])
        expected.append([0, 1] if step < 5 else [1, 0])
    assert link(frames) == expected


def test_one_leaves_and_another_enters_elsewhere() -> None:
    frames = [[face(100, 100)], [face(110, 100)], [], [face(600, 100)], [face(590, 100)]]
    assert link(frames) == [[0], [0], [], [1], [1]]


def test_one_leaves_as_another_enters_beside_the_one_who_stays() -> None:
    # most links at any price would be A -> B' and B -> C (both within one face size); the truth leaves A without a box
    frames = [[face(0, 0), face(95, 0)], [face(95, 0), face(190, 0)]]
    assert link(frames) == [[0, 1], [1, 2]]


def test_all_boxes_are_assigned_together() -> None:
    # greedy by nearest first would give the middle box to the right track (40 px) and lose the left one's only box
    frames = [[face(0, 0), face(130, 0)], [face(90, 0), face(200, 0)]]
    assert link(frames) == [[0, 1], [0, 1]]


def test_gaps_are_bridged_up_to_gap_max() -> None:
    frames = [[face(0, 0)], [], [], [face(10, 0)]]
    assert link(frames, gap_max=2) == [[0], [], [], [0]]
    assert link(frames, gap_max=1) == [[0], [], [], [1]]


@pytest.mark.parametrize(("distance", "same"), [(99.0, True), (101.0, False)])
def test_shift_is_measured_in_face_sizes(distance: float, same: bool) -> None:
    for size in (1.0, 10.0):
        frames = [[face(0, 0, 100 * size)], [face(distance * size, 0, 100 * size)]]
        assert (link(frames, shift_max=1.0) == [[0], [0]]) is same


def test_overlap_alone_is_enough() -> None:
    frames = [[face(0, 0)], [face(50, 0)]]  # IoU 1/3
    assert link(frames, shift_max=0.0, iou_min=0.3) == [[0], [0]]
    assert link(frames, shift_max=0.0, iou_min=0.4) == [[0], [1]]


@pytest.mark.parametrize(("size", "same"), [(199.0, True), (201.0, False), (51.0, True), (49.0, False)])
def test_faces_of_very_different_size_are_not_linked(size: float, same: bool) -> None:
    assert (link([[face(0, 0)], [face(0, 0, size)]]) == [[0], [0]]) is same


def test_largest_is_by_area_over_the_whole_video() -> None:
    passing_by = [face(900, 100, 200)]  # 40,000 px once
    stays = [face(100, 100, 100)]  # 10,000 px in each of five frames
    frames = [stays, stays, stays + passing_by, stays, stays]
    ids = link(frames)
    assert largest_track(frames, ids) == 0
    assert largest_track(frames[1:4], link(frames[1:4])) == 1
    assert largest_track([[*stays, face(900, 100, 100)]], [[3, 2]]) == 2  # of equals the earlier
    assert largest_track([[], []], [[], []]) == NO_TRACK
    assert link([]) == []


def test_iou_closed_form() -> None:
    a = np.array([[0, 0, 2, 2], [0, 0, 0, 0]], dtype=float)
    b = np.array([[1, 1, 3, 3], [0, 0, 2, 2], [5, 5, 6, 6], [0, 0, 0, 0]], dtype=float)
    np.testing.assert_allclose(box_iou(a, b), [[1 / 7, 1, 0, 0], [0, 0, 0, 0]])


def test_degenerate_boxes_do_not_stop_the_linking() -> None:
    point, inverted = (
        Detection(np.zeros(4), np.zeros((5, 2)), 1.0),
        Detection(np.array([9.0, 9, 1, 1]), np.zeros((5, 2)), 1.0),
    )
    ids = link([[point, inverted], [point, inverted, face(500, 500)]])
    assert all(len(set(frame)) == len(frame) for frame in ids)


def test_a_box_that_is_not_finite_is_an_error() -> None:
    with pytest.raises(ValueError, match="sampled frame 1 has a face box that is not finite"):
        link([[face(0, 0)], [face(float("nan"), 0)]])


@pytest.mark.parametrize(
    "options",
    [{"iou_min": 0.0}, {"shift_max": -1.0}, {"shift_max": float("nan")}, {"size_ratio_max": 0.5}, {"gap_max": -1}],
)
def test_thresholds_out_of_range(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        link([], **options)


places = st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.integers(20, 300))


@given(st.lists(st.lists(places, max_size=5), max_size=8))
@settings(max_examples=60, deadline=None)
def test_invariants(layout: list[list[tuple[int, int, int]]]) -> None:
    frames = [[face(*place) for place in frame] for frame in layout]
    ids = link(frames)
    assert [len(frame) for frame in ids] == [len(frame) for frame in frames]
    assert all(len(set(frame)) == len(frame) for frame in ids)  # one box per track and frame
    flat = [track_id for frame in ids for track_id in frame]
    first_seen = list(dict.fromkeys(flat))
    assert sorted(flat, key=lambda i: i)[:1] in ([], [0])
    assert set(flat) == set(range(len(first_seen)))
    moved = [[face(x + 64, y - 32, size) for x, y, size in frame] for frame in layout]
    assert link(moved) == ids  # only relative places matter; whole pixels, so no rounding


def test_positions_measure_gaps_in_sampled_frames() -> None:
    frames = [[face(0, 0)], [], [], [], [face(0, 0)]]
    assert link(frames, gap_max=0)[-1] == [1]
    assert link(frames, gap_max=0, positions=[0, 0.25, 0.5, 0.75, 1])[-1] == [0]
    with pytest.raises(ValueError, match="zip"):
        link(frames, positions=[0, 1])


# --- frames in between ------------------------------------------------------------------------------------------------


def bridges(frames: list[list[Detection]], indices: list[int], **options: int) -> list[int]:
    return bridge_frames(indices, frames, link(frames), **{"n_between": 3, "gap_max": 5} | options)


def test_no_break_asks_for_nothing() -> None:
    assert bridges([[face(0, 0)], [face(20, 0)], [], [face(30, 0)]], [0, 60, 120, 180]) == []
    assert bridges([[], [face(0, 0)]], [0, 60]) == []  # begins, but nothing ended
    assert bridges([[face(0, 0)], []], [0, 60]) == []
    assert bridges([], []) == []


def test_a_break_asks_for_evenly_spaced_frames_in_between() -> None:
    frames = [[face(0, 0)], [face(0, 0)], [face(500, 0)], [face(500, 0)]]
    assert bridges(frames, [0, 60, 120, 180]) == [75, 90, 105]
    assert bridges(frames, [0, 60, 120, 180], n_between=0) == []
    assert bridges(frames, [0, 1, 2, 3]) == []  # nothing lies in between
    assert bridges(frames, [0, 1, 3, 4]) == [2]


def test_a_break_over_empty_samples_is_bridged_all_the_way() -> None:
    frames = [[face(0, 0)], [], [face(500, 0)]]
    assert bridges(frames, [0, 40, 80], n_between=1) == [20, 60]
    assert bridges(frames, [0, 40, 80], n_between=1, gap_max=0) == []


def test_small_faces_in_the_background_are_not_worth_a_search() -> None:
    main = face(100, 100, 200)
    assert bridges([[main, face(500, 0, 40)], [main, face(900, 0, 40)]], [0, 60]) == []


def test_a_restless_video_costs_little_more_than_twice_its_samples() -> None:
    frames = [[face(1000 * i, 0)] for i in range(10)]
    indices = list(range(0, 1000, 100))
    chosen = bridges(frames, indices, n_between=50)
    assert len(chosen) <= 16 + 2 * len(indices)
    assert all(any(low < index < low + 100 for index in chosen) for low in indices[:-1])
