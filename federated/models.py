"""A study's model: its tensors and initial parameters. No torch here.

What it computes is in `networks`. Initial parameters are drawn from the raw 64-bit words of Philox,
keyed by (seed, tensor name), and only scaled by IEEE operations, so every machine and numpy version
gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np

from federated.canonical import tagged_hash
from federated.errors import SpecError
from federated.families import shapes_of
from federated.grid import Grid
from federated.schema import Array, Schema
from federated.spec import StudySpec
from federated.strategies import strategy_of
from federated.tasks import task_of

MAX_PARAMETERS = 100_000_000
_SEGMENT = 1 << 16  # elements that are drawn at once: what a core keeps close


def input_shape(spec: StudySpec) -> tuple[int, ...]:
    """Shape of one patient's inputs: that of the only feature, or (number of values,)."""
    features = spec.data.features
    if len(features) == 1 and features[0].shape:
        return features[0].shape
    return (sum(math.prod(feature.shape) for feature in features),)


def parameter_schema(spec: StudySpec) -> Schema:
    """The model's tensors, float32. Raises `SpecError` for an unknown family or setting."""
    outputs = task_of(spec.task).outputs(spec)
    schema = Schema.of("F32", shapes_of(spec.model, input_shape(spec), outputs))
    if schema.size > MAX_PARAMETERS:
        raise SpecError("model.config", f"{schema.size} parameters; at most {MAX_PARAMETERS}")
    return schema


def update_schema(spec: StudySpec) -> Schema:
    """An update's tensors, integers on the study's grid: the model's, and what a strategy adds."""
    declared = strategy_of(spec.strategy.name).declared(parameter_schema(spec))
    return declared.with_dtype(Grid.of(spec.grid).dtype)


def initial_parameters(spec: StudySpec) -> dict[str, Array]:
    """Weights uniform in ±1/√fan-in, running variances one, all else zero; float32."""
    parameters: dict[str, Array] = {}
    for tensor in parameter_schema(spec).tensors:
        if not tensor.name.endswith(".weight"):
            level = float(tensor.name.endswith(".variance"))
            parameters[tensor.name] = np.full(tensor.shape, level, dtype=np.float32)
            continue
        key = tagged_hash("consilium/initial/1", spec.seed, tensor.name)
        words = np.random.Philox(key=int.from_bytes(key[:16], "big"))
        bound = 1 / math.sqrt(math.prod(tensor.shape[1:]))
        values = np.empty(tensor.size, dtype=np.float32)
        for start in range(0, tensor.size, _SEGMENT):
            part = values[start : start + _SEGMENT]
            raw = words.random_raw(len(part))
            unit = (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53  # [0, 1)
            part[:] = (unit * 2 - 1) * bound
        parameters[tensor.name] = values.reshape(tensor.shape)
    return parameters
