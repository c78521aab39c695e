"""Boxes between sampled frames, and what is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.predict.boxes import Place, TrackPath, places
from pipeline.predict.drawing import COLOURS, NOT_JUDGED, Overlay

STEP = 10.0


def path(frames: list[int], p_fake: list[float]) -> TrackPath:
    boxes = np.array([[f, 0.0, f + 50.0, 40.0] for f in frames])  # moves a pixel to the right each frame
    return TrackPath(3, np.array(frames), boxes, np.array(p_fake))


def test_box_and_score_go_over_in_proportion() -> None:
    (place,) = places([path([10, 20], [0.2, 0.8])], 13, step=STEP)
    np.testing.assert_allclose(place.box, [13, 0, 63, 40])
    assert place.p_fake == pytest.approx(0.38)


def test_a_sampled_frame_has_its_own_box_and_score() -> None:
    (place,) = places([path([10, 20], [0.2, 0.8])], 20, step=STEP)
    np.testing.assert_allclose(place.box, [20, 0, 70, 40])
    assert place.p_fake == 0.8


def test_every_frame_of_a_face_seen_throughout_has_a_box() -> None:
    track = path([5, 15, 25, 35], [0.1] * 4)  # the middles of four equal parts of 40 frames
    assert all(places([track], frame, step=STEP) for frame in range(40))


def test_nothing_is_drawn_before_after_or_where_nobody_saw_the_face() -> None:
    track = path([50, 60, 120, 130], [0.1] * 4)
    shown = [frame for frame in range(200) if places([track], frame, step=STEP)]
    assert shown == [*range(45, 66), *range(115, 136)]


def test_an_unjudged_end_does_not_blur_into_a_score() -> None:
    track = path([0, 10], [np.nan, 0.9])
    assert np.isnan(places([track], 3, step=STEP)[0].p_fake)
    assert places([track], 7, step=STEP)[0].p_fake == 0.9


def test_tracks_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="track 3: expected ascending frames"):
        path([10, 10], [0.1, 0.2])


@pytest.mark.parametrize(
    ("p_fake", "colour"),
    [(0.1, COLOURS["real"]), (0.9, COLOURS["fake"]), (0.5, COLOURS["uncertain"]), (np.nan, NOT_JUDGED)],
)
def test_the_colour_of_the_box_is_the_verdict(p_fake: float, colour: tuple[int, int, int]) -> None:
    frame = np.zeros((240, 320, 3), np.uint8)
    Overlay((0.4, 0.6)).draw(frame, [Place(0, np.array([100.0, 80.0, 200.0, 180.0]), p_fake)])
    assert tuple(frame[180, 150]) == colour
    assert not frame[130, 150].any()  # the face itself stays untouched


def test_boxes_far_outside_and_tiny_frames_are_drawn_without_harm() -> None:
    frame = np.zeros((20, 24, 3), np.uint8)
    box = np.array([-1e12, -5.0, 1e12, 60.0])
    Overlay((0.4, 0.6), "a sentence much wider than this frame").draw(frame, [Place(0, box, 0.9)])
    assert frame.any()


def test_the_banner_stands_at_the_lower_edge_and_leaves_two_thirds_free() -> None:
    plain, marked = (np.full((120, 160, 3), 90, np.uint8) for _ in range(2))
    Overlay((0.4, 0.6)).draw(plain, [])
    Overlay((0.4, 0.6), "Trained on the sample set: scores say nothing about real footage.").draw(marked, [])
    rows = np.flatnonzero((plain != marked).any(axis=(1, 2)))
    assert rows.max() == 119
    assert rows.min() >= 80
