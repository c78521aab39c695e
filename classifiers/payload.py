"""The bytes of a model's weights, and the checks that stand between them and a prediction."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skops.io
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier
from skops.io.exceptions import UntrustedTypesFoundException

from classifiers.boost import Boost, BoostSettings
from classifiers.forest import Forest, ForestSettings
from classifiers.logistic import Logistic, LogisticSettings
from classifiers.models import Settings, from_settings
from classifiers.network import Network
from classifiers.network_settings import NetworkSettings
from classifiers.stack import Stack, StackSettings
from classifiers.svm import Svm, SvmSettings

Trained = Forest | Logistic | Network | Svm | Boost | Stack  # what can be stored

WEIGHTS_FILE = {"forest": "forest.skops"} | dict.fromkeys(
    ("linear", "network", "svm", "boost", "stack"), "weights.safetensors"
)
SETTINGS: dict[str, type[Settings]] = {
    "forest": ForestSettings,
    "linear": LogisticSettings,
    "network": NetworkSettings,
    "svm": SvmSettings,
    "boost": BoostSettings,
    "stack": StackSettings,
}
Arrays = dict[str, npt.NDArray[Any]]

# skops' own list covers the estimators; the node table is ours to allow because check_trees looks at every index.
TRUSTED_TYPES = ["sklearn.tree._tree.Tree"]


class ModelFileError(ValueError):
    """A model on disk that cannot or must not be used."""


def to_bytes(model: Trained) -> bytes:
    """The file content of a trained model's weights."""
    if isinstance(model, Forest):
        return skops.io.dumps(model.forest, compression=zipfile.ZIP_DEFLATED, compresslevel=1)
    return save_arrays({k: np.ascontiguousarray(v) for k, v in model.arrays().items()})


def from_bytes(payload: bytes, card: Mapping[str, Any], *, path: Path, device: str) -> Trained:
    """The model that ``card`` describes with the weights in ``payload``; ``path`` is named in errors.

    Raises
    ------
    ModelFileError
        Content that does not fit the card.
    """
    try:
        settings = _settings(SETTINGS[card["kind"]], card["settings"])
        model = from_settings(card["name"], settings, profile=card["profile"], seed=card["seed"], device=device)
        model.n_features, model.info = int(card["n_features"]), dict(card["info"])
        if isinstance(model, Forest):
            model.share_fake = float(model.info["share_fake_train"])
        else:
            shapes = model.shapes()
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelFileError(f"The card beside {path} lacks or misstates a setting ({error}).") from None
    if isinstance(model, Forest):
        model.forest = read_forest(payload, n_features=model.n_features, path=path)
        return model
    try:
        model.restore(_read_arrays(payload, shapes, path=path))
    except ModelFileError:
        raise
    except ValueError as error:
        raise ModelFileError(f"{path} holds {error}.") from None
    return model


def _settings(kind: type[Any], stored: Mapping[str, Any]) -> Any:
    """A settings object from JSON: tuples for lists, settings objects for what a stack keeps of its bases."""
    nested: dict[str, type[Any]] = {"logistic": LogisticSettings, "gboost": BoostSettings}
    values = {
        k: tuple(v) if isinstance(v, list) else _settings(nested[k], v) if isinstance(v, dict) else v
        for k, v in stored.items()
    }
    return kind(**values)


def _read_arrays(payload: bytes, shapes: Mapping[str, tuple[int, ...]], *, path: Path) -> Arrays:
    """The arrays of these shapes, all present, and finite; a card must not make us fill the memory with others."""
    try:
        arrays: Arrays = load_arrays(payload)
    except SafetensorError as error:
        raise ModelFileError(f"{path} is not a safetensors file ({error}).") from None
    found = {k: tuple(v.shape) for k, v in arrays.items()}
    if found != shapes:
        odd = sorted(set(found.items()) ^ set(shapes.items()))[0]
        raise ModelFileError(f"{path} does not fit its card: {odd[0]} of shape {odd[1]} is missing or unexpected.")
    broken = [k for k, v in arrays.items() if v.dtype.kind not in "fi" or not np.isfinite(v).all()]
    if broken:
        raise ModelFileError(f"{path} holds values that are not finite numbers in {broken[0]}.")
    return arrays


def read_forest(payload: bytes, *, n_features: int, path: Path) -> RandomForestClassifier:
    """A forest from skops bytes: types from the list only, every node index in range.

    Raises
    ------
    ModelFileError
        Not a skops file, a type that is not on the list, another object, or a malformed tree.
    """
    try:
        forest = skops.io.loads(payload, trusted=TRUSTED_TYPES)
    except UntrustedTypesFoundException as error:
        types = str(error).splitlines()[0]
        raise ModelFileError(f"{path} asks for types that a forest does not need ({types}).") from None
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, EOFError, OSError) as error:
        raise ModelFileError(f"{path} is not a readable skops file ({type(error).__name__}).") from None
    if type(forest) is not RandomForestClassifier:
        raise ModelFileError(f"{path} holds a {type(forest).__name__}, expected a RandomForestClassifier.")
    check_trees(forest, n_features=n_features, path=path)
    return forest


def check_trees(forest: RandomForestClassifier, *, n_features: int, path: Path) -> None:
    """Refuse a forest whose nodes point outside their arrays: scikit-learn would read foreign memory there."""
    trees = getattr(forest, "estimators_", None)
    classes = np.asarray(getattr(forest, "classes_", ()))
    if not trees or classes.tolist() != [0, 1] or getattr(forest, "n_features_in_", None) != n_features:
        raise ModelFileError(f"{path} does not hold a trained real/fake forest on {n_features} features.")
    for tree in trees:
        nodes = getattr(tree, "tree_", None)
        if type(tree) is not DecisionTreeClassifier or nodes is None or not _is_sound(nodes, n_features):
            raise ModelFileError(f"{path} holds a malformed decision tree.")


def _is_sound(nodes: Any, n_features: int) -> bool:
    n = nodes.node_count
    if not 1 <= n <= nodes.capacity:  # before any array is looked at: their length is the claimed count
        return False
    left, right = nodes.children_left, nodes.children_right
    if nodes.value.shape != (n, 1, 2):
        return False
    inner = left != -1
    own = np.arange(n)
    # Children come after their parent (depth-first order), so that no path can run in a circle.
    downwards = (left > own) & (right > own) & (left < n) & (right < n)
    in_range = (nodes.feature >= 0) & (nodes.feature < n_features)
    share = nodes.value[:, 0]
    sums_to_one = np.abs(share.sum(axis=1) - 1) < 1e-6
    return bool(
        (~inner | (downwards & in_range)).all() and (inner | (right == -1)).all() and (share >= 0).all()
    ) and bool(sums_to_one.all())
