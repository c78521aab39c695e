"""Every stage once, in a folder of its own: seconds, peak memory, rows, and the figures the run is judged by.

    uv run lf bench pipeline
    uv run lf bench pipeline -S data.source=ffpp -S data.root=/where/it/lies -S sampling.n=6

The stages run as `dvc repro` runs them, one process each, without what DVC itself takes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from benchmarks import machine
from pipeline import tables
from pipeline.cli import STAGES
from pipeline.errors import UserError
from pipeline.params import load
from pipeline.paths import Paths
from pipeline.schemas import TABLES

REPOSITORY = Path(__file__).resolve().parent.parent


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line, run, print."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-S", dest="changes", metavar="KEY=VALUE", action="append", default=[], help="a setting")
    parser.add_argument("--keep", type=Path, help="folder to run in and to keep (a temporary one by default)")
    asked = parser.parse_args(arguments)
    print(machine.facts())
    if asked.keep:
        _run(asked.keep, asked.changes)
    else:
        with tempfile.TemporaryDirectory() as folder:
            _run(Path(folder), asked.changes)


def _run(folder: Path, changes: list[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    paths = Paths(folder)
    _write_params(paths.params, changes)
    started_s = time.monotonic()
    print(f"{'stage':12}{'seconds':>9}{'peak GB':>9}")
    for stage in STAGES:
        seconds, peak_gb = _run_stage(stage, folder)
        print(f"{stage:12}{seconds:9.1f}{peak_gb:9.2f}", flush=True)
    print(f"{'all':12}{time.monotonic() - started_s:9.1f}")
    _print_tables(paths)
    _print_quality(paths)
    _print_metrics(paths)


def _write_params(target: Path, changes: list[str]) -> None:
    """The shipped settings with some changed; the data's folder is written out, for the run stands elsewhere."""
    settings = yaml.safe_load((REPOSITORY / "params.yaml").read_text(encoding="utf-8"))
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator:
            sys.exit(f"-S {change}: expected KEY=VALUE")
        place: Any = settings
        *sections, last = key.split(".")
        for section in sections:
            place = place.get(section) if isinstance(place, dict) else None
        if not isinstance(place, dict) or last not in place:
            sys.exit(f"-S {change}: params.yaml has no setting {key}")
        place[last] = yaml.safe_load(value)
    root = Path(settings["data"]["root"])
    in_repository = (REPOSITORY / root).is_dir() and not root.is_dir()
    settings["data"]["root"] = str((REPOSITORY / root if in_repository else root).resolve())
    target.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    try:
        load(target)
    except UserError as error:
        sys.exit(str(error))


def _run_stage(stage: str, folder: Path) -> tuple[float, float]:
    """Seconds and peak resident memory in GB of one stage's process."""
    started_s = time.monotonic()
    command = [sys.executable, "-m", "pipeline.cli", stage]
    env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    process = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"lf {stage} ended with status {process.returncode}")
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss: bytes there, KiB on Linux
    return time.monotonic() - started_s, used.ru_maxrss * unit / 1e9


def _print_tables(paths: Paths) -> None:
    rows = {name: tables.read(paths.table(name), name, columns=[TABLES[name].key[0]]).num_rows for name in TABLES}
    print("rows:", ", ".join(f"{name} {n}" for name, n in rows.items()))


def _print_quality(paths: Paths) -> None:
    """Mean quality of the codes, of the full generator's images of what is stored."""
    codes = tables.read_pandas(
        paths.table("wplus"), "wplus", columns=["lpips", "mse_unit", "psnr_db", "w_distance_std"]
    )
    if codes.empty:
        return
    name = tables.metadata(paths.table("wplus")).get("perceptual")
    means = ", ".join(f"{column} {codes[column].mean():.4g}" for column in codes)
    low, high = np.nanmin(codes["psnr_db"]), np.nanmax(codes["psnr_db"])
    print(f"{len(codes)} codes ({name}): {means}; PSNR from {low:.1f} to {high:.1f} dB")


def _print_metrics(paths: Paths) -> None:
    """Coverage and, per classifier and level, the headline metrics with their intervals."""
    metrics = tables.read_pandas(paths.table("metrics"), "metrics")
    wanted = ("coverage", "roc_auc", "accuracy", "balanced_accuracy", "log_loss")
    metrics = metrics[metrics["metric"].isin(wanted)]
    for (level, space, model, split), part in metrics.groupby(["level", "space", "model", "split"], sort=True):
        shown = "; ".join(_interval(row) for _, row in part.iterrows())
        first = part.iloc[0]
        print(f"{level} {space} {model} ({split}, {first['n_groups']} groups, {first['n_items']} items): {shown}")


def _interval(row: pd.Series) -> str:
    if pd.isna(row["value"]):
        return f"{row['metric']} -"
    return f"{row['metric']} {row['value']:.3f} [{row['ci_low']:.3f}, {row['ci_high']:.3f}]"


if __name__ == "__main__":
    main()
