"""Models on disk without pickle: a folder with ``model.json`` and one file of weights.

Forests are written by skops and read with a fixed list of types, then checked, because a tree's node indices are used
unchecked by scikit-learn. Everything else is plain arrays in safetensors. ``model.json`` holds what is needed to build
the model again, the SHA-256 of the weights, and one of itself, so that an altered byte is found.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from classifiers.payload import WEIGHTS_FILE, ModelFileError, Trained, from_bytes, to_bytes
from classifiers.protocol import Classifier
from classifiers.versions import check_versions

CARD_FILE = "model.json"
TEXT_FILE = "CARD.md"
FORMAT = 1
ORIENTATION = "P(fake) in [0, 1], 1 = fake"


def save_model(
    model: Classifier,
    directory: Path,
    *,
    metadata: Mapping[str, Any],
    describe: Callable[[Mapping[str, Any]], str] | None = None,
) -> None:
    """Write a trained model; the folder appears complete or not at all, and replaces an older one.

    Parameters
    ----------
    model : a trained model of ``make_model``.
    directory : the folder to make.
    metadata : JSON-able facts about the features, for example ``{"space": "wplus", "feature_id": "..."}``;
        ``load_model`` can ask for them.
    describe : the card -> a text for people, written beside it as ``CARD.md``.

    Raises
    ------
    ValueError
        A model that is not trained or not ours, or metadata that JSON cannot hold.
    """
    if not isinstance(model, Trained):
        raise ValueError(f"Only models of make_model can be saved, got {type(model).__name__}.")
    if model.n_features is None:
        raise ValueError(f"The model '{model.name}' is not trained yet.")
    payload = to_bytes(model)
    card: dict[str, Any] = {
        "format": FORMAT,
        "name": model.name,
        "profile": model.profile,
        "kind": model.kind,
        "n_features": model.n_features,
        "seed": model.seed,
        "settings": asdict(model.settings),
        "info": model.info,
        "metadata": dict(metadata),
        "orientation": ORIENTATION,
        "weights_file": WEIGHTS_FILE[model.kind],
        "weights_sha256": hashlib.sha256(payload).hexdigest(),
        "versions": {p: version(p) for p in ("numpy", "scikit-learn", "skops", "safetensors", "torch")}
        | {"python": platform.python_version()},
    }
    try:
        card = json.loads(json.dumps(card, allow_nan=False))  # as it will be read: lists for tuples, text keys
        card["card_sha256"] = _card_digest(card)
        text = json.dumps(card, indent=2, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The metadata or info of '{model.name}' is not plain JSON: {error}.") from error
    files = {WEIGHTS_FILE[model.kind]: payload, CARD_FILE: (text + "\n").encode()}
    if describe is not None:
        files[TEXT_FILE] = describe(card).encode()
    _write_folder(Path(directory), files)


def read_card(directory: Path) -> dict[str, Any]:
    """``model.json``, checked, without reading the weights.

    Raises
    ------
    ModelFileError
        Missing, not JSON, another format, or altered.
    """
    path = Path(directory) / CARD_FILE
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ModelFileError(f"No model in {directory}: {CARD_FILE} is missing.") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelFileError(f"{path} is not readable JSON ({error}).") from None
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        found = card.get("format") if isinstance(card, dict) else type(card).__name__
        raise ModelFileError(f"{path} has format {found!r}, expected {FORMAT}.")
    if card.get("card_sha256") != _card_digest(card):
        raise ModelFileError(f"{path} was altered: its checksum does not match its content.")
    if card.get("orientation") != ORIENTATION or card.get("kind") not in WEIGHTS_FILE:
        raise ModelFileError(f"{path} describes a model of unknown kind or orientation.")
    return card


def load_model(
    directory: Path, *, n_features: int | None = None, expect: Mapping[str, Any] | None = None, device: str = "cpu"
) -> Classifier:
    """Read a model back.

    Parameters
    ----------
    n_features : required width of the vectors, None for any.
    expect : metadata that must be as given, for example ``{"space": "wplus"}``.
    device : where a network runs.

    Raises
    ------
    ModelFileError
        Files missing, truncated or altered, types that are not on the list, a model made for other features, a forest
        written by another major version of scikit-learn or skops (another minor one is warned of).
    """
    card = read_card(directory)
    check_versions(card, directory)
    if n_features is not None and card["n_features"] != n_features:
        raise ModelFileError(
            f"The model in {directory} was trained on {card['n_features']} features, but {n_features} are given."
        )
    for key, wanted in (expect or {}).items():
        found = card["metadata"].get(key)
        if found != wanted:
            raise ModelFileError(f"The model in {directory} was made for {key} {found!r}, not for {wanted!r}.")
    path = Path(directory) / WEIGHTS_FILE[card["kind"]]
    try:
        payload = path.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(f"The model in {directory} has no weights: {path.name} is missing.") from None
    if hashlib.sha256(payload).hexdigest() != card["weights_sha256"]:
        raise ModelFileError(f"{path} was altered or truncated: its checksum does not match {CARD_FILE}.")
    return from_bytes(payload, card, path=path, device=device)


def _card_digest(card: Mapping[str, Any]) -> str:
    content = {k: v for k, v in card.items() if k != "card_sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _write_folder(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write to a temporary neighbour, then rename; an older folder steps aside just for the rename."""
    directory.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{directory.name}.new-", dir=directory.parent))
    try:
        for name, content in files.items():
            with (fresh / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        fresh.chmod(0o755)  # mkdtemp makes it private
        if directory.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{directory.name}.old-", dir=directory.parent))
            directory.replace(old)
            fresh.replace(directory)
            shutil.rmtree(old)
        else:
            fresh.replace(directory)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
