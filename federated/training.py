"""Local training: what a hospital does with the global model before it clips and seals.

Deterministic on one machine and one set of versions; it is not replayed by an auditor, who replays
the aggregate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as nn
from numpy.random import Generator, Philox
from torch import Tensor

from federated.canonical import tagged_hash
from federated.errors import TrainingError
from federated.networks import deterministic, logits, to_torch, varied
from federated.schema import Array, Parameters
from federated.spec import StudySpec, Training
from federated.strategies import strategy_of


def local_update(
    parameters: Parameters,
    inputs: Array,
    labels: Array,
    spec: StudySpec,
    *,
    hospital: str,
    round_number: int,
) -> dict[str, Array]:
    """Trained minus given parameters, float64.

    `inputs` (n, width) float32 and `labels` (n,) of 0 and 1 are in the order of the records' local
    keys. `hospital` is the name that seeds its shuffles, with the study's seed and the round; it is
    not the index on-chain, which depends on who enrolled first.
    """
    order = shuffles(spec.seed, hospital, round_number)
    mu = strategy_of(spec.strategy.name).proximal(spec.strategy.config)
    trained = fit(parameters, inputs, labels, spec, spec.training, order, proximal=mu)
    return {name: trained[name].astype(np.float64) - parameters[name] for name in parameters}


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
    proximal: float = 0.0,
) -> dict[str, Array]:
    """Parameters after `training.epochs` of stochastic gradient descent; float32.

    With `proximal` μ the loss has the term ½μ‖w − parameters‖² (Li et al. 2020).
    Raises `TrainingError` without records, and when a parameter is no longer finite.
    """
    if not len(inputs) or len(inputs) != len(labels):
        raise TrainingError(f"{len(inputs)} records and {len(labels)} labels; nothing to train on")
    tensors = {name: tensor.requires_grad_() for name, tensor in to_torch(parameters).items()}
    anchors = list(to_torch(parameters).values())
    momenta = [torch.zeros_like(tensor) for tensor in tensors.values()]
    x = torch.from_numpy(np.array(inputs, dtype=np.float32))  # (n, width)
    y = torch.from_numpy(np.array(labels, dtype=np.float32))  # (n,)
    with deterministic():
        for _ in range(training.epochs):
            shuffled = torch.from_numpy(order.permutation(len(x)))
            batches = (torch.split(part[shuffled], training.batch_size) for part in (x, y))
            for patients, truth in zip(*batches, strict=True):  # (batch, width), (batch,)
                odds = logits(tensors, varied(patients, spec, order), spec)  # (batch,)
                loss = nn.binary_cross_entropy_with_logits(odds, truth)
                weights = list(tensors.values())
                gradients = torch.autograd.grad(loss, weights)
                if proximal:
                    gradients = _held(gradients, weights, anchors, proximal)
                _descend(weights, gradients, momenta, training)
    trained: dict[str, Array] = {name: t.detach().numpy() for name, t in tensors.items()}
    for name, array in trained.items():
        if not np.isfinite(array).all():
            raise TrainingError(f"tensor {name} is not finite; lower training.learning_rate")
    return trained


def _held(
    gradients: Sequence[Tensor],
    tensors: Sequence[Tensor],
    anchors: Sequence[Tensor],
    proximal: float,
) -> tuple[Tensor, ...]:
    """Gradients of the loss with the proximal term, which is μ·(w − anchor)."""
    with torch.no_grad():
        triples = zip(gradients, tensors, anchors, strict=True)
        return tuple(torch.add(g, w - anchor, alpha=proximal) for g, w, anchor in triples)


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
