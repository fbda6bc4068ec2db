"""Local training: what a hospital does with the global model before it clips and seals.

Deterministic on one machine and one set of versions; it is not replayed by an auditor, who replays
the aggregate.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.random import Generator, Philox
from torch import Tensor

from federated.canonical import tagged_hash
from federated.errors import TrainingError
from federated.families import is_running
from federated.grid import Grid
from federated.models import update_schema
from federated.networks import deterministic, logits, to_torch, varied
from federated.schema import Array, Parameters
from federated.spec import StudySpec, Training
from federated.state import GlobalState
from federated.strategies import strategy_of
from federated.tasks.losses import loss_of

Gradients: TypeAlias = Sequence[Tensor]
Records: TypeAlias = tuple[Array, Array]
"""Inputs (n, width) float32 and labels (n,), of a survival study (n, 2)."""
Lie: TypeAlias = Callable[[dict[str, Array]], dict[str, Array]]
"""What a hospital makes of its update (float64) before it clips."""


@dataclass(frozen=True, slots=True)
class Pull:
    """What a strategy adds to each gradient: μ·(w − start), and a constant by tensor (float64).

    Tensors in `free` are not pulled toward the start.
    """

    proximal: float = 0.0
    correction: Parameters | None = None
    free: frozenset[str] = frozenset()

    def towards(self, start: Parameters) -> Callable[[Gradients, Gradients], Gradients]:
        """(gradients, weights) → gradients, both in the order of `start`; nothing is added to 0."""
        anchors = list(to_torch(start).values())
        rates = [0.0 if name in self.free else self.proximal for name in start]
        constants = [] if self.correction is None else [self.correction[name] for name in start]
        added = [torch.from_numpy(constant.astype(np.float32)) for constant in constants]

        def pulled(gradients: Gradients, weights: Gradients) -> Gradients:
            with torch.no_grad():
                if self.proximal:
                    pairs = zip(gradients, weights, anchors, rates, strict=True)
                    gradients = [torch.add(g, w - a, alpha=rate) for g, w, a, rate in pairs]
                if added:
                    gradients = [g + c for g, c in zip(gradients, added, strict=True)]
            return gradients

        return pulled


def local_update(
    parameters: Parameters,
    inputs: Array,
    labels: Array,
    spec: StudySpec,
    *,
    hospital: str,
    round_number: int,
    correction: Parameters | None = None,
) -> dict[str, Array]:
    """Trained minus given parameters, and what else the strategy has an update carry; float64.

    `inputs` (n, width) float32 and `labels`, as the study's task has them, are in the order of the
    records' local keys. `hospital` is the name that seeds its shuffles, with the study's seed and
    the round; it is not the index on-chain, which depends on who enrolled first. `correction` is
    the strategy's, for what the hospital kept.
    """
    order = shuffles(spec.seed, hospital, round_number)
    strategy, training = strategy_of(spec.strategy.name), spec.training
    pull = Pull(strategy.proximal(spec.strategy.config), correction)
    trained = fit(parameters, inputs, labels, spec, training, order, pull=pull)
    change = {name: trained[name].astype(np.float64) - parameters[name] for name in parameters}
    if correction is None:
        return change
    rate = training.learning_rate * training.steps(len(labels))
    return {**change, **strategy.control(correction, change, rate)}


@dataclass(frozen=True, slots=True)
class Trained:
    """An update as flat grid steps in its schema's order, and what it leaves of the tensors."""

    steps: Array
    left: Parameters


def local_training(
    start: GlobalState,
    records: Records,
    spec: StudySpec,
    *,
    hospital: str,
    round_number: int,
    own: Parameters | None = None,
    lie: Lie | None = None,
) -> Trained:
    """A hospital's round, to what it submits.

    `own` is what it kept of its last one (`kept_of`); `lie` is what one that lies makes of the
    honest update before it clips.
    """
    schema, strategy = update_schema(spec), strategy_of(spec.strategy.name)
    begin = strategy.begins(start.parameters, own)
    delta = local_update(
        begin,
        *records,
        spec,
        hospital=hospital,
        round_number=round_number,
        correction=strategy.correction(start.server, own),
    )
    sent = {tensor.name: delta[tensor.name] for tensor in schema.tensors}
    left = {name: begin[name] + delta[name] for name in begin if name not in sent}
    steps = Grid.of(spec.grid).quantise(lie(sent) if lie else sent, schema)
    return Trained(schema.flatten(steps), left)


