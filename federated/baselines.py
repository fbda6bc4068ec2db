"""Fair opponents: a model trained without federation, tuned on validation records.

A federated row that is set beside an untuned local or pooled model shows nothing.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from federated.metrics import confusion
from federated.models import initial_parameters
from federated.networks import probabilities
from federated.schema import Array
from federated.spec import StudySpec
from federated.training import fit, shuffles

LEARNING_RATES = (0.01, 0.03, 0.1)
WEIGHT_DECAYS = (0.001, 0.01)
STEPS = 5

Records = tuple[Array, Array]
"""Inputs (n, width) float32 and labels (n,)."""


def fit_baseline(
    train: Records, validation: Records, spec: StudySpec, name: str
) -> dict[str, Array]:
    """Parameters with the least validation loss over learning rates, weight decays and epochs.

    Up to `STEPS` times the study's epochs are trained. `name` seeds the shuffles. Without
    validation records the training loss decides.
    """
    judged = validation if len(validation[0]) else train
    best, best_loss = initial_parameters(spec), np.inf
    for rate in LEARNING_RATES:
        for decay in WEIGHT_DECAYS:
            training = replace(spec.training, learning_rate=rate, weight_decay=decay)
            parameters = initial_parameters(spec)
            for step in range(1, STEPS + 1):
                order = shuffles(spec.seed, f"baseline {name}", step)
                parameters = fit(parameters, *train, spec, training, order)
                loss = confusion(judged[1], probabilities(parameters, judged[0], spec)).loss
                if loss < best_loss:
                    best, best_loss = parameters, loss
    return best
