"""The models that a round would have given without each hospital: the pure part of leave-one-out.

Without a hospital means: had it returned the model that it was given. Who does so contributes
exactly nothing. The sum of a round is exact, so leaving one update out is one subtraction, and
whoever holds the updates comes to the same bits. One vector is in memory beside the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from federated.aggregate import WeightedSum
from federated.metrics import Confusion, confusion
from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.state import GlobalState, next_state


@dataclass(frozen=True, slots=True)
class Update:
    """One included update: hospital index, grid steps (size,), frozen weight."""

    hospital: int
    steps: Array
    weight: int


def left_out_states(
    spec: StudySpec,
    start: GlobalState,
    round_number: int,
    total: WeightedSum,
    updates: Iterable[Update],
) -> Iterator[tuple[int | None, GlobalState]]:
    """The round's own end state first (None), then that without each of `updates`, in their order.

    `total` holds all of them and more than one. The strategy's step starts from `start` each time.
    """
    yield None, next_state(spec, start, total.mean(), round_number)
    for update in updates:
        mean = total.mean_without(update.steps, update.weight)
        yield update.hospital, next_state(spec, start, mean, round_number)


def counts_of(spec: StudySpec, parameters: Parameters, inputs: Array, labels: Array) -> Confusion:
    """Integer counts and loss of a model on a hospital's records.  # (n, width), (n,)"""
    from federated.networks import probabilities  # torch takes seconds: only who evaluates waits

    return confusion(labels, probabilities(parameters, inputs, spec))
