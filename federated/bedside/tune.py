"""A global model that goes on learning on one hospital's patients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.tasks.reading import loss_on
from federated.training import Pull, fit, shuffles

RATES = (0.1, 0.3)
"""Learning rates that are tried, as shares of the study's: what was learned shall not be undone."""

PASSES = 10
"""How often at most the hospital's records are gone through."""


def fine_tune(
    start: Parameters,
    train: tuple[Array, Array],
    validation: tuple[Array, Array],
    spec: StudySpec,
    *,
    hospital: str,
    only: frozenset[str] | None = None,
) -> dict[str, Array]:
    """The parameters with the least validation loss on the way, `start` among them.

    `train` and `validation` are inputs (n, width) float32 and the task's labels in the order of
    local keys. The study's seed and `hospital` drive the shuffles: same records, same model. With
    `only`, the others of the tensors stay as they are.
    """
    best = {name: np.array(array) for name, array in start.items()}
    least = loss_on(best, validation, spec)
    for rate in RATES:
        learning_rate = spec.training.learning_rate * rate
        training = replace(spec.training, epochs=1, updates=None, learning_rate=learning_rate)
        parameters: Parameters = start
        for turn in range(1, PASSES + 1):
            order = shuffles(spec.seed, f"personal {hospital}", turn)
            parameters = fit(parameters, *train, spec, training, order, only=only)
            if (loss := loss_on(parameters, validation, spec)) < least:
                best, least = dict(parameters), loss
    return best


def head_of(parameters: Parameters) -> frozenset[str] | None:
    """The tensors of a model's last layer; None where it has no other, or none that learns."""
    head = frozenset(name for name in parameters if name.startswith("out."))
    return head if head and len(head) < len(parameters) else None


def hold_near(
    start: Parameters,
    train: tuple[Array, Array],
    spec: StudySpec,
    strength: float,
    *,
    hospital: str,
) -> dict[str, Array]:
    """A model of one hospital's records whose loss has the term ½·strength·‖w − start‖² (Ditto).

    w is all but the last layer's bias: how common an outcome is differs by hospital, and no other
    tensor says it. It trains as long as the hospital did in all of the study's rounds. Raises
    `TrainingError` where it diverges.
    """
    once = spec.training
    longer = (
        replace(once, epochs=spec.rounds * once.epochs)
        if once.updates is None
        else replace(once, updates=spec.rounds * once.updates)
    )
    order = shuffles(spec.seed, f"ditto {hospital}", 1)
    return fit(
        start, *train, spec, longer, order, pull=Pull(strength, free=frozenset({"out.bias"}))
    )
