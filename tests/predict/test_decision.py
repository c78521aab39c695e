"""The threshold of verdicts under a prior and costs."""

from __future__ import annotations

import pytest

from classifiers.prior import fake_threshold
from pipeline.params import Sampling as Measured
from pipeline.predict import scoring
from pipeline.predict.decision import Decision
from pipeline.predict.footage import Sampling
from pipeline.predict.session import frame_count_warnings

BAND = (0.37, 0.61)


def test_without_a_prior_and_with_equal_costs_nothing_is_shifted() -> None:
    for cost in (1, 3):
        plain = Decision(None, cost, cost, BAND)
        assert (plain.band, plain.threshold, plain.at_prior(0.7), plain.is_set) == (BAND, 0.5, None, False)
        assert "as many fakes as reals" in plain.text


@pytest.mark.parametrize(("prior", "false_alarm", "miss"), [(0.01, 1, 1), (0.9, 1, 1), (None, 5, 1), (0.2, 1, 30)])
def test_a_band_of_no_width_calls_fake_what_evaluation_calls_fake(prior: float, false_alarm: int, miss: int) -> None:
    decision = Decision(prior, false_alarm, miss, (0.5, 0.5))
    expected = fake_threshold(prior_fake=prior or 0.5, cost_false_alarm=false_alarm, cost_miss=miss)
    assert decision.threshold == pytest.approx(expected)
    assert decision.band == pytest.approx((expected, expected))
    assert scoring.verdict(expected + 1e-6, decision.band) == "fake"
    assert scoring.verdict(expected - 1e-6, decision.band) == "real"


def test_with_equal_costs_the_band_is_the_settings_one_for_p_at_the_prior() -> None:
    decision = Decision(0.01, 1, 1, BAND)
    assert [decision.at_prior(end) for end in decision.band] == pytest.approx(BAND)
    assert "a share of fakes of 0.01: the threshold on P(fake) is 0.99," in decision.text


def test_both_verdicts_stay_within_reach_of_any_prior_and_costs() -> None:
    for decision in (Decision(1e-15, 1e6, 1e-6, BAND), Decision(1 - 1e-15, 1e-6, 1e6, BAND)):
        assert scoring.verdict(1.0, decision.band) == "fake"
        assert scoring.verdict(0.0, decision.band) == "real"


def test_aggregations_that_grow_with_the_frames_are_warned_of_where_their_number_differs() -> None:
    two = Measured(mode="uniform", every_k=1, n=2, n_real=1, n_fake=1)
    assert frame_count_warnings("mean", two, Sampling()) == []
    assert frame_count_warnings("noisy_or", two, Sampling(n_frames=2)) == []
    (said,) = frame_count_warnings("noisy_or", two, Sampling())
    assert "measured on 2 frames of a video" in said
    assert "--n-frames 2" in said
    (said,) = frame_count_warnings("topk", two.model_copy(update={"mode": "every_k"}), Sampling(n_frames=2))
    assert "another number of frames" in said
