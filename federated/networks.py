"""What a study's model computes, in torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor
from torch.utils import deterministic as memory

from federated.errors import FamilyError
from federated.families import Family, family_of
from federated.models import input_shape
from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.tasks import task_of

_BATCH = 4096


@contextmanager
def deterministic() -> Iterator[None]:
    """One intra-op thread and deterministic algorithms, and what was set before afterwards."""
    threads, mode = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    filling = memory.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    torch.set_deterministic_debug_mode("error")  # use_deterministic_algorithms imports a compiler
    # Of use to whoever reads memory that nothing wrote; nothing here does, and it takes a tenth.
    memory.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(mode)
        memory.fill_uninitialized_memory = filling  # type: ignore[attr-defined]


def to_torch(parameters: Parameters) -> dict[str, Tensor]:
    """Copies as torch tensors, by name."""
    return {name: torch.from_numpy(np.array(array)) for name, array in parameters.items()}


def logits(
    parameters: Mapping[str, Tensor], inputs: Tensor, spec: StudySpec, *, training: bool = False
) -> Tensor:
    """What the model gives: of a binary one the log odds of the positive label.

    # (n, width) → (n,), or (n, outputs) where there are several. While `training`, batch
    normalisation moves its running tensors in place.
    """
    model, shape = spec.model, input_shape(spec)
    found = _family(spec).forward(parameters, inputs, model.config, shape, training=training)
    return found.squeeze(1)


def probabilities(parameters: Parameters, inputs: Array, spec: StudySpec) -> Array:
    """Probability of the positive label.  # (n, width) float32 → (n,) float64"""
    tensors = to_torch(parameters)
    with deterministic(), torch.no_grad():
        parts = [
            torch.sigmoid(logits(tensors, torch.from_numpy(inputs[i : i + _BATCH]), spec).double())
            for i in range(0, len(inputs), _BATCH)
        ]
    result: Array = torch.cat(parts).numpy() if parts else np.zeros(0)
    return result


def varied(inputs: Tensor, spec: StudySpec, order: Generator) -> Tensor:
    """Inputs as training sees them this time, by the family and its settings.

    # (n, width) → (n, width)
    """
    return _family(spec).varied(inputs, spec.model.config, input_shape(spec), order)


def _family(spec: StudySpec) -> Family:
    """Raises `FamilyError` where an installed one has other tensors than the spec declares."""
    model, family = spec.model, family_of(spec.model)
    if model.digest is not None:
        has = family.shapes(model.config, input_shape(spec), task_of(spec.task).outputs(spec))
        if has != {tensor.name: tensor.shape for tensor in model.tensors or ()}:
            raise FamilyError(f"family {model.name!r} has other tensors than the study declares")
    return family
