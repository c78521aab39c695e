"""A small project with W+ codes that tell fakes apart, and trained models on them; drawn by the toy generator."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from classifiers.calibrate import Calibrator
from classifiers.models import make_model
from classifiers.persist import save_model
from pipeline.paths import Paths
from tests.conftest import REPOSITORY
from tests.inversion.toy import N_CHANNELS, W_DIM
from tests.report import material


def fill(root: Path, models: tuple[str, ...] = ("logistic", "rf"), **options: Any) -> Paths:
    """Tables of `tests.report.material` with codes of the toy generator's shape; fakes are shifted in channel 1."""
    rows = material.fill(root, **options)
    label = {r["face_id"]: r["label"] for r in rows["faces"] if r["status"] == "ok"}
    group = {r["face_id"]: r["source_group"] for r in rows["faces"]}
    rng = np.random.default_rng(5)
    codes = rng.normal(size=(len(rows["wplus"]), N_CHANNELS, W_DIM))
    codes[:, 1, 2] += [3.0 * label[r["face_id"]] for r in rows["wplus"]]
    codes = codes.astype(np.float32)
    stored = [
        r | {"wplus": code.ravel().tolist(), "n_channels": N_CHANNELS}
        for r, code in zip(rows["wplus"], codes, strict=True)
    ]
    material.write(root, "wplus", stored, perceptual="stlpips-alex")
    shutil.copy(REPOSITORY / "params.yaml", root / "params.yaml")
    y = np.array([label[r["face_id"]] for r in rows["wplus"]])
    groups = [group[r["face_id"]] for r in rows["wplus"]]
    for name in models:
        settings = {"rf": {"n_trees": 20}, "mlp2": {"hidden": (8,)}}.get(name, {})
        model = make_model(name, profile="quick", seed=0, overrides=settings)
        model.fit(codes.reshape(len(codes), -1), y, groups=groups)
        save(root, model)
    return Paths(root)


def save(root: Path, model: Any, *, space: str = "wplus", name: str | None = None, **facts: Any) -> None:
    """A model's folder; ``facts`` replace what its card says."""
    metadata: Mapping[str, Any] = {
        "space": space, "feature_id": material.INVERTER, "source": "folder", "trained_on_sample": False,
        "videos": ["v000", "v001"], "calibration": Calibrator("none").to_json(), "scores": [],
        "parts": [{"part": space, "space": space, "feature_id": material.INVERTER, "n_dims": N_CHANNELS * W_DIM}],
    }  # fmt: skip
    save_model(model, root / "models" / (name or f"{space}-{model.name}"), metadata={**metadata, **facts})
