"""Walks until a verdict flips, where it is known how far that is."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from classifiers import counterfactual as cf
from classifiers.gradients import logit_gradient
from classifiers.models import make_model
from tests.classifiers.helpers import blobs

D, CHANNELS = 24, 3
RULE = cf.Rule(threshold=0.5, low=0.4, high=0.6)


def planted(seed: int = 0) -> tuple[np.ndarray, float, np.ndarray, cf.Score]:
    """Weights, offset and spread of a linear model, and the model."""
    rng = np.random.default_rng(seed)
    w, spread, b = rng.normal(size=D), rng.uniform(0.2, 3.0, D), 0.7
    return w, b, spread, lambda X: expit(X.astype(np.float64) @ w + b)


@pytest.mark.parametrize("start", [-2.0, 2.0])
def test_a_linear_model_flips_where_its_planes_lie(start: float) -> None:
    """Distance to the plane w.x + b = logit(t), length being the root mean square in standard deviations."""
    w, b, spread, score = planted()
    x = (w * (start - b) / (w @ w)).astype(np.float32)  # log-odds of `start`
    found = cf.walk(score, x, cf.steepest(w, spread), rule=RULE, n_steps=5, max_distance=20.0)
    per_unit = np.sqrt(D * np.sum((w * spread) ** 2))  # log-odds gained by a step of length 1
    edge = 0.6 if start < 0 else 0.4
    # float32 vectors: about 1e-6 of the log-odds; sections: a 30,000th of a bracket of an eighth of the distance.
    assert found.crossing == pytest.approx(abs(start) / per_unit, rel=1e-4)
    assert found.flip == pytest.approx(abs(logit(edge) - start) / per_unit, rel=1e-4)
    assert found.towards_fake == (start < 0)
    assert found.distances[-2] == found.flip
    assert found.p_fake[-2] == pytest.approx(edge, abs=1e-4)
    assert (found.p_fake[-2] > edge) == (start < 0)
    assert np.array_equal(found.vectors[0], x)


def test_no_other_direction_flips_a_linear_model_sooner() -> None:
    w, b, spread, score = planted(1)
    x = (w * (-2.0 - b) / (w @ w)).astype(np.float32)
    best = cf.walk(score, x, cf.steepest(w, spread), rule=RULE, n_steps=5, max_distance=20.0)
    assert best.crossing is not None
    rng = np.random.default_rng(0)
    for plain in (w, w * spread, *cf.random_moves(20, spread, rng) * np.array([[1.0], [-1.0]] * 10)):
        move = plain / cf.length(plain, spread)
        other = cf.walk(score, x, move, rule=RULE, n_steps=5, max_distance=20.0)
        assert other.crossing is None or other.crossing > 1.001 * best.crossing


def test_a_constant_model_never_flips() -> None:
    spread = np.ones(D)
    x = np.zeros(D, dtype=np.float32)
    found = cf.walk(lambda X: np.full(len(X), 0.5), x, np.ones(D), rule=RULE, n_steps=4)
    assert found.crossing is None
    assert found.flip is None
    assert found.distances[-1] == cf.MAX_DISTANCE
    for gradient in (np.zeros(D), np.full(D, np.nan)):
        with pytest.raises(ValueError, match="no direction"):
            cf.steepest(gradient, spread)
    with pytest.raises(ValueError, match="no direction"):
        cf.answers_slope(np.eye(D, dtype=np.float32), np.full(D, 0.5), spread)


def test_a_step_within_the_band_crosses_and_flips_later() -> None:
    """A model of three steps along the first number: 0.3, 0.55 from 0.25 on, 0.9 from 1 on, and back from 1.5 on."""

    def score(X: np.ndarray) -> np.ndarray:
        return np.select([X[:, 0] < 0.25, X[:, 0] < 1.0, X[:, 0] < 1.5], [0.3, 0.55, 0.9], 0.3)

    move = np.zeros(4)
    move[0] = 1.0
    found = cf.walk(score, np.zeros(4, dtype=np.float32), move, rule=RULE, n_steps=3)
    assert found.crossing == pytest.approx(0.25, rel=1e-4)
    assert found.flip == pytest.approx(1.0, rel=1e-4)
    short = cf.walk(score, np.zeros(4, dtype=np.float32), move, rule=RULE, n_steps=3, max_distance=0.9)
    assert short.flip is None
    assert short.distances[1] == short.crossing == pytest.approx(0.25, rel=1e-4)


def test_channels_share_the_walk_and_numbers_that_never_vary_stay() -> None:
    w, _, spread, score = planted(2)
    w[8:16] *= 3.0
    spread[3] = 0.0
    x = np.zeros(D, dtype=np.float32)
    found = cf.walk(score, x, cf.steepest(w, spread), rule=RULE, n_steps=3)
    lengths, shares = cf.channel_moves(found, spread, CHANNELS)
    squares = ((w * spread) ** 2).reshape(CHANNELS, -1).sum(axis=1)
    np.testing.assert_allclose(shares, squares / squares.sum(), rtol=1e-4)  # float32 vectors
    assert np.sqrt(np.sum(lengths**2 * 8) / 23) == pytest.approx(found.distances[-1], rel=1e-4)
    assert (found.vectors[:, 3] == 0).all()
    with pytest.raises(ValueError, match="5 equal channels"):
        cf.channel_moves(found, spread, 5)


def test_other_moves_have_the_length_and_lead_where_they_should() -> None:
    rng = np.random.default_rng(3)
    spread, x = rng.uniform(0.5, 2, D), rng.normal(size=D).astype(np.float32)
    others = np.concatenate([x[None], rng.normal(size=(3, D)).astype(np.float32)])
    moves = cf.moves_towards(others, x, spread)
    assert len(moves) == 3  # x itself is no direction
    away = others[1].astype(np.float64) - x
    np.testing.assert_allclose(x + cf.length(away, spread) * moves[0], others[1], atol=1e-6)
    drawn = cf.random_moves(4, spread, np.random.default_rng(0))
    assert [cf.length(m, spread) for m in (*moves, *drawn)] == pytest.approx([1.0] * 7)
    seen = cf.elsewhere(lambda X: expit(X[:, 0].astype(np.float64)), x, moves, np.array([0.0, 1.0]))
    np.testing.assert_allclose(seen[:, 1], expit(x[0] + moves[:, 0]), rtol=1e-5)
    assert cf.elsewhere(lambda X: X[:, 0], x, moves[:0], np.zeros(2)).shape == (0, 2)


@pytest.mark.parametrize("name", ["logistic", "mlp2", "svm_linear", "rf"])
def test_gradients_are_those_of_finite_differences(name: str) -> None:
    X, y, group = blobs(n_features=6, seed=1)
    settings = {"mlp2": {"hidden": (8,)}, "rf": {"n_trees": 5}}.get(name, {})
    model = make_model(name, profile="quick", seed=0, overrides=settings).fit(X, y, groups=group)
    found = logit_gradient(model, X[0])
    if name == "rf":
        assert found is None
        return
    assert found is not None
    step = 1e-2 * np.eye(6, dtype=np.float32)
    up, down = (logit(model.predict_p_fake(X[0] + s * step)) for s in (1, -1))
    # float32 inside the models: 1e-6 of the log-odds over a step of 0.02.
    np.testing.assert_allclose(found, (up - down) / 0.02, atol=2e-3)


def test_a_model_without_a_gradient_is_walked_by_its_answers() -> None:
    X, y, group = blobs(n_groups=60, n_features=6, shift=3.0, seed=2)
    model = make_model("rf", profile="quick", seed=0, overrides={"n_trees": 30}).fit(X, y, groups=group)
    spread = X.std(axis=0, dtype=np.float64)
    move = cf.answers_slope(X, model.predict_p_fake(X), spread)
    assert np.argmax(np.abs(move / spread)) == 0  # fakes are shifted along the first number
    assert move[0] > 0
    real = X[(y == 0) & (model.predict_p_fake(X) < 0.3)][0]
    found = cf.walk(model.predict_p_fake, real, move, rule=RULE, n_steps=5)
    assert found.flip is not None


def test_rules_and_stops_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        cf.Rule(0.3, 0.4, 0.6)
    with pytest.raises(ValueError, match="3 stops"):
        cf.walk(lambda X: np.zeros(len(X)), np.zeros(2, np.float32), np.ones(2), rule=RULE, n_steps=2)
