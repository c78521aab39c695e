from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from classifiers.boost import BoostSettings
from classifiers.forest import equal_prior
from classifiers.logistic import LogisticSettings
from classifiers.models import MODEL_NAMES, PROFILES, make_model
from classifiers.network import Network
from classifiers.protocol import Classifier
from classifiers.rotation import Rotation
from classifiers.scaling import Standardiser
from tests.classifiers.helpers import blobs

# Small networks and forests: what is tested does not depend on their size.
SMALL = {
    "rf": {"n_trees": 40},
    "logistic": {"c_grid": (1e-3, 1e-1)},
    "mlp2": {"hidden": (32,), "learning_rate": 3e-3},
    "mlp5": {"hidden": (32, 16, 16, 16), "learning_rate": 3e-3},
    "svm_linear": {"c_grid": (1e-3, 1e-1)},
    "svm_rbf": {"c_grid": (1.0,)},
    "gboost": {"n_trees": 40},
    "stack": {"logistic": LogisticSettings(c_grid=(1e-3, 1e-1)), "gboost": BoostSettings(n_trees=20)},
}


def small(name: str, **more):
    return make_model(name, profile="quick", seed=0, overrides=SMALL[name] | more)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_learns_generalises_and_points_the_right_way(name):
    X, y, group = blobs(40, shift=2.5)
    X_new, y_new, _ = blobs(40, shift=2.5, seed=1)
    model = small(name)
    assert isinstance(model, Classifier)
    p = model.fit(X, y, groups=group).predict_p_fake(X_new)
    assert p.dtype == np.float64
    assert p.shape == (len(X_new),)
    assert ((p >= 0) & (p <= 1)).all()
    # One feature, two unit Gaussians (deviation sqrt(1.25) with the group part) 2.5 apart: AUC 0.943 at best.
    # Trees cut across a direction that their principal components have turned.
    assert roc_auc_score(y_new, p) > (0.75 if name == "gboost" else 0.85)
    assert model.n_features == X.shape[1]
    assert model.info["n_groups_train"] == 40


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_same_seed_same_answer_and_global_random_state_untouched(name):
    X, y, group = blobs()
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = small(name).fit(X, y, groups=group).predict_p_fake(X)
    again = small(name).fit(X, y, groups=group).predict_p_fake(X)
    assert (first == again).all()
    assert torch.equal(torch_state, torch.get_rng_state())
    assert (numpy_state == np.random.get_state()[1]).all()  # noqa: NPY002


@pytest.mark.parametrize("name", ["rf", "mlp2", "mlp5"])
def test_the_seed_reaches_the_model(name):
    X, y, group = blobs()
    p = [
        make_model(name, profile="quick", seed=s, overrides=SMALL[name]).fit(X, y, groups=group).predict_p_fake(X)
        for s in (0, 1)
    ]
    assert (p[0] != p[1]).any()


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_an_item_alone_scores_as_in_a_batch(name):
    X, y, group = blobs()
    model = small(name).fit(X, y, groups=group)
    alone = np.concatenate([model.predict_p_fake(X[i : i + 1]) for i in range(10)])
    # float32 products are summed in another order for other batch shapes; forests are exact.
    np.testing.assert_allclose(alone, model.predict_p_fake(X)[:10], atol=0 if name == "rf" else 1e-6)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_bad_input_is_one_clear_error(name):
    X, y, group = blobs(6)
    model = small(name)
    with pytest.raises(ValueError, match="not trained yet"):
        model.predict_p_fake(X)
    with pytest.raises(ValueError, match="got 24 real and 0 fake"):
        model.fit(X, np.zeros(24), groups=group)
    broken = X.copy()
    broken[3, 1], broken[5, 0] = np.nan, np.inf
    with pytest.raises(ValueError, match=r"2 of 24 feature rows hold NaN or infinity \(the first is row 3\)"):
        model.fit(broken, y, groups=group)
    with pytest.raises(ValueError, match="source group per item"):
        model.fit(X, y, groups=group[:-1])
    with pytest.raises(ValueError, match="sum to zero"):
        model.fit(X, y, groups=group, sample_weight=(y == 1).astype(float))
    model.fit(X, y, groups=group)
    with pytest.raises(ValueError, match="trained on 12 features per item, got 11"):
        model.predict_p_fake(X[:, :-1])
    with pytest.raises(ValueError, match=r"shape \[n, d\]"):
        model.predict_p_fake(X[0])


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_constant_features_give_the_balanced_answer(name):
    _, y, group = blobs(10)
    X = np.full((len(y), 5), 7.7, dtype=np.float32)
    keep = np.ones(len(y), dtype=bool)
    keep[np.flatnonzero(y == 0)[::2]] = False  # twice as many fakes as reals
    p = small(name).fit(X[keep], y[keep], groups=group[keep]).predict_p_fake(X)
    # A forest's bootstrap of 30 rows and a network stopped early are off by a little; a class share would be 0.67.
    np.testing.assert_allclose(p, 0.5, atol=0.06)


