"""Opponents that are not weak: linear models at the optimum of a penalised loss, penalty by folds.

Each is fitted by L-BFGS on all its records, the penalty chosen by cross-validated loss among them;
no test record is read. Inputs are standardised by what the model learns from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.random import Generator, Philox
from scipy.optimize import minimize

from federated.networks import deterministic
from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.tasks.losses import Loss, loss_of
from federated.training import Records

FOLDS = 5
PENALTIES = tuple(10.0**power for power in np.arange(-4, 1.01, 0.5))


def folds(records: Records, seed: int) -> Iterator[tuple[Records, Records]]:
    """What is learned from and what is held out, `FOLDS` times; labels are spread evenly."""
    inputs, labels = records
    order = Generator(Philox(key=seed)).permutation(len(inputs))
    group = labels if labels.ndim == 1 else labels[:, 1]
    order = order[np.argsort(group[order], kind="stable")]
    fold = np.empty(len(order), dtype=np.int64)
    fold[order] = np.arange(len(order)) % FOLDS
    for number in range(FOLDS):
        held = fold == number
        yield (inputs[~held], labels[~held]), (inputs[held], labels[held])


def fit_tuned(
    records: Records, spec: StudySpec, penalties: Sequence[float], seed: int
) -> Parameters:
    """The linear model whose penalty has the least cross-validated loss."""
    losses = []
    parts = list(folds(records, seed))
    for penalty in penalties:
        fitted = [fit_penalised(learned, spec, penalty) for learned, _ in parts]
        held = [_loss(p, own, spec) for p, (_, own) in zip(fitted, parts, strict=True)]
        losses.append(float(np.mean(held)))
    return fit_penalised(records, spec, penalties[int(np.argmin(losses))])


def fit_penalised(records: Records, spec: StudySpec, penalty: float) -> Parameters:
    """The least mean loss plus ½·penalty·‖weights‖², the bias free."""
    inputs, labels = records
    mean, deviation = inputs.mean(axis=0), inputs.std(axis=0)
    deviation = np.where(deviation > 0, deviation, 1.0)
    x = torch.from_numpy(((inputs - mean) / deviation).astype(np.float64))
    y = torch.from_numpy(labels.astype(np.float64))
    lost = loss_of(spec)
    with deterministic():
        found = minimize(
            lambda flat: _objective(flat, x, y, lost, penalty),
            np.zeros(inputs.shape[1] + 1),
            jac=True,
            method="L-BFGS-B",
        )
    weights = found.x[:-1] / deviation
    bias = found.x[-1] - (weights * mean).sum()
    return {"out.weight": weights[None, :], "out.bias": np.array([bias])}


def _objective(
    flat: Array, x: torch.Tensor, y: torch.Tensor, lost: Loss, penalty: float
) -> tuple[float, Array]:
    weights = torch.from_numpy(flat).requires_grad_()
    loss = lost(x @ weights[:-1] + weights[-1], y) + penalty / 2 * weights[:-1].square().sum()
    (gradient,) = torch.autograd.grad(loss, [weights])
    return float(loss.detach()), gradient.numpy()


def _loss(parameters: Parameters, records: Records, spec: StudySpec) -> float:
    x, y = (torch.from_numpy(part.astype(np.float64)) for part in records)
    outputs = x @ torch.from_numpy(parameters["out.weight"][0]) + float(parameters["out.bias"][0])
    return float(loss_of(spec)(outputs, y))
