"""The dashboard in headless Chromium: page *Clusters* timed at 130,000 faces, then every page driven.

    uv run lf bench dashboard --folder FOLDER --shots FOLDER             # invented tables, timed and walked
    uv run lf bench dashboard --project PROJECT --shots FOLDER           # an existing project, walked alone

FOLDER gets a project of invented tables (600 MB; kept, and used again). The walk opens every page in both themes, 1440
and 800 pixels wide, and fails with the text where one shows an exception; on *Clusters* it selects, tags, exports and
uses the keyboard, on *Tags and retrain* it retrains, keeps and undoes. It works on a copy that shares the tables: the
project's tags and corrections stay as they are. Needs Chromium and its chromedriver (`apt-get install chromium
chromium-driver`), no Python package and no network. Chromium draws by software here (SwiftShader), so a machine with a
GPU is faster. On a machine that does other work as well, read the processor times beside the seconds.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import big_project, dashboard_timing, dashboard_walk, machine
from benchmarks.browser import browser
from benchmarks.dashboard_driver import Pages, server
from pipeline.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, write the project where none is named, drive the pages, print a line per measure and per fault."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="where the invented project is made")
    parser.add_argument("--project", type=Path, help="walk the pages of this project instead")
    parser.add_argument("--shots", type=Path, help="where pictures of the pages go")
    parser.add_argument("--n-faces", type=int, default=130_000)
    parser.add_argument("--no-vectors", action="store_true", help="leave out the search for like faces")
    parser.add_argument("--no-others", action="store_true", help="leave out plotly and deck.gl")
    parser.add_argument("--no-walk", action="store_true", help="time the page Clusters alone")
    parser.add_argument("--patience", type=float, default=120.0, help="seconds a step may take")
    asked = parser.parse_args(arguments)
    if (asked.folder is None) == (asked.project is None):
        parser.error("expected --folder or --project")
    if asked.shots:
        asked.shots.mkdir(parents=True, exist_ok=True)
    print(machine.facts())
    project = asked.project
    if project is None:
        project = asked.folder / f"faces-{asked.n_faces}"
        if not (project / "reports" / "predictions.parquet").is_file():
            big_project.write(project, asked.n_faces, vectors=not asked.no_vectors)
        _time(project, asked)
    faults = [] if asked.no_walk else _walk(project, asked)
    if asked.folder is not None and not asked.no_others:
        from benchmarks import map_contenders

        map_contenders.compare(project, patience=asked.patience, serve=server)
    if faults:
        raise UserError("the dashboard has faults: " + "; ".join(faults))


def _time(project: Path, asked: argparse.Namespace) -> None:
    with server(project) as (address, process), browser() as window:
        pages = Pages(window, address, asked.shots, asked.patience)
        dashboard_timing.clusters(pages, process, like=not asked.no_vectors)
        print(f"server memory {dashboard_timing.memory_mb(process):,.0f} MB resident, mapped vectors included")


def _walk(project: Path, asked: argparse.Namespace) -> list[str]:
    with tempfile.TemporaryDirectory() as scratch:
        copy = dashboard_walk.stage(project, Path(scratch) / "project")
        downloads = Path(scratch) / "downloads"
        with server(copy) as (address, process), browser() as window:
            pages = Pages(window, address, asked.shots, asked.patience)
            faults = dashboard_walk.walk(pages, copy, downloads)
            print(f"server memory after the walk {dashboard_timing.memory_mb(process):,.0f} MB resident")
    return faults


if __name__ == "__main__":
    main()
