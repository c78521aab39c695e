"""The ``lf`` command: one subcommand per stage, and the tools around them.

Exit status: 0 done; 1 something the user can mend (one sentence, no traceback); 2 a bug (traceback, place of the log).
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.errors import UserError

if TYPE_CHECKING:
    from pipeline.paths import Paths

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    help="Deepfake forensics in latent spaces.",
)
weights_app = typer.Typer(no_args_is_help=True, help="Network weights: sources, licences, verification.")
app.add_typer(weights_app, name="weights")

log = logging.getLogger("latentforensics")

# Stage name -> (module, what `lf --help` says). The modules are imported only when their stage runs.
STAGES = {
    "videos": ("pipeline.stages.videos", "Catalogue the material in data.root."),
    "faces": ("pipeline.stages.faces", "Find, track and align faces."),
    "blend": ("pipeline.stages.blend", "Make self-blended fakes of genuine faces, to train on."),
    "invert": ("pipeline.stages.invert", "Invert faces into W+ codes."),
    "embed": ("pipeline.stages.embed", "Compute EfficientNet embeddings."),
    "split": ("pipeline.stages.split", "Look for leaks and put connected footage on one side of the split."),
    "codes": ("pipeline.stages.codes", "Compute PCA and VQ-VAE-2 codes."),
    "train": ("pipeline.stages.train", "Train every classifier on every space."),
    "evaluate": ("pipeline.stages.evaluate", "Measure, with group-bootstrap intervals."),
    "importance": ("pipeline.stages.importance", "Measure how much each W+ channel tells."),
    "learning": ("pipeline.stages.learning", "Measure what more source groups would give."),
    "map": ("pipeline.stages.map", "Lay faces out on 2-D and 3-D maps."),
    "cluster": ("pipeline.stages.cluster", "Cluster faces, and measure how far the clusters can be trusted."),
    "slices": ("pipeline.stages.slices", "Find who is failed, and shortcuts to the label."),
    "about": ("pipeline.stages.about", "Find what clusters are about, and draw their mean faces."),
    "report": ("pipeline.stages.report", "Write reports/report.html."),
}

# What `lf bench` is told -> module of benchmarks/.
BENCHMARKS = {
    "about": "about",
    "calibration": "calibration",
    "channels": "channels",
    "cluster": "cluster",
    "counterfactual": "counterfactual",
    "coverage": "coverage",
    "dashboard": "dashboard",
    "detect": "detect",
    "embed": "embed",
    "head": "head",
    "invert": "invert",
    "learning": "learning",
    "map": "map",
    "pca": "pca",
    "pipeline": "run_pipeline",
    "spaces": "spaces",
    "train": "train_scale",
    "vqvae": "vqvae",
}


def _setup_logging(paths: Paths, command: str) -> Path:
    """Messages to standard error, everything to a file."""
    log.setLevel(logging.DEBUG)
    log.handlers.clear()
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(logging.INFO)
    console.setFormatter(logging.Formatter("%(message)s"))
    log.addHandler(console)
    file = paths.logs / f"lf-{command}.log"
    file.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(file, mode="w", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(handler)
    return file


def _run_stage(name: str) -> None:
    """Load the settings and run one stage in the current folder."""
    from pipeline import params
    from pipeline.paths import Paths

    paths = Paths()
    settings = params.load(paths.params)
    _setup_logging(paths, name)
    module = importlib.import_module(STAGES[name][0])
    if "torch" in sys.modules:  # large tensors come and go: not returning them to the system is worth a factor of two
        from inversion.memory import keep_freed_memory

        keep_freed_memory()
    started_s = time.monotonic()
    module.run(settings, paths)
    log.info("%s: %.1f s", name, time.monotonic() - started_s)


def _stage_command(name: str) -> Callable[[], None]:
    def command() -> None:
        _run_stage(name)

    command.__doc__ = STAGES[name][1]
    return command


for _name in STAGES:
    app.command(_name)(_stage_command(_name))


@app.command()
def doctor() -> None:
    """Check device, memory, packages, weights, settings and data; say what is missing and how to get it."""
    from pipeline import doctor as module
    from pipeline.paths import Paths

    checks = module.examine(Paths())
    for check in checks:
        typer.echo(f"{check.state:>8}  {check.name}: {check.finding}")
    if any(c.state == "MISSING" for c in checks):
        raise UserError("the run would fail: see the lines marked MISSING")


@app.command()
def sample(
    out: Annotated[Path, typer.Option(help="Folder to write the clips and metadata.json to.")],
    seed: Annotated[int | None, typer.Option(help="Another seed makes other clips.")] = None,
) -> None:
    """Make the sample set again: generated people, real and forged clips."""
    from pipeline.paths import Paths
    from pipeline.stages import sample as module

    paths = Paths()
    _setup_logging(paths, "sample")
    module.run(out, seed=seed)


@app.command()
def predict(
    videos: Annotated[list[Path], typer.Argument(help="Clips (or images) to judge.")],
    out: Annotated[Path, typer.Option(help="Folder for the results: one folder for each clip, and summary.json.")],
    model: Annotated[
        str | None, typer.Option(help="SPACE-MODEL of models/; the best by video-level ROC-AUC where not given.")
    ] = None,
    every_s: Annotated[float | None, typer.Option(help="Look at a frame every so many seconds (default: 0.5).")] = None,
    n_frames: Annotated[int | None, typer.Option(help="Look at so many frames of each clip instead.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Judge again what an earlier run has finished.")] = False,
) -> None:
    """Judge new clips with a trained model: JSON, annotated video and case report for each."""
    from pipeline import params
    from pipeline.paths import Paths

    paths = Paths()
    settings = params.load(paths.params)
    _setup_logging(paths, "predict")
    from pipeline.predict import chain, lines
    from pipeline.predict.footage import Sampling

    try:
        sampling = Sampling(every_s=every_s, n_frames=n_frames)
    except ValueError as error:
        raise UserError(str(error)) from error
    summary = chain.predict(settings, paths, videos, out, model=model, sampling=sampling, force=force)
    typer.echo(lines.table(summary))
    if not summary.n_done:
        raise UserError(
            f"none of the {summary.n_clips} clips could be judged; the reasons are in {out / 'summary.json'}"
        )


@app.command()
def retrain(
    space: Annotated[str, typer.Argument(help="A stored feature space, such as efficientnet.")],
    tag: Annotated[list[str] | None, typer.Option(help="Fold in tags of this name alone; may be repeated.")] = None,
) -> None:
    """Train logistic regression without and with what the dashboard's tags say; changes nothing."""
    from pipeline import params
    from pipeline import retrain as module
    from pipeline.paths import Paths

    paths = Paths()
    found = module.run(paths, params.load(paths.params), module.Asked(space, None if tag is None else tuple(tag)))
    typer.echo(module.text_of(found))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def bench(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A module of benchmarks/: " + ", ".join(BENCHMARKS) + ".")],
) -> None:
    """Measure, beside what others do; `lf bench NAME --help` tells what can be set."""
    if name not in BENCHMARKS:
        raise UserError(f"no benchmark '{name}'; there are: {', '.join(BENCHMARKS)}")
    importlib.import_module(f"benchmarks.{BENCHMARKS[name]}").main(context.args)


