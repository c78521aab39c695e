"""What support vector machines, boosting, stacking, fused spaces and frame balancing promise."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC, LinearSVC

from classifiers import svm
from classifiers.balance import balanced_rows
from classifiers.blend import fit_blend
from classifiers.crossval import cross_validate, holdout
from classifiers.logistic import LogisticSettings
from classifiers.models import make_model, model_factory
from classifiers.scaling import Standardiser, block_weights
from classifiers.splits import grouped_folds
from tests.classifiers.helpers import blobs


def test_the_linear_machine_is_the_minimum_that_liblinear_finds():
    X, y, _ = blobs(30, 12, shift=1.0)
    Z = Standardiser.fit(X).apply(X)
    weights = np.random.default_rng(0).uniform(0.2, 2, len(y))
    problem = svm._Linear(Z, y)
    ours = problem.machine(problem.solve(weights, C=0.01))
    # liblinear penalises the intercept as one more weight; scaled by 1000, that penalty is a millionth.
    theirs = LinearSVC(C=0.01, dual=False, intercept_scaling=1000, tol=1e-10, max_iter=10_000)
    theirs.fit(Z.astype(np.float64), y, sample_weight=weights)
    np.testing.assert_allclose(ours.coef, theirs.coef_[0], atol=1e-3)  # float32 products here
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=3e-3)


@pytest.mark.parametrize("is_kernel_known", [True, False])
def test_the_rbf_machine_answers_as_scikit_learns(is_kernel_known, monkeypatch):
    X, y, _ = blobs(30, 12)
    monkeypatch.setattr(svm, "KERNEL_ROWS", len(X) if is_kernel_known else 1)
    problem = svm._Rbf(X, y, gamma=0.05)
    found = problem.solve(np.ones(len(y)), C=2.0)
    theirs = SVC(C=2.0, kernel="rbf", gamma=0.05).fit(X, y).decision_function(X)
    some = np.arange(len(y)) % 3 == 0
    np.testing.assert_allclose(problem.distance(found, some), theirs[some], atol=1e-5)
    np.testing.assert_allclose(problem.machine(found).distance(X), theirs, atol=1e-5)  # stored in float32


def test_beyond_the_kernels_rows_an_rbf_machine_works_on_principal_components(monkeypatch):
    few, y, group = blobs(40, 6, shift=4.0)
    X = few @ np.random.default_rng(0).normal(size=(6, 60)).astype(np.float32)
    whole = make_model("svm_rbf", profile="quick", seed=0).fit(X, y, groups=group)
    monkeypatch.setattr(svm, "KERNEL_ROWS", 50)
    cut = make_model("svm_rbf", profile="quick", seed=0, overrides={"n_components": 8}).fit(X, y, groups=group)
    assert (whole.info["n_inputs"], cut.info["n_inputs"]) == (60, 8)
    assert "directions" not in whole.arrays()
    assert cut.arrays()["directions"].shape == (60, 8)
    for model in (whole, cut):
        assert {k: v.shape for k, v in model.arrays().items()} == model.shapes()
        assert roc_auc_score(y, model.predict_p_fake(X)) > 0.9


def test_a_blend_is_platts_and_turns_no_score_round():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 400)
    weights = rng.uniform(0.5, 2, 400)
    score = 3 * y + 4 * rng.normal(size=400) + 50
    blend = fit_blend(score, y, weights)
    n = np.bincount(y)
    target = np.where(y == 1, (n[1] + 1) / (n[1] + 2), 1 / (n[0] + 2))
    twice = LogisticRegression(C=1e9, tol=1e-10, max_iter=10_000)
    both = np.r_[score, score][:, None] - 50
    twice.fit(both, np.repeat([1, 0], 400), sample_weight=np.r_[weights * target, weights * (1 - target)])
    np.testing.assert_allclose(blend.apply(score), twice.predict_proba(both[:400])[:, 1], atol=1e-4)
    turned = fit_blend(np.column_stack([score, -score]), y, weights)
    assert turned.slopes[1] == 0
    assert turned.slopes[0] > 0
    assert fit_blend(-score, y, weights).is_blind
    assert fit_blend(np.full(400, 7.0), y, weights).is_blind


def test_boosted_trees_answer_as_scikit_learns():
    X, y, group = blobs(40, 12)
    settings = {"n_trees": 30, "val_fraction": None, "balanced": False}
    model = make_model("gboost", profile="quick", seed=0, overrides=settings).fit(X, y, groups=group)
    Z = model.scaler.apply(X) @ model.directions
    theirs = HistGradientBoostingClassifier(
        max_iter=30, learning_rate=0.1, max_leaf_nodes=8, min_samples_leaf=10, l2_regularization=1.0, random_state=0
    ).fit(Z, y)
    np.testing.assert_allclose(model.predict_p_fake(X), theirs.predict_proba(Z)[:, 1], atol=1e-9)


@pytest.mark.parametrize("name", ["svm_linear", "svm_rbf", "gboost", "stack"])
def test_noise_that_can_be_learnt_by_heart_gives_no_sure_answers(name):
    """100 rows in 400 dimensions part perfectly; answers learnt on rows seen in training would be 0 and 1."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(100, 400)).astype(np.float32)
    y, group = np.tile([0, 1], 50), np.repeat(np.arange(25), 4)
    settings = {"logistic": LogisticSettings(c_grid=(1.0,))} if name == "stack" else {}
    model = make_model(name, profile="quick", seed=0, overrides=settings).fit(X, y, groups=group)
    new = model.predict_p_fake(rng.normal(size=(200, 400)).astype(np.float32))
    assert np.abs(new - 0.5).mean() < 0.15


