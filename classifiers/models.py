"""``make_model``: the four light classifiers of LatentForensics and four to compare them with, by name and profile.

Profiles: ``paper`` as LatentForensics section 4.2.2 states it, ``default`` tuned, ``quick`` the same with less effort.
That paper gives no settings for the support vector machines it dropped, and knows neither gradient boosting nor
stacking: their ``paper`` is scikit-learn's defaults without class weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from classifiers.boost import Boost, BoostSettings
from classifiers.forest import Forest, ForestSettings
from classifiers.logistic import Logistic, LogisticSettings
from classifiers.network_settings import NetworkSettings
from classifiers.protocol import Classifier
from classifiers.stack import Stack, StackSettings
from classifiers.svm import Svm, SvmSettings

if TYPE_CHECKING:
    from classifiers.payload import Trained

ModelName = Literal["rf", "logistic", "mlp2", "mlp5", "svm_linear", "svm_rbf", "gboost", "stack"]
Profile = Literal["quick", "default", "paper"]
Settings = ForestSettings | LogisticSettings | NetworkSettings | SvmSettings | BoostSettings | StackSettings

MODEL_NAMES: tuple[ModelName, ...] = get_args(ModelName)
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


_LOGISTIC_QUICK = LogisticSettings(c_grid=(1e-4, 1e-3, 3e-3, 1e-2, 1e-1), n_inner_folds=3)
_BOOST_QUICK = BoostSettings(n_trees=100, learning_rate=0.1)

PROFILES: dict[str, dict[str, Settings]] = {
    "rf": {
        "quick": ForestSettings(n_trees=200),
        "default": ForestSettings(),
        "paper": ForestSettings(n_trees=1500, balanced=False),
    },
    "logistic": {
        "quick": _LOGISTIC_QUICK,
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
    "svm_linear": {
        "quick": SvmSettings(kernel="linear", c_grid=(1e-5, 1e-4, 1e-3, 1e-2), n_inner_folds=3),
        "default": SvmSettings(kernel="linear", c_grid=(1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)),
        "paper": SvmSettings(kernel="linear", c_grid=(1.0,), fallback_c=1.0, balanced=False),
    },
    "svm_rbf": {
        "quick": SvmSettings(kernel="rbf", c_grid=(1.0, 10.0), n_inner_folds=3, fallback_c=1.0, n_components=128),
        "default": SvmSettings(kernel="rbf", c_grid=(0.3, 1.0, 3.0, 10.0, 30.0), fallback_c=1.0),
        "paper": SvmSettings(kernel="rbf", c_grid=(1.0,), fallback_c=1.0, n_components=1024, balanced=False),
    },
    "gboost": {
        "quick": _BOOST_QUICK,
        "default": BoostSettings(),
        "paper": BoostSettings(
            n_trees=100,
            learning_rate=0.1,
            n_leaves=31,
            min_samples_leaf=20,
            l2=0.0,
            n_components=256,
            val_fraction=None,
            balanced=False,
        ),
    },
    "stack": {
        "quick": StackSettings(n_inner_folds=3, logistic=_LOGISTIC_QUICK),
        "default": StackSettings(gboost=BoostSettings()),
        "paper": StackSettings(
            logistic=LogisticSettings(c_grid=(1.0,), fallback_c=1.0, balanced=False), balanced=False
        ),
    },
}


def make_model(
    name: str,
    *,
    profile: str = "default",
    seed: int,
    device: str = "cpu",
    n_jobs: int = 1,
    blocks: Sequence[int] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Classifier:
    """An untrained classifier.

    Parameters
    ----------
    name : one of `MODEL_NAMES`.
    profile : quick, default or paper.
    seed : reaches every random part; results repeat on one machine.
    device : where networks run, as torch names it; the other models use the CPU.
    n_jobs : threads that grow the forest.
    blocks : widths of the parts of a fused space, so that none drowns another. A forest has no use for them: no scale
        changes its splits, and a long part is looked at more often.
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
    if blocks and not isinstance(settings, ForestSettings):
        settings = replace(settings, blocks=tuple(blocks))
    return from_settings(name, settings, profile=profile, seed=seed, device=device, n_jobs=n_jobs)


def model_factory(
    name: str,
    *,
    profile: str = "default",
    seed: int,
    device: str = "cpu",
    n_jobs: int = 1,
    blocks: Sequence[int] = (),
    overrides: Mapping[str, Any] | None = None,
) -> Callable[[int], Classifier]:
    """A fresh model per fold for ``crossval``: fold k gets the seed ``seed + k``."""

    def make(fold: int) -> Classifier:
        own = {"seed": seed + fold, "device": device, "n_jobs": n_jobs, "blocks": blocks, "overrides": overrides}
        return make_model(name, profile=profile, **own)  # type: ignore[arg-type]

    return make


def from_settings(
    name: str, settings: Settings, *, profile: str, seed: int, device: str = "cpu", n_jobs: int = 1
) -> Trained:
    """The untrained model that belongs to a settings object."""
    if isinstance(settings, ForestSettings):
        return Forest(name, settings, profile=profile, seed=seed, n_jobs=n_jobs)
    if isinstance(settings, LogisticSettings):
        return Logistic(name, settings, profile=profile, seed=seed)
    if isinstance(settings, SvmSettings):
        return Svm(name, settings, profile=profile, seed=seed)
    if isinstance(settings, BoostSettings):
        return Boost(name, settings, profile=profile, seed=seed)
    if isinstance(settings, StackSettings):
        return Stack(name, settings, profile=profile, seed=seed)
    import torch  # four seconds, for these models alone

    from classifiers.network import Network

    try:
        torch.device(device)
    except RuntimeError:
        raise ValueError(f"Unknown device '{device}': expected a torch device such as cpu or cuda.") from None
    return Network(name, settings, profile=profile, seed=seed, device=device)


def uses_device(name: str, profile: str) -> bool:
    """Whether a model is trained on the device asked for; the others use the CPU."""
    return isinstance(PROFILES[name][profile], NetworkSettings)


def _override(settings: Settings, overrides: Mapping[str, Any], *, name: str) -> Settings:
    known = {f.name for f in fields(settings)}
    unknown = sorted(set(overrides) - known)
    if unknown:
        raise ValueError(f"Model '{name}' has no setting {', '.join(unknown)}: it has {', '.join(sorted(known))}.")
    return replace(settings, **overrides)