def test_equal_prior_closed_form():
    np.testing.assert_allclose(equal_prior(np.array([0.0, 0.7, 1.0]), share_fake=0.7), [0, 0.5, 1])
    np.testing.assert_allclose(equal_prior(np.array([0.2, 0.9]), share_fake=0.5), [0.2, 0.9])


def test_standardiser_equals_scikit_learn():
    rng = np.random.default_rng(0)
    # Means 1000 times the deviations: a one-pass variance would be wrong in float32.
    X = (1000 + rng.normal(size=(3000, 7))).astype(np.float32)
    X[:, 3] = 123.456
    ours, theirs = Standardiser.fit(X), StandardScaler().fit(X.astype(np.float64))
    np.testing.assert_allclose(ours.mean, theirs.mean_, rtol=1e-6)
    np.testing.assert_allclose(ours.scale, theirs.scale_, rtol=1e-6)
    np.testing.assert_allclose(Standardiser.fit(X, rows=np.arange(9)).mean, X[:9].mean(axis=0), rtol=1e-6)


@pytest.mark.parametrize(("n_groups", "n_features"), [(40, 12), (10, 300)])
@pytest.mark.parametrize("C", [1e-3, 1e-1, 1.0])
def test_logistic_equals_scikit_learn_on_the_unrotated_rows(n_groups, n_features, C):
    X, y, group = blobs(n_groups, n_features)
    weights = np.random.default_rng(0).uniform(0.2, 2, len(y))
    model = make_model("logistic", seed=0, overrides={"c_grid": (C,), "balanced": False})
    p = model.fit(X, y, groups=group, sample_weight=weights).predict_p_fake(X)
    scaled = StandardScaler().fit_transform(X.astype(np.float64))
    reference = LogisticRegression(C=C, tol=1e-8, max_iter=5000)
    reference.fit(scaled, y, sample_weight=weights / weights.mean())
    # Both stop near the minimum of a convex function; ours works in float32 with gradient tolerance 1e-5.
    np.testing.assert_allclose(p, reference.predict_proba(scaled)[:, 1], atol=2e-3)


def test_rotation_is_exact():
    X, y, _ = blobs(10, 300)
    rows = Standardiser.fit(X).apply(X)
    rotation = Rotation.of(rows)
    assert rotation is not None
    assert rotation.Z.shape[1] < len(X)  # centred rows: at most n - 1 directions
    np.testing.assert_allclose(rotation.Z @ rotation.Z.T, rows @ rows.T, atol=1e-2)  # sums of 300 float32 products
    direct, short = (LogisticRegression(C=0.01, tol=1e-6).fit(Z, y).coef_[0] for Z in (rows, rotation.Z))
    np.testing.assert_allclose(rotation.to_features(short, rows), direct, atol=2e-4)
    assert Rotation.of(rows[:, :5]) is None


def test_logistic_chooses_strong_regularisation_on_noise_and_weak_on_signal():
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(40), 4)
    y = np.tile([0, 0, 1, 1], 40)
    noise = rng.normal(size=(160, 200)).astype(np.float32)
    grid = (1e-5, 1e-3, 1e-1, 10.0)
    chosen = make_model("logistic", seed=0, overrides={"c_grid": grid}).fit(noise, y, groups=group).info["C"]
    assert chosen <= 1e-3
    X, y, group = blobs(60, 3, shift=4)
    info = make_model("logistic", seed=0, overrides={"c_grid": grid}).fit(X, y, groups=group).info
    assert info["C"] >= 1e-1
    assert info["C_source"] == "inner grouped 4-fold"
    assert info["converged"]


@pytest.mark.parametrize("name", ["logistic", "mlp2"])
def test_too_few_groups_fall_back_and_say_so(name):
    X, y, _ = blobs(6)
    group = np.where(y == 0, "only_real", np.arange(len(y)).astype(str))
    model = small(name).fit(X, y, groups=group)
    note = model.info["C_source"] if name == "logistic" else model.info["early_stopping"]
    assert "fewer than two source groups" in note
    assert model.info.get("C", 0.01) == 0.01


def test_early_stopping_restores_the_best_state():
    X, y, group = blobs(30, 40, shift=1.0)
    model = small("mlp2", n_epochs=60, patience=5, dropout=0.0, learning_rate=1e-2)
    assert isinstance(model, Network)
    model.fit(X, y, groups=group)
    info = model.info
    assert info["epochs_run"] == info["best_epoch"] + 5  # 24 training groups in 40 dimensions: it overfits in 60 epochs
    rerun = small("mlp2", n_epochs=info["best_epoch"], patience=5, dropout=0.0, learning_rate=1e-2)
    rerun.fit(X, y, groups=group)
    assert (rerun.predict_p_fake(X) == model.predict_p_fake(X)).all()


