"""A round's local training in pieces that any worker can do: a few hospitals, and their start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from federated.grid import Grid
from federated.models import parameter_schema
from federated.schema import Array, Parameters
from federated.spec import StudySpec
from federated.training import local_update

Records = tuple[Array, Array]
"""Inputs (n, width) float32 and labels (n,)."""

Lie = Callable[[dict[str, Array]], dict[str, Array]]
"""What a hospital makes of its update (float64) before it clips."""

_MOST = 16
_NUMBERS = 1_000_000  # of the updates that one piece gives back


@dataclass(frozen=True, slots=True)
class Piece:
    """Hospitals by name with what they train on, from one start."""

    spec: StudySpec
    start: Parameters
    round_number: int
    hospitals: tuple[tuple[str, Records], ...]
    lies: Mapping[str, Lie]


def pieces(
    spec: StudySpec,
    start: Parameters,
    round_number: int,
    cohort: Mapping[str, Records],
    lies: Mapping[str, Lie],
) -> Iterator[Piece]:
    """The round in the cohort's order; large models go one by one, small ones together."""
    at_once = max(1, min(_MOST, _NUMBERS // parameter_schema(spec).size))
    left = iter(cohort.items())
    while hospitals := tuple(islice(left, at_once)):
        told = {name: lies[name] for name, _ in hospitals if name in lies}
        yield Piece(spec, start, round_number, hospitals, told)


def train_piece(piece: Piece) -> list[Array]:
    """Each hospital's update as flat grid steps.  # (size,) of the grid's integers"""
    spec = piece.spec
    schema, grid = parameter_schema(spec), Grid.of(spec.grid)
    updates = []
    for name, (inputs, labels) in piece.hospitals:
        delta = local_update(
            piece.start, inputs, labels, spec, hospital=name, round_number=piece.round_number
        )
        if name in piece.lies:
            delta = piece.lies[name](delta)
        updates.append(schema.flatten(grid.quantise(delta, schema)))
    return updates
