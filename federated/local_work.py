"""A round's local training in pieces that any worker can do: a few hospitals, and their start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from federated.models import update_schema
from federated.schema import Parameters
from federated.spec import StudySpec
from federated.state import GlobalState
from federated.training import Lie, Records, Trained, local_training

_MOST = 16  # hospitals of one piece
_AT_LEAST = 64  # pieces, where there are as many hospitals: no core must wait for another's pile
_NUMBERS = 1_000_000  # of the updates that one piece gives back


@dataclass(frozen=True, slots=True)
class Piece:
    """Hospitals by name with what they train on, from one start; what they kept, and their lies."""

    spec: StudySpec
    start: GlobalState
    round_number: int
    hospitals: tuple[tuple[str, Records], ...]
    kept: Mapping[str, Parameters]
    lies: Mapping[str, Lie]


def pieces(
    spec: StudySpec,
    start: GlobalState,
    round_number: int,
    cohort: Mapping[str, Records],
    kept: Mapping[str, Parameters],
    lies: Mapping[str, Lie],
) -> Iterator[Piece]:
    """The round in the cohort's order; large models go one by one, many small ones together."""
    many = min(_MOST, _NUMBERS // update_schema(spec).size, len(cohort) // _AT_LEAST)
    at_once = max(1, many)
    left = iter(cohort.items())
    while hospitals := tuple(islice(left, at_once)):
        own = {name: kept[name] for name, _ in hospitals if name in kept}
        told = {name: lies[name] for name, _ in hospitals if name in lies}
        yield Piece(spec, start, round_number, hospitals, own, told)


def train_piece(piece: Piece) -> list[Trained]:
    """What each hospital trained."""
    return [
        local_training(
            piece.start,
            records,
            piece.spec,
            hospital=name,
            round_number=piece.round_number,
            own=piece.kept.get(name),
            lie=piece.lies.get(name),
        )
        for name, records in piece.hospitals
    ]