@pytest.mark.parametrize("name", ["svm_linear", "gboost", "stack"])
def test_too_few_groups_fall_back_and_say_so(name):
    X, y, _ = blobs(6)
    group = np.where(y == 0, "only_real", np.arange(len(y)).astype(str))
    info = make_model(name, profile="quick", seed=0).fit(X, y, groups=group).info
    assert "fewer than two source groups" in str(info)


def test_parts_of_a_fused_space_weigh_as_the_root_of_their_width():
    weights = block_weights((16, 4), n_features=20)
    np.testing.assert_allclose([(weights[:16] ** 2).sum(), (weights[16:] ** 2).sum()], [40 / 3, 20 / 3])
    X, _, _ = blobs(30, 10)
    Z = Standardiser.fit(X, blocks=(8, 2)).apply(X)
    np.testing.assert_allclose([Z[:, :8].var(axis=0).sum(), Z[:, 8:].var(axis=0).sum()], [20 / 3, 10 / 3], rtol=1e-4)
    with pytest.raises(ValueError, match=r"add up to 10 features, got 8\+3"):
        Standardiser.fit(X, blocks=(8, 3))


@pytest.mark.parametrize("name", ["logistic", "svm_linear", "stack"])
def test_a_long_part_does_not_drown_a_short_one(name):
    rng = np.random.default_rng(0)
    short, y, group = blobs(40, 4, shift=2.0)
    new, y_new, _ = blobs(40, 4, shift=2.0, seed=1)
    noise = rng.normal(size=(2, len(y), 3000)).astype(np.float32)
    X, X_new = np.concatenate([noise[0], short], axis=1), np.concatenate([noise[1], new], axis=1)

    def auc(blocks):
        model = make_model(name, profile="quick", seed=0, blocks=blocks).fit(X, y, groups=group)
        return roc_auc_score(y_new, model.predict_p_fake(X_new))

    assert auc((3000, 4)) > 0.85
    assert auc(()) < 0.75


def test_as_many_frames_of_each_class_are_drawn_evenly_over_videos():
    # York: 40 frames of a real and 8 of a fake video would balance 5 fakes per real; here 2 fakes of 30 frames each.
    video = np.repeat(["r0", "r1", "f0", "f1", "f2", "f3"], [10, 10, 30, 30, 30, 3])
    y = np.char.startswith(video, "f").astype(int)
    rows = balanced_rows(y, video, seed=0)
    assert (np.bincount(y[rows]) == [20, 20]).all()
    assert len(set(rows.tolist())) == 40
    counts = dict(zip(*np.unique(video[rows], return_counts=True), strict=True))
    assert counts["r0"] == counts["r1"] == 10
    assert counts["f3"] == 3
    assert sorted(counts[f] for f in ("f0", "f1", "f2")) == [5, 6, 6]
    assert (balanced_rows(y, video, seed=0) == rows).all()
    assert (balanced_rows(y, video, seed=1) != rows).any()


def test_frames_are_balanced_in_training_and_every_row_is_judged():
    X, y, group = blobs(24, per_class=2)
    keep = (y == 1) | (np.arange(len(y)) % 4 == 0)  # two fakes per real
    X, y, group = X[keep], y[keep], group[keep]
    fold = grouped_folds(group, y, n_folds=3, seed=0)
    factory = model_factory("logistic", profile="quick", seed=0, overrides={"balanced": False})

    def choose(rows):
        return rows[balanced_rows(y[rows], group[rows], seed=0)]

    parts = list(cross_validate(X, y, group, fold, model_factory=factory, choose_rows=choose))
    assert sorted(np.concatenate([p.rows for p in parts]).tolist()) == list(range(len(y)))
    assert [p.model.info["share_fake_train"] for p in parts] == [0.5] * 3
    assert [p.model.info["n_train"] for p in parts] == [32] * 3
    split = np.where(fold == 0, "test", "train")
    assert holdout(X, y, group, split, model=factory(0), choose_rows=choose).model.info["share_fake_train"] == 0.5


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("logistic", {"c_grid": (1e-3, 1e-2), "n_inner_folds": 2}),
        ("svm_linear", {"c_grid": (1e-3,), "n_inner_folds": 2}),
        ("gboost", {"n_trees": 3, "n_components": 4}),
    ],
)
def test_a_big_matrix_is_held_once_beside_itself(name, settings):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(12_000, 200)).astype(np.float32)
    y, group = np.arange(12_000) % 2, np.arange(12_000) // 4
    factory = model_factory(name, profile="quick", seed=0, overrides=settings)
    tracemalloc.start()
    try:
        next(iter(cross_validate(X, y, group, group % 5, model_factory=factory)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Four fifths of X for the fold, 0.3 X for chunks of 1,024 rows in float64, 0.3 X of Python's own numbers and names;
    # one more copy of the fold would make 2.2.
    assert peak < 1.6 * X.nbytes


def test_fit_leaves_the_callers_matrix_alone():
    X, y, group = blobs()
    before = X.copy()
    for name in ("logistic", "svm_linear", "svm_rbf", "gboost", "stack"):
        make_model(name, profile="quick", seed=0).fit(X, y, groups=group)
        list(cross_validate(X, y, group, group % 2, model_factory=model_factory(name, profile="quick", seed=0)))
        assert (before == X).all(), name
