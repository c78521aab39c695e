"""The page Models: curves of several models, what a threshold costs, tables per method and slice, learning curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from classifiers.prior import fake_threshold, shift_prior
from classifiers.risk import risk_coverage
from dashboard import curves, decisions
from tests.dashboard.test_pages import open_page, sentences
from tests.report import material

WPLUS, NET = "wplus · random forest", "efficientnet · logistic"


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("models")
    material.fill(root)
    return root


def answers(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    label = rng.integers(0, 2, n)
    return label, np.round(np.clip(0.5 + 0.2 * (label - 0.5) + rng.normal(0, 0.2, n), 0, 1), 1)  # with ties


def test_threshold_prior_and_risk_are_those_of_the_classifiers() -> None:
    terms = decisions.Terms(0.03, 2.0, 50.0)
    assert terms.threshold == pytest.approx(fake_threshold(prior_fake=0.03, cost_false_alarm=2, cost_miss=50))
    label, p_fake = answers()
    assert decisions.shift_prior(p_fake, to=0.2) == pytest.approx(shift_prior(p_fake, to=0.2))
    covered, risk = decisions.risk_coverage(label, p_fake)
    expected = risk_coverage(label, p_fake)
    assert covered == pytest.approx(expected.coverage)
    assert risk == pytest.approx(expected.risk)


def test_costs_are_counted_from_the_rates_within_each_class() -> None:
    label, p_fake = np.array([0, 0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.6, 0.7, 0.4, 0.7])
    alarms, misses = decisions.rates(label, p_fake, np.array([0.0, 0.6, 0.7, 0.71]))
    assert alarms.tolist() == [1.0, 0.5, 0.25, 0.0]
    assert misses.tolist() == [0.0, 0.5, 0.5, 1.0]
    terms = decisions.Terms(0.1, 1.0, 20.0)  # of 1,000: 900 reals at 1 each, 100 fakes at 20 each
    assert terms.cost(alarms, misses).tolist() == [900.0, 1450.0, 1225.0, 2000.0]
    assert (terms.cost_all_fake, terms.cost_all_real) == (900.0, 2000.0)


def test_no_threshold_costs_less_than_decision_theory_s_where_p_fake_is_calibrated() -> None:
    rng = np.random.default_rng(0)
    p_fake = rng.uniform(size=200_000)  # as many fakes as reals, and P(fake) is the share of fakes
    label = (rng.uniform(size=p_fake.size) < p_fake).astype(np.int64)
    terms = decisions.Terms(0.2, 1.0, 3.0)
    grid = np.linspace(0, 1, 101)
    best = grid[np.argmin(terms.cost(*decisions.rates(label, p_fake, grid)))]
    assert best == pytest.approx(terms.threshold, abs=0.03)


def test_the_cost_s_interval_is_that_of_whole_groups() -> None:
    label, p_fake = np.tile([0, 1], 40), np.tile([0.4, 0.6], 40)
    p_fake[:40] = 1 - p_fake[:40]  # the first groups are all wrong
    terms = decisions.Terms(0.5, 1.0, 1.0)
    few = decisions.cost_interval(label, p_fake, np.repeat(["a", "b"], 40), threshold=0.5, terms=terms)
    many = decisions.cost_interval(label, p_fake, np.repeat(np.arange(40), 2), threshold=0.5, terms=terms)
    assert few == (0.0, 1000.0)
    assert many is not None
    assert 300 < many[0] < 450 < 550 < many[1] < 700
    assert decisions.cost_interval(label, p_fake, np.repeat("a", 80), threshold=0.5, terms=terms) is None
    assert decisions.cost_interval(np.ones(80, dtype=int), p_fake, label, threshold=0.5, terms=terms) is None


def test_models_lie_over_each_other_and_keep_their_colours() -> None:
    label, p_fake = answers()
    one, two = (curves.Judged(n, s, label, p_fake, p_fake, label) for n, s in (("<b>a</b>", 0), ("b", 3)))
    both, alone = curves.curves([one, two]), curves.curves([two])
    assert len(both.data) - len(alone.data) == 4  # one trace in each of the four parts
    assert {t.name for t in both.data if t.name} == {"&lt;b&gt;a&lt;/b&gt;", "b"}
    hues = [{t.line.color for t in f.data if t.name == "b"} for f in (both, alone)]
    assert hues[0] == hues[1]
    one_class = curves.Judged("real only", 0, np.zeros(60, dtype=int), p_fake, p_fake, label)
    assert len(curves.curves([one_class]).data) == 4 + 2  # no ROC and no precision


def test_the_page_compares_the_chosen_models(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", full, monkeypatch)
    assert app.multiselect(key="models").value == [NET, WPLUS]  # the best of each space
    assert len(app.get("plotly_chart")) == 4  # curves, confusion, cost, learning
    by_method = next(d.value for d in app.dataframe if "fakes" in d.value.columns)
    assert by_method["method"].tolist() == [material.HOSTILE] * 2
    assert by_method["ROC-AUC"].tolist() == ["0.700 [0.500, 0.800]"] * 2
    sliced = next(d.value for d in app.dataframe if "p (Holm)" in d.value.columns)
    assert len(sliced) == 4
    assert sliced["slice"].iloc[0] == "dark"  # surest to be worse
    app.multiselect(key="models").set_value([WPLUS]).run()
    assert not app.exception
    assert len(next(d.value for d in app.dataframe if "p (Holm)" in d.value.columns)) == 2
    app.selectbox(key="slice_measure").select("coverage").run()
    assert next(d.value for d in app.dataframe if "p (Holm)" in d.value.columns)["classifier"].tolist() == [
        "faces · detector"
    ]
    app.multiselect(key="models").set_value([]).run()
    assert "Choose a model" in sentences(app)


def test_threshold_prior_and_costs_change_what_is_said(full: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_page("models", full, monkeypatch)
    assert app.number_input(key="prior").value == 50.0
    app.number_input(key="prior").set_value(1.0)
    app.number_input(key="cost_miss").set_value(11.0).run()
    assert app.button(key="use_theory").label == "Use decision theory's 0.90"  # 99 : 11
    app.button(key="use_theory").click().run()
    assert app.slider(key="threshold").value == 0.9
    tiles = {m.label: m.value for m in app.metric}
    assert tiles["Cost of calling all real"] == "110.0"
    assert tiles["Cost at your threshold, 0.90"] == tiles["Cost at decision theory's, 0.90"]


def test_a_view_comes_back_from_its_address_and_hostile_values_do_nothing(
    full: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"level": "frame", "models": WPLUS, "threshold": "0.3", "prior": "5.0"}
    app = open_page("models", full, monkeypatch, query=wanted)
    assert app.segmented_control(key="level").value == "frame"
    assert app.multiselect(key="models").value == [WPLUS]
    assert (app.slider(key="threshold").value, app.number_input(key="prior").value) == (0.3, 5.0)
    hostile = {
        "level": "../../etc/passwd", "models": "<script>alert(1)</script>", "threshold": "9e99", "prior": "nan",
        "cost_miss": "-1", "threshold_model": material.HOSTILE, "sliced_by": "'; drop", "unknown": "x" * 2000,
    }  # fmt: skip
    app = open_page("models", full, monkeypatch, query=hostile)
    assert app.segmented_control(key="level").value == "video"
    assert app.multiselect(key="models").value == [NET, WPLUS]
    assert (app.slider(key="threshold").value, app.number_input(key="prior").value) == (0.5, 50.0)
    assert app.number_input(key="cost_miss").value == 1.0