def test_the_span_of_few_rows_replaces_many_features():
    X, y, group = blobs(30, 400, shift=3)
    held = np.arange(len(y)) % 3 == 0  # whole rows only matter here
    model = small("mlp2").fit(X[~held], y[~held], groups=group[~held])
    assert model.info["n_inputs"] == model.info["n_train"] - 1  # centred rows
    assert model.predict_p_fake(X[held]).shape == (40,)
    # A shift of all rows outside the training rows' span changes nothing, as it cannot be learnt about.
    assert isinstance(model, Network)
    scaled = model.scaler.apply(X[~held])
    outside = np.linalg.svd(scaled.astype(np.float64))[2][-1].astype(np.float32) * model.scaler.scale
    moved = model.predict_p_fake(X[~held] + 10 * outside)
    np.testing.assert_allclose(moved, model.predict_p_fake(X[~held]), atol=1e-4)  # float32, 400 products
    assert small("mlp2", rotate=False).fit(X, y, groups=group).info["n_inputs"] == 400


def test_dropout_is_off_in_prediction_and_matters_in_training():
    X, y, group = blobs()
    model = small("mlp2", dropout=0.5).fit(X, y, groups=group)
    assert (model.predict_p_fake(X) == model.predict_p_fake(X)).all()
    plain = small("mlp2", dropout=0.0).fit(X, y, groups=group)
    assert (plain.predict_p_fake(X) != model.predict_p_fake(X)).any()


def test_paper_profile_is_the_papers():
    forest = PROFILES["rf"]["paper"]
    assert (forest.n_trees, forest.balanced) == (1500, False)
    for name, hidden in {"logistic": (), "mlp2": (512,), "mlp5": (2048, 512, 512, 512)}.items():
        s = PROFILES[name]["paper"]
        assert (s.hidden, s.optimiser, s.learning_rate, s.patience) == (hidden, "sgd", 5e-4, None)
    # SGD at 5e-4 needs the paper's thousands of features to get anywhere in 100 epochs of few videos.
    X, y, group = blobs(30, 4000, shift=3)
    model = make_model("logistic", profile="paper", seed=0).fit(X, y, groups=group)
    assert model.info["epochs_run"] == 100
    assert model.info["final_train_log_loss"] < np.log(2) / 2  # chance is log 2


def test_paper_forest_equals_scikit_learns():
    X, y, group = blobs(10)
    p = make_model("rf", profile="paper", seed=5, overrides={"n_trees": 30}).fit(X, y, groups=group).predict_p_fake(X)
    reference = RandomForestClassifier(n_estimators=30, criterion="gini", random_state=5).fit(X, y)
    np.testing.assert_allclose(p, reference.predict_proba(X)[:, 1], atol=1e-12)


def test_one_sgd_step_of_the_papers_logistic_is_the_closed_form():
    X, y, group = blobs(4)
    s = {"n_epochs": 1, "batch_size": len(y)}
    one = make_model("logistic", profile="paper", seed=0, overrides=s | {"learning_rate": 0.5}).fit(X, y, groups=group)
    start = make_model("logistic", profile="paper", seed=0, overrides=s | {"learning_rate": 1e-30})
    start.fit(X, y, groups=group)
    assert isinstance(one, Network)
    assert isinstance(start, Network)
    w0, b0 = (v.detach().double().numpy() for v in start.network.parameters())
    scaled = StandardScaler().fit_transform(X.astype(np.float64))
    residual = 1 / (1 + np.exp(-(scaled @ w0[0] + b0))) - y
    w1, b1 = (v.detach().double().numpy() for v in one.network.parameters())
    np.testing.assert_allclose(w1[0], w0[0] - 0.5 * residual @ scaled / len(y), atol=1e-6)  # float32
    np.testing.assert_allclose(b1, b0 - 0.5 * residual.mean(), atol=1e-6)


def test_divergence_is_an_error():
    X, y, group = blobs()
    s = {"hidden": (16, 16), "optimiser": "sgd", "learning_rate": 1e30, "n_epochs": 5}
    with pytest.raises(ValueError, match="diverged in epoch"):
        make_model("mlp2", seed=0, overrides=s).fit(X, y, groups=group)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: make_model("svm", seed=0), "Unknown model 'svm'"),
        (lambda: make_model("rf", profile="best", seed=0), "Unknown profile 'best'"),
        (lambda: make_model("rf", seed=0, overrides={"trees": 3}), "no setting trees: it has balanced, n_trees"),
        (lambda: make_model("rf", seed=0, overrides={"n_trees": 0}), "at least 1 tree"),
        (lambda: make_model("rf", seed=-1), r"seed from 0 to 2\*\*32"),
        (lambda: make_model("mlp2", seed=0, device="tpu9000"), "Unknown device"),
        (lambda: make_model("mlp2", seed=0, overrides={"dropout": 1.0}), r"dropout in \[0, 1\)"),
        (lambda: make_model("logistic", seed=0, overrides={"c_grid": (0.0,)}), "positive values of C"),
    ],
)
def test_settings_are_checked(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_agrees_with_cpu():
    X, y, group = blobs(40, shift=2.5)
    s = SMALL["mlp2"] | {"dropout": 0.0}
    on = {d: make_model("mlp2", seed=0, device=d, overrides=s).fit(X, y, groups=group) for d in ("cpu", "cuda")}
    # Same start and batches, other order of float32 sums, over some hundred steps.
    np.testing.assert_allclose(on["cuda"].predict_p_fake(X), on["cpu"].predict_p_fake(X), atol=1e-2)
