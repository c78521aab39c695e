"""Whether what a stored model was written with can still be trusted to mean the same."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from classifiers.payload import ModelFileError

# A forest is scikit-learn's own object, laid out as that version has it. Plain arrays mean the same to every version.
# Package -> how many leading numbers of its version must be equal: scikit-learn promises nothing about objects of
# another minor version; skops reads its own older files.
_MATTER = {"forest": {"scikit-learn": 2, "skops": 1}}


def check_versions(card: Mapping[str, Any], directory: Path) -> None:
    """Refuse a model whose packages have changed too much since; warn where their second number has changed.

    Raises
    ------
    ModelFileError
        Another minor version of scikit-learn, another major one of skops, or none recorded.
    """
    for package, n_equal in _MATTER.get(card["kind"], {}).items():
        then, now = str((card.get("versions") or {}).get(package)), version(package)
        if _numbers(then)[:n_equal] != _numbers(now)[:n_equal]:
            raise ModelFileError(
                f"The model in {directory} was written with {package} {then}, which {now} does not read as it was "
                f"meant: train it again, or install {package} {then}."
            )
        if _numbers(then)[:2] != _numbers(now)[:2]:
            text = f"The model in {directory} was written with {package} {then} and is read with {now}: train it again."
            warnings.warn(text, stacklevel=3)


def _numbers(text: str) -> list[str]:
    return text.split(".")
