"""What a model gives for patients, and how much it loses on them; torch."""

from __future__ import annotations

import numpy as np
import torch

from federated.networks import deterministic, logits, to_torch
from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.tasks import task_of

_BATCH = 4096


def outputs_of(parameters: Parameters, inputs: Array, spec: StudySpec) -> Array:
    """The model's outputs.  # (n, width) float32 → (n,) or (n, K) float64"""
    tensors, several = to_torch(parameters), task_of(spec.task).outputs(spec)
    with deterministic(), torch.no_grad():
        parts = [
            logits(tensors, torch.from_numpy(inputs[i : i + _BATCH]), spec).double()
            for i in range(0, len(inputs), _BATCH)
        ]
    empty = np.zeros((0, several) if several > 1 else 0)
    result: Array = torch.cat(parts).numpy() if parts else empty
    return result


def loss_on(parameters: Parameters, records: tuple[Array, Array], spec: StudySpec) -> int:
    """The task's loss summed over records of inputs (n, width) and labels."""
    inputs, labels = records
    return task_of(spec.task).loss(labels, outputs_of(parameters, inputs, spec), spec)
