from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from classifiers.crossval import cross_validate, holdout
from classifiers.importance import ImportanceSettings, channel_importance
from classifiers.models import make_model, model_factory
from classifiers.splits import LeakError, SplitError, grouped_folds, three_way_split
from tests.classifiers.helpers import blobs


class Spy:
    """Remembers which groups it was trained on, by a feature that holds the group number."""

    name, info, n_features = "spy", {}, 1

    def fit(self, X, y, *, groups, sample_weight=None):
        self.seen = set(X[:, 0].tolist())
        return self

    def predict_p_fake(self, X):
        return np.array([float(v in self.seen) for v in X[:, 0].tolist()])


def test_no_item_is_judged_by_a_model_that_saw_its_group():
    _, y, group = blobs(20)
    fold = grouped_folds(group, y, n_folds=4, seed=0)
    X = group[:, None].astype(np.float32)
    results = list(cross_validate(X, y, group, fold, model_factory=lambda k: Spy()))
    assert sum(r.p_fake.sum() for r in results) == 0
    assert sorted(np.concatenate([r.rows for r in results]).tolist()) == list(range(len(y)))


def test_a_leak_stops_before_training():
    X, y, group = blobs(6)
    with pytest.raises(LeakError, match="6 of 6 source groups"):
        cross_validate(X, y, group, np.arange(len(y)) % 2, model_factory=lambda k: pytest.fail("trained"))
    with pytest.raises(ValueError, match="at least 2 folds"):
        cross_validate(X, y, group, np.zeros(len(y)), model_factory=lambda k: Spy())
    with pytest.raises(ValueError, match="Without fold 0 the training rows hold one class only"):
        cross_validate(X, np.repeat([0, 1], 12), group, np.repeat([0, 1], 12), model_factory=lambda k: Spy())


def test_out_of_fold_scores_and_projection_inside_the_fold():
    X, y, group = blobs(40, 60, shift=3)
    fold = grouped_folds(group, y, n_folds=4, seed=0)
    fitted = []

    def projector(k):
        class Watched(PCA):
            def fit(self, X, y=None):
                fitted.append(len(X))
                return super().fit(X)

        return Watched(10, random_state=k)

    p = np.full(len(y), np.nan)
    factory = model_factory("logistic", profile="quick", seed=0)
    for r in cross_validate(X, y, group, fold, model_factory=factory, projector_factory=projector):
        p[r.rows] = r.p_fake
        assert r.model.n_features == 10
    assert roc_auc_score(y, p) > 0.9
    assert fitted == [120] * 4  # never a held-out row


def test_holdout_trains_on_train_only():
    X, y, group = blobs(20)
    split = three_way_split(group, y, seed=0)
    marked = group[:, None].astype(np.float32)
    seen = holdout(marked, y, group, split, model=Spy()).p_fake
    assert (seen == (split == "train")).all()
    result = holdout(X, y, group, split, model=make_model("logistic", profile="quick", seed=0))
    alone = make_model("logistic", profile="quick", seed=0)
    rows = split == "train"
    alone.fit(X[rows], y[rows], groups=group[rows])
    assert (result.p_fake == alone.predict_p_fake(X)).all()
    with pytest.raises(LeakError):
        holdout(X, y, group, np.where(np.arange(len(y)) % 2, "train", "test"), model=Spy())
    with pytest.raises(ValueError, match="got also eval"):
        holdout(X, y, group, ["eval"] * len(y), model=Spy())
    with pytest.raises(ValueError, match="stands in the split 'train'"):
        holdout(X, y, group, ["test"] * len(y), model=Spy())


def planted(n_groups: int = 30, n_channels: int = 4, told: int = 2, *, per_group=(0, 0, 1, 1, 1, 1)):
    """W+ codes whose channel ``told`` alone tells the label; twice as many fakes as reals."""
    rng = np.random.default_rng(0)
    y = np.tile(per_group, n_groups)
    group = np.repeat(np.arange(n_groups), len(per_group))
    video = group * 10 + np.tile(np.cumsum(np.arange(len(per_group)) % 2 == 0), n_groups)
    wplus = rng.normal(size=(len(y), n_channels, 8)).astype(np.float32)
    wplus += 0.8 * rng.normal(size=(n_groups, n_channels, 8))[group].astype(np.float32)
    wplus[:, told, 0] += 4.0 * y
    return wplus, y, group, video


QUICK = ImportanceSettings(n_trees=20, n_repeats=2, n_boot=200)


