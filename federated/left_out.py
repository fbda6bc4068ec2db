"""The models that a round would have given without some hospitals: the pure part of contributions.

Without a hospital means: had it returned the model that it was given. Who does so contributes
exactly nothing. The sum of a round is exact, so taking updates out of it and summing the others are
the same to the bit, and whoever holds the updates comes to it. In memory are two vectors, the sum
and that of one model; the updates lie on disk meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from federated.aggregate import WeightedSum
from federated.contribution.coalitions import everyone, members
from federated.grid import Grid
from federated.metrics import LOSS_STEP, log_loss
from federated.models import update_schema
from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.state import GlobalState, next_state
from federated.updates import Updates


@dataclass(frozen=True, slots=True)
class Update:
    """One included update: hospital index, frozen weight, grid steps as flat segments in order.

    The segments are read once: where they come from a disk, one of them is in memory.
    """

    hospital: int
    segments: Iterable[Array]
    weight: int


def left_out_states(
    spec: StudySpec,
    start: GlobalState,
    round_number: int,
    total: WeightedSum,
    updates: Iterable[Update],
    withouts: Iterable[int],
    folder: Path | None = None,
) -> Iterator[tuple[int, GlobalState]]:
    """The round's end state without each of these sets of hospitals, in their order; 0 is its own.

    `total` holds all of `updates`, which are kept in `folder`. The strategy's step starts from
    `start` each time.
    """
    kept, places = Updates(update_schema(spec).size, Grid.of(spec.grid), folder), dict[int, int]()
    for update in updates:
        places[update.hospital] = len(kept)
        kept.add(update.segments, update.weight)
    for without in withouts:
        some = _without(spec, total, kept, places, without) if without else total
        yield without, next_state(spec, start, some.mean(over=total.weight), round_number)


def _without(
    spec: StudySpec, total: WeightedSum, kept: Updates, places: dict[int, int], without: int
) -> WeightedSum:
    """The sum less who is left out, or of the others: whichever reads fewer updates."""
    out = [places[index] for index in members(without)]
    rest = [places[index] for index in members(everyone(places) & ~without)]
    if len(out) <= len(rest):
        return total.without((kept.update(at), kept.weights[at]) for at in out)
    some = WeightedSum(update_schema(spec), Grid.of(spec.grid))
    for at in rest:
        some.add(kept.update(at), kept.weights[at])
    return some


def loss_of(spec: StudySpec, parameters: Parameters, inputs: Array, labels: Array) -> int:
    """A model's loss on a hospital's records in whole half nats, halves up.  # (n, width), (n,)"""
    from federated.networks import probabilities  # torch takes seconds: only who evaluates waits

    loss = log_loss(labels, probabilities(parameters, inputs, spec))
    return (loss + LOSS_STEP // 2) // LOSS_STEP