def local_round(
    start: GlobalState,
    records: Records,
    spec: StudySpec,
    *,
    hospital: str,
    round_number: int,
    own: Parameters | None = None,
    lie: Lie | None = None,
) -> Array:
    """The update of `local_training`."""
    return local_training(
        start, records, spec, hospital=hospital, round_number=round_number, own=own, lie=lie
    ).steps


def kept_of(spec: StudySpec, update: Array, left: Parameters | None = None) -> Parameters | None:
    """What a hospital keeps of what it trained; None where the strategy keeps nothing."""
    strategy = strategy_of(spec.strategy.name)
    if not strategy.keeps:
        return None
    sent = Grid.of(spec.grid).dequantise(update_schema(spec).unflatten(update))
    return strategy.kept(sent, left or {})


def shuffles(seed: int, hospital: str, round_number: int) -> Generator:
    """The source of a hospital's shuffles in one round."""
    key = tagged_hash("consilium/shuffle/1", seed, hospital, round_number)
    return Generator(Philox(key=int.from_bytes(key[:16], "big")))


def fit(
    parameters: Parameters,
    inputs: Array,
    labels: Array,
    spec: StudySpec,
    training: Training,
    order: Generator,
    *,
    pull: Pull | None = None,
    only: frozenset[str] | None = None,
) -> dict[str, Array]:
    """Parameters after `training.steps` of stochastic gradient descent; float32.

    `pull` is what a strategy adds to the loss's gradients. With `only`, these tensors learn and all
    others stay, the running ones too.
    Raises `TrainingError` without records, and when a parameter is no longer finite.
    """
    if not len(inputs) or len(inputs) != len(labels):
        raise TrainingError(f"{len(inputs)} records and {len(labels)} labels; nothing to train on")
    tensors = to_torch(parameters)
    learned = [x for x in tensors if not is_running(x) and (only is None or x in only)]
    weights = [tensors[name].requires_grad_() for name in learned]
    pulled = (pull or Pull()).towards({name: parameters[name] for name in learned})
    momenta = [torch.zeros_like(tensor) for tensor in weights]
    x = torch.from_numpy(np.array(inputs, dtype=np.float32))  # (n, width)
    y = torch.from_numpy(np.array(labels, dtype=np.float32))  # (n,) or (n, 2)
    lost = loss_of(spec)
    with deterministic():
        for patients, truth in _batches(x, y, training, order):  # (batch, width), (batch,)
            seen = varied(patients, spec, order)
            outputs = logits(tensors, seen, spec, training=only is None)  # (batch,) or (batch, K)
            loss = lost(outputs, truth)
            gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
            _descend(weights, pulled(gradients, weights), momenta, training)
    trained: dict[str, Array] = {name: t.detach().numpy() for name, t in tensors.items()}
    for name, array in trained.items():
        if not np.isfinite(array).all():
            raise TrainingError(f"tensor {name} is not finite; lower training.learning_rate")
    return trained


def _batches(
    x: Tensor, y: Tensor, training: Training, order: Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Shuffled batches of one pass over the records after the other; the last may be smaller."""
    left = training.steps(len(x))
    while left:
        shuffled = torch.from_numpy(order.permutation(len(x)))
        parts = (torch.split(part[shuffled], training.batch_size) for part in (x, y))
        for batch in itertools.islice(zip(*parts, strict=True), left):
            yield batch
            left -= 1


def _descend(
    tensors: Sequence[Tensor],
    gradients: Sequence[Tensor],
    momenta: Sequence[Tensor],
    training: Training,
) -> None:
    """One step of gradient descent in place, as torch.optim.SGD takes it.

    Written out because torch.optim imports torch's compiler, seconds that each process would pay.
    """
    with torch.no_grad():
        for tensor, gradient, momentum in zip(tensors, gradients, momenta, strict=True):
            momentum.mul_(training.momentum).add_(gradient)
            momentum.add_(tensor, alpha=training.weight_decay)
            tensor.sub_(momentum, alpha=training.learning_rate)
