"""Fully connected networks in torch: ``mlp2`` (512), ``mlp5`` (2048, 512, 512, 512), the paper's ``logistic`` (none).

LatentForensics section 4.2.2: ReLU, one sigmoid output, binary cross-entropy, SGD with learning rate 5e-4. Number of
epochs and batch size are not stated there; ``models.PROFILES`` names ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import expit
from torch import nn

from classifiers.checks import (
    CHUNK_ROWS,
    Float32Array,
    Float64Array,
    Groups,
    IntArray,
    check_features,
    check_labels,
    check_weights,
    group_codes,
    training_weights,
)
from classifiers.layers import MODULES_PER_LAYER, build_network, widen_first_layer
from classifiers.network_settings import NetworkSettings
from classifiers.rotation import Rotation
from classifiers.scaling import Standardiser
from classifiers.splits import held_out, max_folds
from classifiers.training import Inputs, TrainingPlan, logits, train


class Network:
    """Standardise, then a fully connected network; training is repeatable on one CPU for one seed."""

    kind = "network"

    def __init__(self, name: str, settings: NetworkSettings, *, profile: str, seed: int, device: str = "cpu") -> None:
        self.name, self.profile, self.seed = name, profile, seed
        self.settings = settings
        self.device = torch.device(device)
        self.n_features: int | None = None
        self.info: dict[str, Any] = {}
        self.scaler: Standardiser | None = None
        self.network: nn.Sequential | None = None
        self.start: Network | None = None  # given by `warm_start`

    def fit(
        self, X: npt.ArrayLike, y: npt.ArrayLike, *, groups: Groups, sample_weight: npt.ArrayLike | None = None
    ) -> Network:
        """Train; see ``Classifier.fit``. Batches are standardised on the fly: a big X is never copied."""
        matrix = check_features(X)
        labels = check_labels(y, n=len(matrix), both_classes=True)
        _, names = group_codes(groups, n=len(matrix))
        sample = check_weights(sample_weight, n=len(matrix))
        weights = training_weights(labels, sample, balanced=self.settings.balanced)
        val, n_epochs, note = self._validation_part(labels, groups)
        train_rows, val_rows = np.flatnonzero(~val), np.flatnonzero(val)
        inputs, directions = self._inputs(matrix, train_rows)
        self.n_features = matrix.shape[1]
        n_inputs = self.n_features if directions is None else directions.shape[1]
        generator = torch.Generator(device=self.device).manual_seed(self.seed)
        network = build_network(
            n_inputs, self.settings.hidden, dropout=self.settings.dropout, seed=self.seed, generator=generator
        ).to(self.device)
        if self.start is not None:
            assert self.start.network is not None
            network.load_state_dict(self.start.network.state_dict())
        plan = self._plan(n_epochs)
        warm = self.start is not None
        report = train(
            network, inputs, labels, weights, train_rows, val_rows, plan=plan, device=self.device, judge_start=warm
        )
        if directions is not None:
            widen_first_layer(network, torch.from_numpy(directions).to(self.device))
        self.network = network.eval()
        self.info = {
            **asdict(self.settings),
            "early_stopping": note,
            **report,
            "n_inputs": n_inputs,
            "n_train": len(train_rows),
            "n_val": len(val_rows),
            "n_groups_train": len(names),
            "share_fake_train": float(labels.mean()),
        }
        return self

    def _plan(self, n_epochs: int) -> TrainingPlan:
        """What the training loop needs to know."""
        own = self.settings
        return TrainingPlan(
            optimiser=own.optimiser,
            learning_rate=own.learning_rate,
            weight_decay=own.weight_decay,
            batch_size=own.batch_size,
            n_steps_min=own.n_steps_min,
            n_epochs=n_epochs,
            patience=own.patience or n_epochs,
            seed=self.seed,
        )

    def _validation_part(self, y: IntArray, groups: Groups) -> tuple[npt.NDArray[np.bool_], int, str]:
        """Mask of the validation rows, epochs to train, and a note for ``info``."""
        nobody = np.zeros(len(y), dtype=bool)
        if self.settings.patience is None:
            return nobody, self.settings.n_epochs, "off: all epochs are trained"
        if max_folds(groups, y) < 2:
            note = "off: a class stands in fewer than two source groups, so there is no validation part"
            return nobody, self.settings.n_epochs_unvalidated, note
        val = held_out(groups, y, fraction=self.settings.val_fraction, seed=self.seed)
        return val, self.settings.n_epochs, "on: best state on held-out source groups"

    def _inputs(self, X: Float32Array, train_rows: IntArray) -> tuple[Inputs, Float32Array | None]:
        """What the first layer sees in training, and the directions [d, r] it was reduced to (None: all features)."""
        given = None if self.start is None else self.start.scaler
        if self.start is not None:
            check_features(X[:1], n_features=self.start.n_features)
        scaler = given or Standardiser.fit(X, rows=train_rows, blocks=self.settings.blocks)
        self.scaler = scaler
        rotation = None
        # Given weights speak outside the span of a few rows too, so there is nothing to be left out.
        if (
            self.settings.rotate and given is None and Rotation.pays(len(train_rows), X.shape[1])
        ):  # asked first: big rows are not copied
            scaled = X[train_rows]
            rotation = Rotation.of(scaler.apply(scaled, out=scaled))
        if rotation is None:
            return (lambda rows: scaler.apply(X[rows])), None
        directions = scaled.T @ rotation.basis.astype(np.float32)  # [d, r], orthonormal
        # One factor for all, so that a direction has unit variance on average, as standardised features have.
        directions *= np.float32(1 / max(float(rotation.Z.std(axis=0).mean()), 1e-6))
        chunks = range(0, len(X), CHUNK_ROWS)
        Z = np.concatenate([scaler.apply(X[s : s + CHUNK_ROWS]) @ directions for s in chunks])
        return (lambda rows: Z[rows]), directions

    def predict_p_fake(self, X: npt.ArrayLike) -> Float64Array:
        """P(fake) float64 [n]; see ``Classifier.predict_p_fake``."""
        if self.network is None or self.scaler is None:
            raise ValueError(f"The model '{self.name}' is not trained yet.")
        matrix = check_features(X, n_features=self.n_features)
        scaler = self.scaler
        logit = logits(self.network, lambda rows: scaler.apply(matrix[rows]), np.arange(len(matrix)), self.device)
        return expit(logit)

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """What is stored of the trained model."""
        assert self.network is not None
        assert self.scaler is not None
        layers = {f"network.{k}": v.cpu().numpy() for k, v in self.network.state_dict().items()}
        return {"scaler.mean": self.scaler.mean, "scaler.scale": self.scaler.scale} | layers

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes that ``arrays`` has by settings and card; known before anything is built."""
        d = int(self.n_features or 0)
        found: dict[str, tuple[int, ...]] = {"scaler.mean": (d,), "scaler.scale": (d,)}
        for i, (n_in, n_out) in enumerate(pairwise((d, *self.settings.hidden, 1))):
            at = f"network.{MODULES_PER_LAYER * i}"
            found |= {f"{at}.weight": (n_out, n_in), f"{at}.bias": (n_out,)}
        return found

    def restore(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Take stored arrays of these shapes."""
        self.scaler = Standardiser(mean=arrays["scaler.mean"], scale=arrays["scaler.scale"])
        generator = torch.Generator(device=self.device)
        network = build_network(
            int(self.n_features or 0),
            self.settings.hidden,
            dropout=self.settings.dropout,
            seed=self.seed,
            generator=generator,
        )
        network.load_state_dict({k: torch.from_numpy(arrays[f"network.{k}"].copy()) for k in network.state_dict()})
        self.network = network.to(self.device).eval()
