"""The machine a figure was measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import psutil
import torch

from pipeline.runinfo import pick_device, pick_precision


def facts() -> str:
    """Processor, cores, memory, device, number format and versions in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    device = pick_device("auto")
    name = torch.cuda.get_device_name() if device == "cuda" else "no GPU"
    memory_gb = psutil.virtual_memory().total / 1e9
    busy = psutil.cpu_percent(interval=0.5)
    return (
        f"{_processor()}, {cores} cores, {memory_gb:.0f} GB, {name}, 'auto' is {pick_precision('auto', device)}; "
        f"Python {platform.python_version()}, torch {torch.__version__}, scikit-learn {version('scikit-learn')}; "
        f"{busy:.0f} % busy with other work before the start"
    )


def _processor() -> str:
    instructions: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return str(instructions.get("cpu_name") or platform.processor() or platform.machine())
