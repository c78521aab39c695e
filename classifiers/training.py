"""The training loop of the fully connected networks: weighted binary cross-entropy, early stopping, best state kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from classifiers.checks import CHUNK_ROWS, Float32Array, Float64Array, IntArray

# Row numbers -> what the first layer sees of them, float32 [len(rows), n_inputs].
Inputs = Callable[[IntArray], Float32Array]


@dataclass(frozen=True, kw_only=True)
class TrainingPlan:
    """Optimiser and lengths; see ``network_settings.NetworkSettings``."""

    optimiser: Literal["adamw", "sgd"]
    learning_rate: float
    weight_decay: float
    batch_size: int
    n_steps_min: int
    n_epochs: int
    patience: int
    seed: int


def train(
    network: nn.Module,
    inputs: Inputs,
    y: IntArray,
    weights: Float64Array,
    train_rows: IntArray,
    val_rows: IntArray,
    *,
    plan: TrainingPlan,
    device: torch.device,
    judge_start: bool = False,
) -> dict[str, Any]:
    """Train in place and leave the state with the least validation log-loss (the last one without ``val_rows``).

    ``judge_start``: the state before the first epoch is a candidate too; for weights that were trained before.

    Returns
    -------
    JSON-able report: epochs run, passes per epoch, last training log-loss and, with validation, best epoch and loss.

    Raises
    ------
    ValueError
        The loss or a weight is no longer finite.
    """
    optimiser = _optimiser(network, plan)
    rng = np.random.default_rng(plan.seed)
    n_passes = -(-plan.n_steps_min // -(-len(train_rows) // plan.batch_size))
    best_loss, best_epoch, best_state, train_loss = np.inf, 0, None, np.inf
    epoch = 0
    if judge_start and len(val_rows):
        best_loss = _log_loss(logits(network, inputs, val_rows, device), y[val_rows], weights[val_rows])
        best_state = {k: v.detach().clone() for k, v in network.state_dict().items()}
    for epoch in range(1, plan.n_epochs + 1):
        for _ in range(n_passes):
            train_loss = _pass(network, inputs, y, weights, rng.permutation(train_rows), optimiser, plan, device)
        if not (np.isfinite(train_loss) and all(bool(torch.isfinite(p).all()) for p in network.parameters())):
            raise ValueError(f"Training diverged in epoch {epoch}: lower the learning rate of {plan.learning_rate:g}.")
        if not len(val_rows):
            continue
        loss = _log_loss(logits(network, inputs, val_rows, device), y[val_rows], weights[val_rows])
        if loss < best_loss:
            best_loss, best_epoch = loss, epoch
            best_state = {k: v.detach().clone() for k, v in network.state_dict().items()}
        elif epoch - best_epoch >= plan.patience:
            break
    report: dict[str, Any] = {"epochs_run": epoch, "passes_per_epoch": n_passes, "final_train_log_loss": train_loss}
    if best_state is not None:
        network.load_state_dict(best_state)
        report |= {"best_epoch": best_epoch, "val_log_loss": best_loss}
    return report


def logits(network: nn.Module, inputs: Inputs, rows: IntArray, device: torch.device) -> Float64Array:
    """The network's logits of the rows, float64 [len(rows)]; memory is bounded whatever their number."""
    network.eval()
    with torch.inference_mode():
        parts = [
            network(torch.from_numpy(inputs(rows[s : s + CHUNK_ROWS])).to(device)).squeeze(1).double().cpu().numpy()
            for s in range(0, len(rows), CHUNK_ROWS)
        ]
    return np.concatenate(parts)


def _optimiser(network: nn.Module, plan: TrainingPlan) -> torch.optim.Optimizer:
    if plan.optimiser == "sgd":
        return torch.optim.SGD(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    return torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)


def _pass(
    network: nn.Module,
    inputs: Inputs,
    y: IntArray,
    weights: Float64Array,
    rows: IntArray,
    optimiser: torch.optim.Optimizer,
    plan: TrainingPlan,
    device: torch.device,
) -> float:
    """Once over ``rows`` in their order; mean weighted training log-loss."""
    network.train()
    total = 0.0
    for s in range(0, len(rows), plan.batch_size):
        batch = rows[s : s + plan.batch_size]
        target = torch.from_numpy(y[batch].astype(np.float32)).to(device)
        weight = torch.from_numpy(weights[batch].astype(np.float32)).to(device)
        logit = network(torch.from_numpy(inputs(batch)).to(device)).squeeze(1)  # [b]
        loss = nn.functional.binary_cross_entropy_with_logits(logit, target, weight=weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        total += float(loss.detach()) * len(batch)
    return total / len(rows)


def _log_loss(logit: Float64Array, y: IntArray, weights: Float64Array) -> float:
    return float(np.average(np.logaddexp(0.0, logit) - y * logit, weights=weights))