def test_the_planted_channel_stands_out_and_the_rest_is_chance():
    wplus, y, group, video = planted()
    rows = list(channel_importance(wplus, y, group, videos=video, settings=QUICK))
    assert [r.channel for r in rows] == [0, 1, 2, 3]
    for row in rows:
        assert row.ci_low <= row.value <= row.ci_high
        assert row.majority_share == pytest.approx(2 / 3)
        # 90 videos: balanced accuracy of noise has a deviation of about 0.055.
        assert row.null_value == pytest.approx(0.5, abs=0.17)
        if row.channel == 2:
            assert row.value > 0.85
            assert row.ci_low > row.null_value
        else:
            assert row.value == pytest.approx(0.5, abs=0.17)


def test_accuracy_and_auc_are_choices_and_seeds_repeat():
    wplus, y, group, _ = planted(12, 2, 1)
    by_metric = {}
    for metric in ("accuracy", "balanced_accuracy", "roc_auc"):
        s = ImportanceSettings(metric=metric, n_trees=10, n_repeats=1, n_boot=50)
        by_metric[metric] = list(channel_importance(wplus, y, group, settings=s))
        assert by_metric[metric] == list(channel_importance(wplus, y, group, settings=s))
    # Accuracy of a channel that tells nothing is near the majority share, not near one half.
    assert by_metric["accuracy"][0].value == pytest.approx(2 / 3, abs=0.1)
    assert len({rows[1].value for rows in by_metric.values()}) == 3


def test_importance_uses_the_given_model_and_all_labels_agree_with_it():
    wplus, y, group, _ = planted(10, 1, 0)

    class Oracle:
        name, info, n_features = "oracle", {}, None

        def fit(self, X, y, *, groups, sample_weight=None):
            return self

        def predict_p_fake(self, X):
            return (X[:, 0] > 2).astype(float)

    row = next(channel_importance(wplus, y, group, settings=QUICK, model_factory=lambda seed: Oracle()))
    assert row.value == pytest.approx(balanced_accuracy_score(y, wplus[:, 0, 0] > 2))


def test_shuffling_keeps_frames_of_a_video_together():
    from classifiers.importance import _shuffled, _units

    _, y, group, video = planted()
    fold = grouped_folds(group, y, n_folds=3, seed=0)
    for unit in (_units(y, group, video), _units(y, group, None)):
        shuffled = _shuffled(y, unit, group, fold, seed=1)
        assert (shuffled != y).any()
        for u in np.unique(unit):
            assert len(set(shuffled[unit == u])) == 1
    with pytest.raises(ValueError, match="hold both labels"):
        _units(y, group, group)


def test_shuffling_leaves_the_mix_of_classes_in_groups():
    """Else a fold's share of fakes would be the opposite of its training rows', and the null fall below chance."""
    from classifiers.importance import _shuffled

    video = np.arange(60)
    group, y = video // 3, (video % 3 > 0).astype(np.int64)  # one real and two fakes each
    alone = np.concatenate([group, [20, 21]])  # and two groups of one video
    labels = np.concatenate([y, [0, 1]])
    for seed in range(20):
        fold = grouped_folds(alone, labels, n_folds=3, seed=seed)
        shuffled = _shuffled(labels, np.arange(62), alone, fold, seed=seed)
        assert (np.bincount(group, weights=shuffled[:60]) == 2).all()
        assert sorted(shuffled[60:]) == [0, 1]
        assert (shuffled != labels).any()


def test_shuffling_that_moves_no_label_gives_no_null():
    """Groups of one class and of different sizes have nothing to exchange."""
    group = np.repeat(np.arange(6), [2, 3, 4, 5, 6, 7])
    wplus = np.random.default_rng(0).normal(size=(27, 2, 4)).astype(np.float32)
    row = next(channel_importance(wplus, group % 2, group, videos=np.arange(27), settings=QUICK))
    assert np.isnan(row.null_value)
    assert "2 of 2 shufflings left the labels as they are" in row.reason


def test_importance_refuses_what_it_cannot_measure():
    wplus, y, group, _ = planted(2)
    with pytest.raises(SplitError, match="3 folds need 3 source groups"):
        channel_importance(wplus, y, group)
    with pytest.raises(ValueError, match=r"\[n, n_channels, w_dim\]"):
        channel_importance(wplus[:, 0], y, group)
    wplus[1, 0, 0] = np.nan
    with pytest.raises(ValueError, match="1 of 12 feature rows"):
        channel_importance(wplus, y, group)
    with pytest.raises(ValueError, match="Unknown importance metric"):
        ImportanceSettings(metric="gini")
