"""What every strategy makes of the same updates, twice in a row, for `strategies.json`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from federated.combining import total_of
from federated.models import parameter_schema, update_schema
from federated.schema import Array, Schema
from federated.spec import Choice, GridTerms, StudySpec
from federated.state import initial_state, next_state, state_digest

SERVER = {"learning_rate": 0.1, "beta1": 0.9, "tau": 0.001}
CHOICES = [
    Choice("fedavg"),
    Choice("scaffold", {"learning_rate": 0.5}),
    Choice("fedadam", SERVER | {"beta2": 0.99}),
    Choice("fedyogi", SERVER | {"beta2": 0.99}),
    Choice("fedadagrad", SERVER),
    Choice("median"),
    Choice("trimmed-mean", {"trimmed": 0.3}),
    Choice("krum", {"f": 1}),
    Choice("multi-krum", {"f": 1, "m": 3}),
    Choice("geometric-median", {"iterations": 3, "smoothing": 0.001}),
    Choice("norm-bounding", {"norm": "median"}),
    Choice("norm-bounding", {"norm": 1.5}),
]
BATCHES = Choice("mlp", {"hidden": [1], "normalise": "batch"})
WEIGHTS = [3, 1, 4, 1, 5, 9]


def strategy_vectors(spec: StudySpec) -> dict[str, Any]:
    """Six updates a round, the fifth far from the others, and each strategy's two states."""
    grid = GridTerms(clip_norm=100.0, grid_bits=8, max_weight=100)
    return {
        "grid_bits": grid.grid_bits,
        "weights": WEIGHTS,
        "strategies": [_states(replace(spec, strategy=choice, grid=grid)) for choice in CHOICES],
        "own_layers": _states(replace(spec, strategy=Choice("fedbn"), model=BATCHES, grid=grid)),
    }


def _states(spec: StudySpec) -> dict[str, Any]:
    schema, state, rounds = update_schema(spec), initial_state(spec), []
    model = parameter_schema(spec)
    start = _by_name(model, state.parameters)
    for number in (1, 2):
        total, updates = total_of(spec), _updates(schema, number)
        for update, weight in zip(updates, WEIGHTS, strict=True):
            total.add([update], weight)
        mean = total.mean()
        state = next_state(spec, state, mean, number)
        rounds.append(
            {
                "steps": [update.tolist() for update in updates],
                "mean_f64": schema.flatten(mean).astype("<f8").tobytes(),
                "parameters_f32": _by_name(model, state.parameters),
                "server_f64": {
                    name: _by_name(model, tensors) for name, tensors in state.server.items()
                },
                "state": state_digest(spec, state),
            }
        )
    return {
        "name": spec.strategy.name,
        "config": spec.strategy.config,
        "order": [tensor.name for tensor in schema.tensors],
        "start_f32": start,
        "rounds": rounds,
    }


def _updates(schema: Schema, number: int) -> list[Array]:
    """Small integers by a fixed rule; the fifth hospital's are large."""
    places = np.arange(schema.size)
    return [
        (((7 * i + 3 * places + number) * (i + 2) % 61 - 30) * (40 if i == 4 else 1)).astype("<i4")
        for i in range(len(WEIGHTS))
    ]


def _by_name(schema: Schema, tensors: Any) -> dict[str, bytes]:
    return {
        tensor.name: tensors[tensor.name]
        .astype(tensors[tensor.name].dtype.newbyteorder("<"))
        .tobytes()
        for tensor in schema.tensors
        if tensor.name in tensors
    }
