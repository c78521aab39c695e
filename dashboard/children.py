"""How the dashboard starts the program in a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_PROGRAM = Path(__file__).resolve().parents[1]


def command(module: str) -> tuple[str, ...]:
    """Runs a module; -P, for a folder `pipeline` in the project must not be taken for the program."""
    return (sys.executable, "-P", "-m", module)


def environment(**more: str) -> dict[str, str]:
    """This process's, with the program found wherever the process stands."""
    path = os.pathsep.join(filter(None, (str(_PROGRAM), os.environ.get("PYTHONPATH"))))
    return os.environ | more | {"PYTHONPATH": path}
