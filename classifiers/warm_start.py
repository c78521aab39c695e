"""Begin training at a model that was trained before, on other material: what few groups cannot teach, it brings.

A logistic regression is pulled towards the given weights where it would be pulled towards zero, and a network starts
with the given weights. Both keep the given model's standardisation: the weights mean something in that scale alone, and
its mean and deviation come from more material. What training then sees is the new material only.
"""

from __future__ import annotations

from classifiers.linear_start import LinearStart
from classifiers.logistic import Logistic
from classifiers.network import Network
from classifiers.protocol import Classifier


def warm_started(model: Classifier, given: Classifier) -> Classifier:
    """Let an untrained model begin at a trained one of the same kind.

    Returns
    -------
    ``model`` itself.

    Raises
    ------
    ValueError
        Forests, models of two kinds, networks of two shapes, or a given model that is not trained.
    """
    if given.n_features is None:
        raise ValueError(f"The model '{given.name}' to start from is not trained.")
    if isinstance(model, Logistic) and isinstance(given, Logistic):
        assert given.scaler is not None
        assert given.coef is not None
        model.start = LinearStart(given.scaler, given.coef, given.intercept)
        return model
    if isinstance(model, Network) and isinstance(given, Network):
        if model.settings.hidden != given.settings.hidden:
            raise ValueError(
                f"'{model.name}' has hidden layers {model.settings.hidden}, the model to start from has "
                f"{given.settings.hidden}: its weights do not fit."
            )
        model.start = given
        return model
    raise ValueError(
        f"'{model.name}' ({type(model).__name__}) cannot start from a {type(given).__name__}: a warm start is for a "
        "logistic regression or a network, from a model of its own kind."
    )
