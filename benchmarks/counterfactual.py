"""Which direction flips a model's verdict on W+ codes soonest: its gradient, another model's weights, its answers.

    uv run lf bench counterfactual --project FOLDER

FOLDER is a finished project with models on space wplus. Faces are walked along each direction as far as 2 standard
deviations of the codes; what counts is the model's own answer at 0.5, so that calibration, which may be flat, does not
speak. ``flips``: share of faces that get to the other side; ``median``: distance, over all faces; ``change``: median
change of P(fake) after 0.2 standard deviations.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import machine
from classifiers import counterfactual as cf
from classifiers.gradients import logit_gradient
from pipeline import params
from pipeline.errors import UserError
from pipeline.networks import load_generator
from pipeline.paths import Paths
from pipeline.progress import bar
from pipeline.walker import Codes, Walker, open_walker

RULE = cf.Rule(0.5, 0.5, 0.5)
AT = 0.2
Move = Callable[[Codes], NDArray[np.float64]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, walk, print a line per model and direction."""
    parser = argparse.ArgumentParser(
        prog="lf bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--project", type=Path, default=Path())
    parser.add_argument("--n-faces", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    paths = Paths(asked.project)
    settings = params.load(paths.params)
    print(machine.facts())
    names = sorted(f.parent.name for f in paths.models.glob("wplus-*/model.json"))
    walkers = {name.removeprefix("wplus-"): open_walker(name, settings, paths) for name in names}
    if not walkers:
        raise UserError(f"there is no model on whole W+ codes in {paths.models}: run `dvc repro train`")
    first = next(iter(walkers.values()))
    network = load_generator(
        settings.invert.generator, device="cpu", allow_noncommercial=settings.weights.allow_noncommercial
    )
    ratio = first.spread.reshape(first.n_channels, -1) / network.std_w.numpy()
    low, middle, high = np.quantile(ratio, [0.01, 0.5, 0.99])
    print(f"spread of the codes in standard deviations of W: median {middle:.2f}, 98 % from {low:.2f} to {high:.2f}")
    print(f"two faces of different groups are {first.apart:.2f} apart in the median")
    print(f"{'model':12s}{'direction':28s}{'flips':>7s}{'median':>8s}{'change':>9s}")
    for name, walker in walkers.items():
        for what, move in _moves(walker, walkers.get("logistic"), np.random.default_rng(asked.seed)).items():
            flips, median, change = _measure(walker, move, asked.n_faces, asked.seed)
            print(f"{name:12s}{what:28s}{flips:7.2f}{median:8.3f}{change:9.4f}", flush=True)


def _moves(walker: Walker, logistic: Walker | None, rng: np.random.Generator) -> dict[str, Move]:
    """Moves of length 1 along which P(fake) is held to rise, from a code."""
    spread, sample = walker.spread, walker.sample

    def own(x: Codes) -> NDArray[np.float64]:
        gradient = logit_gradient(walker.model, x)
        assert gradient is not None
        return cf.steepest(gradient, spread)

    def of_logistic(x: Codes) -> NDArray[np.float64]:
        assert logistic is not None
        gradient = logit_gradient(logistic.model, x)
        assert gradient is not None
        return cf.steepest(gradient, spread)

    def to_another(x: Codes) -> NDArray[np.float64]:
        move = cf.moves_towards(rng.permutation(sample)[:2], x, spread)[0]
        # A walk turns its move where P(fake) has to fall; this one is to lead to the other face all the same.
        return move if walker.model.predict_p_fake(x[None])[0] < RULE.threshold else -move

    answers = cf.answers_slope(sample, walker.model.predict_p_fake(sample), spread)
    found: dict[str, Move] = {"own gradient": own} if logit_gradient(walker.model, sample[0]) is not None else {}
    if logistic is not None and logistic is not walker:
        found["logistic model's weights"] = of_logistic
    return found | {
        "own answers over the faces": lambda x: answers,
        "towards another face": to_another,
        "random": lambda x: cf.random_moves(1, spread, rng)[0],
    }


def _measure(walker: Walker, move: Move, n_faces: int, seed: int) -> tuple[float, float, float]:
    faces = np.random.default_rng(seed).permutation(len(walker.sample))[:n_faces]
    distances, changes = [], []
    for face in bar(faces, total=len(faces), what="walk", unit="face"):
        x = walker.sample[face]
        along = move(x)
        found = cf.walk(walker.model.predict_p_fake, x, along, rule=RULE, n_steps=3)
        signed = along if found.towards_fake else -along
        there = walker.model.predict_p_fake(cf.stops(x, signed, np.array([AT])))
        distances.append(np.inf if found.crossing is None else found.crossing)
        changes.append(abs(float(there[0] - found.p_fake[0])))
    return float(np.isfinite(distances).mean()), float(np.median(distances)), float(np.median(changes))


if __name__ == "__main__":
    main()
