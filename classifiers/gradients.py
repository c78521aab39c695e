"""The gradient of a trained model's log-odds at a vector, where the model has one."""

from __future__ import annotations

import numpy as np
import torch

from classifiers.checks import Float32Array, Float64Array, check_features
from classifiers.logistic import Logistic
from classifiers.network import Network
from classifiers.protocol import Classifier
from classifiers.svm import Svm


def logit_gradient(model: Classifier, x: Float32Array) -> Float64Array | None:
    """d logit P(fake) / dx at one vector, float64 [d]; scaling inside the model is undone.

    None for models that are steps (forests, boosted trees), have no simple gradient (a radial kernel) or are made of
    such (stacks).

    Parameters
    ----------
    x : float32 [d], a vector as the model reads it.

    Raises
    ------
    ValueError
        A model that is not trained, or a vector of another width or with NaN.
    """
    if isinstance(model, Network):
        return _of_network(model, x)
    coef: Float32Array | None = None
    slope = 1.0
    if isinstance(model, Logistic):
        coef = model.coef
    elif isinstance(model, Svm) and model.settings.kernel == "linear" and model.machine and model.blend:
        coef, slope = model.machine.coef, float(model.blend.slopes[0])
    if coef is None or not isinstance(model, Logistic | Svm) or model.scaler is None:
        return None
    check_features(x[None], n_features=model.n_features)
    return slope * coef.astype(np.float64) / model.scaler.scale


def _of_network(model: Network, x: Float32Array) -> Float64Array:
    if model.network is None or model.scaler is None:
        raise ValueError(f"The model '{model.name}' is not trained yet.")
    row = check_features(x[None], n_features=model.n_features)
    z = torch.from_numpy(model.scaler.apply(row)).to(model.device).requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(model.network(z).sum(), z)
    return found[0].double().cpu().numpy() / model.scaler.scale
