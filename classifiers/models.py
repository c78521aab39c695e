"""``make_model``: the four light classifiers of LatentForensics by name and profile.

Profiles: ``paper`` as LatentForensics section 4.2.2 states it, ``default`` tuned, ``quick`` the same with less effort.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, Literal

import torch

from classifiers.forest import Forest, ForestSettings
from classifiers.logistic import Logistic, LogisticSettings
from classifiers.network import Network, NetworkSettings
from classifiers.protocol import Classifier

ModelName = Literal["rf", "logistic", "mlp2", "mlp5"]
Profile = Literal["quick", "default", "paper"]
Settings = ForestSettings | LogisticSettings | NetworkSettings

MODEL_NAMES: tuple[ModelName, ...] = ("rf", "logistic", "mlp2", "mlp5")
PROFILE_NAMES: tuple[Profile, ...] = ("quick", "default", "paper")
HIDDEN: dict[str, tuple[int, ...]] = {"logistic": (), "mlp2": (512,), "mlp5": (2048, 512, 512, 512)}


def _paper_network(name: str) -> NetworkSettings:
    # The paper states optimiser and learning rate only; batch size and epochs are ours, no regularisation is assumed.
    return NetworkSettings(
        hidden=HIDDEN[name],
        optimiser="sgd",
        learning_rate=5e-4,
        weight_decay=0.0,
        dropout=0.0,
        batch_size=32,
        n_steps_min=1,
        n_epochs=100,
        patience=None,
        rotate=False,
        balanced=False,
    )


PROFILES: dict[str, dict[str, Settings]] = {
    "rf": {
        "quick": ForestSettings(n_trees=200),
        "default": ForestSettings(),
        "paper": ForestSettings(n_trees=1500, balanced=False),
    },
    "logistic": {
        "quick": LogisticSettings(c_grid=(1e-4, 1e-3, 3e-3, 1e-2, 1e-1), n_inner_folds=3),
        "default": LogisticSettings(),
        "paper": _paper_network("logistic"),
    },
    "mlp2": {
        "quick": NetworkSettings(hidden=HIDDEN["mlp2"], n_epochs=30, patience=5),
        "default": NetworkSettings(hidden=HIDDEN["mlp2"]),
        "paper": _paper_network("mlp2"),
    },
    "mlp5": {
        "quick": NetworkSettings(hidden=HIDDEN["mlp5"], n_epochs=30, patience=5),
        "default": NetworkSettings(hidden=HIDDEN["mlp5"]),
        "paper": _paper_network("mlp5"),
    },
}


def make_model(
    name: str,
    *,
    profile: str = "default",
    seed: int,
    device: str = "cpu",
    n_jobs: int = 1,
    overrides: Mapping[str, Any] | None = None,
) -> Classifier:
    """An untrained classifier.

    Parameters
    ----------
    name : rf, logistic, mlp2 or mlp5.
    profile : quick, default or paper.
    seed : reaches every random part; results repeat on one machine.
    device : where networks run, as torch names it; the other models use the CPU.
    n_jobs : threads that grow the forest.
    overrides : settings of the profile to replace, for example ``{"n_trees": 60}`` or ``{"balanced": False}``.

    Raises
    ------
    ValueError
        An unknown name, profile, setting or device, or a setting out of range.
    """
    if name not in PROFILES:
        raise ValueError(f"Unknown model '{name}': expected one of {', '.join(MODEL_NAMES)}.")
    if profile not in PROFILE_NAMES:
        raise ValueError(f"Unknown profile '{profile}': expected one of {', '.join(PROFILE_NAMES)}.")
    if not 0 <= seed < 2**32:
        raise ValueError(f"Expected a seed from 0 to 2**32 - 1, got {seed}.")
    settings = _override(PROFILES[name][profile], overrides or {}, name=name)
    return from_settings(name, settings, profile=profile, seed=seed, device=device, n_jobs=n_jobs)


def model_factory(
    name: str, *, profile: str = "default", seed: int, device: str = "cpu", n_jobs: int = 1
) -> Callable[[int], Classifier]:
    """A fresh model per fold for ``crossval``: fold k gets the seed ``seed + k``."""

    def make(fold: int) -> Classifier:
        return make_model(name, profile=profile, seed=seed + fold, device=device, n_jobs=n_jobs)

    return make


def from_settings(
    name: str, settings: Settings, *, profile: str, seed: int, device: str = "cpu", n_jobs: int = 1
) -> Forest | Logistic | Network:
    """The untrained model that belongs to a settings object."""
    if isinstance(settings, ForestSettings):
        return Forest(name, settings, profile=profile, seed=seed, n_jobs=n_jobs)
    if isinstance(settings, LogisticSettings):
        return Logistic(name, settings, profile=profile, seed=seed)
    try:
        torch.device(device)
    except RuntimeError:
        raise ValueError(f"Unknown device '{device}': expected a torch device such as cpu or cuda.") from None
    return Network(name, settings, profile=profile, seed=seed, device=device)


def _override(settings: Settings, overrides: Mapping[str, Any], *, name: str) -> Settings:
    known = {f.name for f in fields(settings)}
    unknown = sorted(set(overrides) - known)
    if unknown:
        raise ValueError(f"Model '{name}' has no setting {', '.join(unknown)}: it has {', '.join(sorted(known))}.")
    return replace(settings, **overrides)
