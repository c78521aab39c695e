"""Whose figures are shown for a model, and what is said of one that was picked as the best of several."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from classifiers.calibrate import Calibrator, Kind
from classifiers.models import make_model
from classifiers.persist import save_model
from pipeline import params
from pipeline.errors import UserError
from pipeline.paths import Paths
from pipeline.predict import describe
from pipeline.predict.choice import choose
from pipeline.predict.footage import Sampling
from pipeline.predict.page import CALIBRATION
from pipeline.predict.session import Session
from tests.conftest import REPOSITORY
from tests.report.material import write

Scores = Mapping[str, tuple[float, float]]


def figures(auc: float, log_loss: float) -> list[dict[str, Any]]:
    """Rows as both a card and the table ``metrics`` have them."""
    place = {"level": "video", "split": "cv", "n_items": 80, "n_groups": 40}
    return [
        place | {"metric": "roc_auc", "value": auc, "ci_low": auc - 0.1, "ci_high": min(1.0, auc + 0.1)},
        place | {"metric": "log_loss", "value": log_loss, "ci_low": log_loss - 0.1, "ci_high": log_loss + 0.1},
    ]


def project(folder: Path, measured: Scores, stated: Scores, **more: Any) -> Paths:
    """Logistic models on spaces, of AUC and log-loss as the table has them and as their cards state."""
    paths = Paths(folder)
    for space, values in stated.items():
        model = make_model("logistic", profile="quick", seed=0)
        x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)
        model.fit(x, np.arange(8) % 2, groups=np.arange(8) // 2)
        facts = {"space": space, "feature_id": "x", "source": "folder", "scores": figures(*values)} | more
        save_model(model, paths.model(space, "logistic"), metadata=facts)
    rows = [
        row | {"space": space, "model": "logistic"} for space, values in measured.items() for row in figures(*values)
    ]
    write(folder, "metrics", rows)
    return paths


def test_a_folder_that_holds_another_model_than_it_says_is_refused(tmp_path: Path) -> None:
    both = {"wplus": (0.8, 0.5), "pca": (0.7, 0.6)}
    paths = project(tmp_path, both, both)
    paths.model("pca", "logistic").rename(paths.models / "pca-mlp5")
    with pytest.raises(UserError, match=r"pca-mlp5 holds the model pca-logistic: give the folder that name"):
        choose(paths, "pca-mlp5")


def test_a_model_from_elsewhere_has_the_figures_of_its_card_and_not_those_of_its_namesake(tmp_path: Path) -> None:
    paths = project(tmp_path, {"wplus": (0.9, 0.3), "pca": (0.7, 0.6)}, {"wplus": (0.65, 0.66), "pca": (0.7, 0.6)})
    foreign = choose(paths, "wplus-logistic")
    assert [f.value for f in foreign.figures] == [0.65, 0.66]
    assert "The model's figures are those its own card states" in foreign.warnings()[0]
    own = choose(paths, "pca-logistic")
    assert own.measured_here
    assert own.warnings() == []
    with pytest.raises(
        UserError, match=r"wplus-logistic would be taken as the best by .* its card states other figures"
    ):
        choose(paths, None)


def test_the_best_of_several_is_said_to_be_optimistic_and_has_to_beat_chance_at_a_stricter_level(
    tmp_path: Path,
) -> None:
    near = {"wplus": (0.61, 0.68), "pca": (0.58, 0.69), "vqvae": (0.55, 0.69)}  # 95 % interval of the first from 0.51
    paths = project(tmp_path, near, near)
    best = choose(paths, None)
    assert (best.name, best.n_compared) == ("wplus-logistic", 3)
    assert best.why.endswith("of 3 models")
    optimistic, chance = best.warnings()
    assert "picked as the best of 3 on the very videos its figures come from" in optimistic
    # 0.61 - 0.1 * 2.394 / 1.960
    assert "not shown to tell real from fake" in chance
    assert "for the best of 3 the 98.33 % interval counts, which begins at about 0.488" in chance
    assert choose(paths, "wplus-logistic").warnings() == []
    clear = {"wplus": (0.8, 0.5), "pca": (0.58, 0.69)}
    assert len(choose(project(tmp_path / "clear", clear, clear), None).warnings()) == 1


def test_a_run_says_that_its_number_of_frames_changes_the_score(tmp_path: Path) -> None:
    paths = project(tmp_path, {"pca": (0.7, 0.4)}, {"pca": (0.7, 0.4)})
    settings = params.load(REPOSITORY / "params.yaml")
    grows = settings.model_copy(update={"train": settings.train.model_copy(update={"aggregate": "noisy_or"})})
    choice = choose(paths, None)

    def warnings(of: params.Params) -> list[str]:
        return Session(of, paths, tmp_path, choice, Sampling(), "cpu").warnings()

    assert warnings(settings) == choice.warnings()
    assert next(w for w in warnings(grows) if w not in choice.warnings()).startswith("P(fake) of a clip grows with")


def test_a_calibration_that_answers_one_half_to_everything_is_warned_of_and_its_reason_stored(tmp_path: Path) -> None:
    flat = Calibrator("platt", slope=0.0, reason="higher answers did not mean more fakes")
    one = {"pca": (0.7, 0.4)}
    choice = choose(project(tmp_path / "flat", one, one, calibration=flat.to_json()), None)
    assert choice.warnings() == ["P(fake) is 0.5 whatever the clip shows: higher answers did not mean more fakes."]
    told = describe.model(choice, flat)
    assert (told.calibration, told.calibration_reason) == ("platt", flat.reason)
    steep = Calibrator("platt", slope=1.0).to_json()
    assert choose(project(tmp_path / "steep", one, one, calibration=steep), None).warnings() == []


def test_no_calibration_and_a_correction_of_class_shares_are_not_called_calibrated() -> None:
    assert set(CALIBRATION) == set(get_args(Kind))
    assert [kind for kind, text in CALIBRATION.items() if "not calibrated" in text] == ["none", "prior"]
