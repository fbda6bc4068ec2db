"""What a process keeps must never stand for anything else than what the chain names."""

from __future__ import annotations

import numpy as np
import pytest

from federated import memory
from federated.aggregate import WeightedSum
from federated.errors import AggregationError
from federated.grid import Grid
from federated.judging import Judged
from federated.memory import Begun, Memory
from federated.models import update_schema
from federated.state import initial_state
from federated.studies import wisconsin_spec

SPEC = wisconsin_spec()
ONE, OTHER = b"\1" * 32, b"\2" * 32


def _sum() -> WeightedSum:
    return WeightedSum(update_schema(SPEC), Grid.of(SPEC.grid))


def test_a_state_is_found_by_its_digest_and_its_studys_spec_alone() -> None:
    kept, state = Memory(), initial_state(SPEC)
    kept.keep_state(ONE, ONE, state)
    assert kept.state(ONE, ONE) is state
    assert kept.state(ONE, OTHER) is None
    assert kept.state(OTHER, ONE) is None


def test_a_state_that_is_kept_cannot_be_altered_by_who_opens_it() -> None:
    kept, state = Memory(), initial_state(SPEC)
    kept.keep_state(ONE, ONE, state)
    for array in state.parameters.values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_the_newest_state_takes_the_place_of_the_one_before() -> None:
    kept = Memory()
    for digest in (ONE, OTHER):
        kept.keep_state(ONE, digest, initial_state(SPEC))
    assert kept.state(ONE, ONE) is None
    assert kept.state(ONE, OTHER) is not None


def test_a_state_too_large_to_stay_in_memory_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, state = Memory(), initial_state(SPEC)
    size = sum(array.nbytes for array in state.parameters.values())
    monkeypatch.setattr(memory, "MOST", size - 1)
    kept.keep_state(ONE, ONE, state)
    assert kept.state(ONE, ONE) is None
    monkeypatch.setattr(memory, "MOST", size)
    kept.keep_state(ONE, ONE, state)
    assert kept.state(ONE, ONE) is state


def test_a_sum_is_given_to_one_who_asks_for_its_round_and_then_to_nobody() -> None:
    kept, begun = Memory(), Begun(SPEC, _sum(), {ONE: (Judged(None, None), 1.0)})
    kept.keep_sum(1, 2, begun)
    assert kept.take_sum(1, 3) is None
    assert kept.take_sum(2, 2) is None
    assert kept.take_sum(1, 2) is begun
    assert kept.take_sum(1, 2) is None  # two threads never add to one sum


def test_a_sum_that_broke_off_is_not_kept() -> None:
    kept, begun = Memory(), Begun(SPEC, _sum(), {ONE: (Judged(None, None), 1.0)})
    with pytest.raises(AggregationError):
        begun.total.add([np.zeros(3, np.int64)], 1)
    assert not begun.total.is_usable
    kept.keep_sum(1, 2, begun)
    assert kept.take_sum(1, 2) is None


def test_an_empty_sum_does_not_take_anothers_place() -> None:
    kept, begun = Memory(), Begun(SPEC, _sum(), {ONE: (Judged(None, None), 1.0)})
    kept.keep_sum(1, 2, begun)
    kept.keep_sum(3, 1, Begun(SPEC, _sum()))
    assert kept.take_sum(1, 2) is begun
