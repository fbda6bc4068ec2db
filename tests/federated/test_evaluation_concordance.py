"""Harrell's C against its definition pair by pair."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.evaluation import concordance as module
from federated.evaluation.concordance import concordance, concordance_interval
from federated.metrics import auc
from federated.schema import Array

PEOPLE = st.lists(
    st.tuples(st.integers(1, 6), st.booleans(), st.integers(0, 4)), min_size=1, max_size=30
)


def arrays(rows: list[tuple[int, bool, int]]) -> tuple[Array, Array, Array]:
    times, events, risks = (
        np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)
    )
    return times, events, risks


def by_definition(rows: list[tuple[int, bool, int]]) -> float | None:
    """Each pair in words: who had the event first, if that is known, and who was said to."""
    usable, right = 0, 0.0
    for one, two in itertools.combinations(rows, 2):
        first, second = sorted((one, two), key=lambda x: (x[0], not x[1]))
        known = first[1] and (first[0] < second[0] or not second[1])
        if known:
            usable += 1
            right += 1.0 if first[2] > second[2] else 0.5 if first[2] == second[2] else 0.0
    return right / usable if usable else None


@given(PEOPLE)
def test_it_is_the_share_of_pairs_told_rightly(rows: list[tuple[int, bool, int]]) -> None:
    known, found = by_definition(rows), concordance(*arrays(rows))
    assert (known is None) is (found is None)
    if known is not None:
        assert found == pytest.approx(known)


@given(PEOPLE)
def test_pieces_of_memory_do_not_change_it(rows: list[tuple[int, bool, int]]) -> None:
    whole = concordance(*arrays(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CELLS", 3)
        assert concordance(*arrays(rows)) == whole


def test_ties_are_those_on_paper() -> None:
    # At 2 a and b have the event: no order. c was last seen at 2 without it: later than both.
    times, events = np.array([2.0, 2.0, 2.0, 5.0]), np.array([1, 1, 0, 0])
    risks = np.array([3.0, 1.0, 1.0, 2.0])
    # Pairs: a–c right, a–d right, b–c equal, b–d wrong; c–d is of two censored.
    assert concordance(times, events, risks) == 2.5 / 4


def test_nobody_with_an_event_tells_nothing() -> None:
    assert concordance(np.array([1.0, 2.0]), np.zeros(2), np.array([1.0, 0.0])) is None
    assert concordance(np.zeros(0), np.zeros(0), np.zeros(0)) is None


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=40))
def test_with_one_time_of_events_it_is_the_auc(rows: list[tuple[bool, int]]) -> None:
    events, risks = (np.array(column, dtype=np.float64) for column in zip(*rows, strict=True))
    found, known = concordance(np.ones(len(rows)), events, risks), auc(events, risks)
    assert (found is None) is (known is None)
    if known is not None:
        assert found == pytest.approx(known.value)


def test_its_interval_holds_the_truth_and_is_the_same_in_a_replay() -> None:
    order = np.random.default_rng(2)
    risks = order.normal(size=120)
    times = order.exponential(np.exp(-risks))
    events = (order.random(120) < 0.6).astype(np.float64)
    found = [concordance_interval(times, events, risks, seed=1, name="x") for _ in range(2)]
    assert found[0] == found[1]
    assert found[0] is not None
    assert found[0].value == concordance(times, events, risks)
    assert 0.02 < found[0].high - found[0].low < 0.2
    assert found[0].low > 0.65


def test_few_events_told_without_error_are_not_called_certain() -> None:
    times, risks = np.arange(1.0, 9.0), -np.arange(1.0, 9.0)
    found = concordance_interval(times, np.array([1, 1, 1, 0, 0, 0, 0, 0]), risks, seed=1, name="x")
    assert found is not None
    assert (found.value, found.high) == (1, 1)
    assert found.low < 0.5


def test_risks_that_tell_nothing_are_right_half_the_time() -> None:
    order = np.random.default_rng(2)
    times, risks = order.random(20_000), order.random(20_000)
    events = (order.random(20_000) < 0.02).astype(np.float64)
    assert concordance(times, events, risks) == pytest.approx(0.5, abs=0.05)
