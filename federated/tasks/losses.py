"""What local training lowers, by task; torch. Each is a mean over the batch's patients."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as nn
from torch import Tensor

from federated.spec import StudySpec
from federated.tasks import task_of
from federated.tasks.regression import on_scale

Loss = Callable[[Tensor, Tensor], Tensor]
"""Outputs (batch,) or (batch, K) and labels (batch, …) → ()."""


def loss_of(spec: StudySpec) -> Loss:
    """The loss of the study's task. Raises `SpecError` for an unknown task."""
    losses: dict[str, Loss] = {
        "binary": nn.binary_cross_entropy_with_logits,
        "multiclass": _cross_entropy,
        "regression": lambda outputs, labels: _squared(outputs, labels, spec),
        "survival": cox,
    }
    return losses[task_of(spec.task).name]


def cox(risks: Tensor, labels: Tensor) -> Tensor:
    """−log partial likelihood (Cox 1972) over the batch as its own risk sets, by its size.

    Ties are Breslow's: who has the event at a time is at risk with all whose time is not earlier.
    Dividing by the patients and not by the events lets a batch weigh as its events do.
    # (batch,), (batch, 2) of (time, event) → ()
    """
    times, events = labels[:, 0], labels[:, 1] == 1
    order = torch.argsort(times, descending=True, stable=True)
    at_risk = torch.logcumsumexp(risks[order], 0)  # of all whose time is as late or later
    last = torch.searchsorted(-times[order], -times[events], right=True) - 1
    return (at_risk[last] - risks[events]).sum() / len(risks)


def _cross_entropy(outputs: Tensor, labels: Tensor) -> Tensor:
    return nn.cross_entropy(outputs, labels.long())


def _squared(outputs: Tensor, labels: Tensor, spec: StudySpec) -> Tensor:
    wanted = torch.from_numpy(on_scale(labels.double().numpy(), spec)).to(outputs.dtype)
    return nn.mse_loss(outputs, wanted)