@weights_app.command("list")
def weights_list() -> None:
    """Every registered network with its source, licence and state."""
    from pipeline import weights

    for entry in weights.REGISTRY.values():
        what, problem = weights.state(entry)
        shown = what if what != "ok" or weights.is_verifiable(entry) else "there; no hash is published to check it by"
        sizes = [f.size_bytes for f in entry.files if f.size_bytes is not None]
        size = f"{sum(sizes) / 1e6:.1f} MB" if sizes else "size not published"
        typer.echo(
            f"{entry.name}  [{shown}]  {size}\n    {entry.what}\n"
            f"    source: {entry.source}\n    licence: {entry.licence}"
        )
        if problem:
            typer.echo(f"    {problem}")


@weights_app.command("verify")
def weights_verify() -> None:
    """Check size and SHA-256 of every file; those the user brings only where they are."""
    from pipeline import weights

    states = [(w, *weights.state(w)) for w in weights.REGISTRY.values()]
    problems = [problem for w, what, problem in states if not (w.is_brought and what == "missing")]
    for problem in filter(None, problems):
        typer.echo(problem)
    if any(problems):
        raise UserError(f"{sum(map(bool, problems))} of {len(problems)} weight sets are missing or altered")
    typer.echo(f"{len(problems)} weight sets verified")


@weights_app.command("fetch")
def weights_fetch(name: Annotated[str, typer.Argument(help="A name from `lf weights list`.")]) -> None:
    """Download weights that no package carries, into weights/ or the folder $LF_WEIGHTS."""
    from pipeline import fetch, params, weights
    from pipeline.paths import Paths
    from pipeline.progress import progress_bar

    settings = Paths().params
    allow = not settings.is_file() or params.load(settings).weights.allow_noncommercial
    with progress_bar(what=name, unit="MB") as show:
        path = fetch.fetch(name, allow_noncommercial=allow, report=show)
    typer.echo(f"{path}\n    licence: {weights.get(name).licence}\n    SHA-256: {weights.sha256(name)}")


def main() -> None:
    """Entry point: turns exceptions into exit statuses."""
    # Forked or spawned helpers of the numerical libraries must not oversubscribe small machines.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        app(standalone_mode=False)
    except UserError as error:
        typer.echo(f"lf: {error}", err=True)
        sys.exit(1)
    except typer.Abort:
        typer.echo("lf: stopped; finished work is kept and the next run goes on from there", err=True)
        sys.exit(1)
    except Exception as error:  # the last line of defence: it reports a bug, it does not hide one
        import click

        from pipeline.paths import Paths

        if isinstance(error, click.ClickException):
            error.show()
            sys.exit(error.exit_code)
        log.debug("bug", exc_info=True)
        traceback.print_exc()
        typer.echo(f"lf: this is a bug; the log is in {Paths().logs}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
