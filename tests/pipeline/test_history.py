"""Earlier runs from DVC's run-cache, two runs beside each other, and tables that settings have overtaken."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from classifiers.compare import Answers, paired_bootstrap
from pipeline import history, params
from pipeline.compared_runs import changed, metric_changes, paired
from pipeline.params import StageParams
from pipeline.stale import Order, order, stale
from tests.conftest import REPOSITORY


def write_note(
    root: Path,
    key: str,
    *,
    made_s: float,
    deps: Mapping[str, str],
    outs: Mapping[str, str],
    settings: Mapping[str, Any],
) -> None:
    """A stage's run as DVC 3 notes it."""
    folder = root / ".dvc" / "cache" / "runs" / key[:2] / key
    folder.mkdir(parents=True)
    sides = {n: [{"path": p, "hash": "md5", "md5": h, "size": 1} for p, h in s.items()]
             for n, s in (("deps", deps), ("outs", outs))}  # fmt: skip
    note = folder / "0"
    note.write_text(yaml.safe_dump({"cmd": "lf x", **sides, "params": {"params.yaml": dict(settings)}}))
    os.utime(note, (made_s, made_s))


def store(root: Path, content: bytes) -> str:
    """Put a file into the cache; its hash."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    place = root / ".dvc" / "cache" / "files" / "md5" / md5[:2] / md5[2:]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return md5


def test_runs_are_followed_back_through_their_stages(tmp_path: Path) -> None:
    m1, m2 = store(tmp_path, b"one"), "f" * 32
    train = {"train": {"models": ["rf"]}, "invert.poor_above": {"stlpips": 0.4}}
    code = {"classifiers": "c1"}
    write_note(tmp_path, "aa1", made_s=10, deps={"clips": "x1"}, outs={"data/faces": "f1"}, settings={"seed": 0})
    write_note(tmp_path, "aa2", made_s=20, deps={"data/faces": "f1"} | code, outs={"p": "p1"}, settings=train)
    write_note(tmp_path, "aa3", made_s=30, deps={"p": "p1"}, outs={history.METRICS: m1}, settings={"evaluate.n": 5})
    # Trained anew with other settings and the same outcome, after the run that is asked for.
    write_note(tmp_path, "ab2", made_s=40, deps={"data/faces": "f1"}, outs={"p": "p1"}, settings={"train": {"x": 1}})
    write_note(tmp_path, "ab3", made_s=50, deps={"p": "p2"}, outs={history.METRICS: m2}, settings={"evaluate.n": 6})
    write_note(tmp_path, "ab4", made_s=60, deps={}, outs={"reports/map.parquet": "q"}, settings={})
    (tmp_path / ".dvc" / "cache" / "runs" / "aa" / "aa1" / "torn").write_text("{ no yaml")
    found = history.read(tmp_path)
    assert found is not None
    later, first = found.runs()
    assert first.settings == {
        "seed": 0, "train.models": ["rf"], "invert.poor_above.stlpips": 0.4, "evaluate.n": 5,
    }  # fmt: skip
    assert first.inputs == {"clips": "x1", "classifiers": "c1"}
    assert later.settings == {"evaluate.n": 6}
    stored = found.stored(first, history.METRICS)
    assert stored is not None
    assert stored.read_bytes() == b"one"
    assert history.file_md5(stored) == m1
    assert found.stored(later, history.METRICS) is None  # `dvc gc` took it
    assert found.stored(first, "reports/other") is None


def test_without_dvc_there_is_no_history_and_the_cache_may_lie_elsewhere(tmp_path: Path) -> None:
    assert history.read(tmp_path) is None
    assert history.file_md5(tmp_path / "none") is None
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    analytics = false\n[cache]\n    dir = ../elsewhere\n")
    assert history.cache_folder(tmp_path) == tmp_path / "elsewhere"
    (tmp_path / ".dvc" / "config.local").write_text("['remote \"x\"']\n url = %(y)s\n")
    assert history.cache_folder(tmp_path) == tmp_path / "elsewhere"
    (tmp_path / ".dvc" / "config").write_bytes(b"\xff torn")
    assert history.cache_folder(tmp_path) == tmp_path / ".dvc" / "cache"


def test_settings_that_differ() -> None:
    found = changed({"a": [1], "b": None, "c": 2}, {"a": [1], "b": 3, "d": 4})
    assert found.values.tolist() == [["b", None, 3], ["c", 2, None], ["d", None, 4]]


def metrics(value: float, *, model: str = "rf") -> pd.DataFrame:
    row = {"level": "video", "split": "cv", "space": "wplus", "metric": "roc_auc", "n_items": 9}
    rows = [row | {"model": m, "value": v, "ci_low": v - 0.1, "ci_high": v + 0.1} for m, v in ((model, value),)]
    return pd.DataFrame(rows)


def test_metrics_of_two_runs_stand_beside_each_other() -> None:
    apart = metric_changes(metrics(0.5), metrics(0.8), level="video", split="cv", metric="roc_auc")
    assert apart["difference"].tolist() == [pytest.approx(0.3)]
    assert apart["apart"].tolist() == [True]
    near = metric_changes(metrics(0.5), metrics(0.6), level="video", split="cv", metric="roc_auc")
    assert near["apart"].tolist() == [False]
    other = metric_changes(metrics(0.5), metrics(0.6, model="mlp2"), level="video", split="cv", metric="roc_auc")
    assert other["model"].tolist() == ["mlp2", "rf"]
    assert other["difference"].isna().all()
    assert other["apart"].tolist() == [None, None]


def answers(seed: int, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    p = np.clip(0.5 + 0.2 * (label - 0.5) + rng.normal(0, 0.2, n), 0, 1)
    return pd.DataFrame(
        {"id": [f"v{i}" for i in range(n)], "level": "video", "split": "cv", "space": "wplus", "model": "rf",
         "label": label, "source_group": [f"g{i // 4}" for i in range(n)], "p_fake": p, "p_fake_raw": np.nan}
    )  # fmt: skip


def test_the_paired_difference_is_that_of_the_classifiers_on_the_common_items() -> None:
    before, now = answers(1), answers(2)
    both = now["id"].iloc[:50]
    found = paired(before[before["id"].isin(both)].sample(frac=1, random_state=0), now, level="video", split="cv")
    part, then = now[:50], before[:50]
    expected = paired_bootstrap(
        part["label"], Answers(part["p_fake"]), Answers(then["p_fake"]), part["source_group"].tolist(), n_boot=1000,
        seed=0,
    )  # fmt: skip
    assert found["metric"].tolist() == [c.metric for c in expected]
    assert found["difference"].tolist() == pytest.approx([c.difference for c in expected])
    assert found["n_items"].tolist() == [50] * 3
    # The order of items decides which groups a draw takes, so ends agree as draws do.
    assert found["ci_low"].tolist() == pytest.approx([c.ci_low for c in expected], abs=0.03)
    relabelled = before.assign(label=1 - before["label"])
    assert paired(relabelled, now, level="video", split="cv").empty
    assert paired(before, now, level="frame", split="cv").empty


def noted(settings: params.Params, **sections: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """What stages note with their tables, as read back from the file."""
    return {t: {"params": json.loads(json.dumps(StageParams(settings, s).as_dict()))} for t, s in sections.items()}


def test_tables_that_settings_have_overtaken_and_those_made_from_them() -> None:
    then = params.load(REPOSITORY / "params.yaml")
    recorded = noted(then, faces=("seed", "sampling"), embeddings=("embed",), predictions=("train", "profile"))
    recorded |= {"map": {"params": {"no such section": 1}}, "tags": {}}
    made = Order({"embeddings": {"faces"}, "predictions": {"embeddings"}, "map": {"wplus"}})
    judges = {(s, m) for s in then.spaces for m in then.train.models}
    assert stale(then, recorded, made, judges) == []
    now = then.model_copy(update={"sampling": then.sampling.model_copy(update={"n": 9})})
    found = {s.table: s for s in stale(now, recorded, made, judges)}
    assert found["faces"].changes == (("sampling.n", then.sampling.n, 9),)
    assert found["embeddings"].made_from == ("faces",)
    assert found["predictions"].made_from == ("embeddings",)
    assert set(found) == {"faces", "embeddings", "predictions"}
    fewer = stale(then, recorded, made, judges - {("wplus", "rf")} | {("wplus", "svm_rbf")})
    assert [s.changes for s in fewer] == [(("trained models", "wplus-svm_rbf", "wplus-rf"),)]
    excused = {"predictions": recorded["predictions"] | {"not_trained": [["wplus", "rf", "constant"]]}}
    assert stale(then, excused, made, judges - {("wplus", "rf")}) == []


def test_tables_that_were_made_anew_leave_others_behind(tmp_path: Path) -> None:
    assert order(tmp_path) == Order()
    (tmp_path / "dvc.lock").write_text("[]")
    assert order(tmp_path) == Order()

    def side(**items: str) -> list[dict[str, str]]:
        return [{"path": f"data/{name}", "md5": md5} for name, md5 in items.items()]

    stages = {
        "faces": {"outs": side(faces="new")},
        "embed": {"deps": side(faces="new"), "outs": side(embeddings="e")},
        "invert": {"deps": side(faces="old"), "outs": side(wplus="w")},
    }
    (tmp_path / "dvc.lock").write_text(yaml.safe_dump({"stages": stages}))
    found = order(tmp_path)
    assert found.behind == {"faces": set(), "embeddings": set(), "wplus": {"faces"}}
    recorded: dict[str, dict[str, Any]] = {"faces": {}, "embeddings": {}, "wplus": {}}
    assert [(s.table, s.made_from) for s in stale(params.load(REPOSITORY / "params.yaml"), recorded, found, ())] == [
        ("wplus", ("faces",))
    ]
