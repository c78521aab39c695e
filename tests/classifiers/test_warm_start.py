"""Warm starts and extra training items."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from classifiers.augment import ExtraItems, with_extra
from classifiers.crossval import cross_validate
from classifiers.linear_start import Solution, solve_from
from classifiers.metrics import Scores
from classifiers.models import make_model, model_factory
from classifiers.persist import load_model, save_model
from classifiers.splits import grouped_folds
from classifiers.warm_start import warm_started
from tests.classifiers.helpers import blobs


def auc(y: np.ndarray, p: np.ndarray) -> float:
    scores = Scores.of(y, p, np.zeros(len(y), dtype=np.int64))
    return float(scores.evaluate(np.ones((1, 1), dtype=np.int64))["roc_auc"][0])


def test_the_solver_finds_what_a_plain_minimiser_finds() -> None:
    """Against L2 towards w0 written out for w itself; both stop at gradients of about 1e-6."""
    rng = np.random.default_rng(0)
    Z, y, a, w0 = rng.normal(size=(40, 6)), rng.integers(0, 2, 40), rng.random(40) + 0.5, rng.normal(size=6)
    C, sign = 0.3, 2 * y - 1

    def objective(x: np.ndarray) -> float:
        return 0.5 * np.sum((x[:-1] - w0) ** 2) + C * a @ np.logaddexp(0, -sign * (Z @ x[:-1] + x[-1]))

    plain = minimize(objective, np.zeros(7), method="BFGS", options={"gtol": 1e-7}).x
    found = solve_from(Z.astype(np.float64), y, a, Z @ w0, C=C, start=Solution(np.zeros(6), 0.0, converged=False))
    np.testing.assert_allclose(found.change + w0, plain[:-1], atol=1e-4)
    assert found.intercept == pytest.approx(plain[-1], abs=1e-4)


@pytest.mark.parametrize(("name", "gain"), [("logistic", 0.03), ("mlp2", 0.01)])
def test_few_groups_gain_from_a_model_of_other_groups(name: str, gain: float) -> None:
    X, y, group = blobs(n_groups=260, n_features=60, shift=1.5, seed=3)
    other, few, rest = group < 160, (group >= 160) & (group < 170), group >= 170
    settings = {"hidden": (16,)} if name == "mlp2" else {}
    given = make_model(name, profile="quick", seed=0, overrides=settings).fit(X[other], y[other], groups=group[other])
    cold = make_model(name, profile="quick", seed=1, overrides=settings)
    warm = warm_started(make_model(name, profile="quick", seed=1, overrides=settings), given)
    cold.fit(X[few], y[few], groups=group[few])
    warm.fit(X[few], y[few], groups=group[few])
    assert auc(y[rest], warm.predict_p_fake(X[rest])) > auc(y[rest], cold.predict_p_fake(X[rest])) + gain


def test_new_material_that_says_the_opposite_is_believed_where_there_is_enough() -> None:
    X, y, group = blobs(n_groups=160, shift=1.5, seed=4)
    first, second, rest = group < 40, (group >= 40) & (group < 120), group >= 120
    given = make_model("logistic", profile="quick", seed=0).fit(X[first], 1 - y[first], groups=group[first])
    warm = warm_started(make_model("logistic", profile="default", seed=0), given)
    warm.fit(X[second], y[second], groups=group[second])
    assert auc(y[rest], given.predict_p_fake(X[rest])) < 0.3
    assert auc(y[rest], warm.predict_p_fake(X[rest])) > 0.75


def test_what_does_not_fit_is_refused(tmp_path) -> None:
    X, y, group = blobs()
    trained = make_model("logistic", profile="quick", seed=0).fit(X, y, groups=group)
    network = make_model("mlp2", profile="quick", seed=0, overrides={"hidden": (4,), "n_epochs": 1})
    network.fit(X, y, groups=group)
    with pytest.raises(ValueError, match="not trained"):
        warm_started(trained, make_model("logistic", seed=0))
    with pytest.raises(ValueError, match="cannot start from"):
        warm_started(make_model("rf", seed=0), trained)
    with pytest.raises(ValueError, match="cannot start from"):
        warm_started(make_model("mlp2", seed=0), trained)
    with pytest.raises(ValueError, match="hidden layers"):
        warm_started(make_model("mlp2", seed=0), network)
    for model in (trained, network):
        fresh = make_model(model.name, profile="quick", seed=1, overrides={} if model is trained else {"hidden": (4,)})
        with pytest.raises(ValueError, match="12 features per item, got 5"):
            warm_started(fresh, model).fit(X[:, :5], y, groups=group)
    save_model(warm_started(make_model("logistic", profile="quick", seed=1), trained).fit(X, y, groups=group),
               tmp_path / "m", metadata={})  # fmt: skip
    assert "start" in load_model(tmp_path / "m").info


class Spy:
    """Records what it is trained on."""

    name, n_features = "spy", 12

    def __init__(self, log: list) -> None:
        self.log, self.info = log, {}

    def fit(self, X, y, *, groups, sample_weight=None):
        self.log.append((np.asarray(X), np.asarray(y), list(groups), sample_weight))
        return self

    def predict_p_fake(self, X):
        return np.full(len(X), 0.5)


def test_extra_items_train_with_their_group_and_nowhere_else() -> None:
    X, y, group = blobs(n_groups=10)
    names = np.array([f"g{g}" for g in group])
    extra = ExtraItems.of(np.full((10, 12), 7.0), np.ones(10, int), [f"g{g}" for g in range(10)])
    log: list = []
    fold = grouped_folds(names, y, n_folds=5, seed=0)
    parts = list(cross_validate(X, y, names, fold, model_factory=with_extra(lambda _: Spy(log), extra)))
    assert sorted(np.concatenate([p.rows for p in parts]).tolist()) == list(range(len(y))), "only real rows are judged"
    for part, (seen, labels, groups, weights) in zip(parts, log, strict=True):
        added = seen[:, 0] == 7
        held = set(names[part.rows])
        assert added.sum() == 10 - len(held)
        assert not held & set(groups)
        assert labels[added].all()
        assert len(weights) == len(labels) == len(groups)
        assert part.model.info["n_extra_train"] == 10 - len(held)


def test_without_extra_items_nothing_is_wrapped() -> None:
    factory = model_factory("logistic", seed=0)
    assert with_extra(factory, None) is factory
