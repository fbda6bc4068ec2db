"""Attacks on published figures: differences of tables, rows that pose as people, zeros that lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.errors import RecordError
from federated.evaluation.disclosure import (
    NOTHING,
    blurred,
    differ_by_few,
    enough,
    only_area,
    pool_tells,
    tellable,
)
from federated.evaluation.paired import Difference
from federated.metrics import Confusion, confusion, scores
from federated.results import NUMBERS, Results, read_results, write_results
from federated.schema import Array
from storage.cid import dag_cbor_cid
from storage.embedded import EmbeddedStore
from storage.signing import Sender, SigningKey

WORD = bytes(32)


@pytest.fixture
def store(tmp_path: Path) -> EmbeddedStore:
    return EmbeddedStore.create(tmp_path / "store")


@pytest.fixture
def sender() -> Sender:
    return Sender(bytes(20), SigningKey.generate())


def labels(positives: int, negatives: int) -> Array:
    return np.array([1.0] * positives + [0.0] * negatives)


def test_five_of_each_label_are_enough_and_four_are_not() -> None:
    assert enough(labels(5, 5))
    assert not enough(labels(4, 50))
    assert not enough(labels(50, 4))


def test_ten_rows_of_four_people_are_four_people() -> None:
    truth = labels(10, 20)
    visits = np.array([f"p{i % 4}" for i in range(10)] + [f"n{i}" for i in range(20)])
    assert enough(truth)
    assert not enough(truth, visits)
    visits[:10] = [f"p{i % 5}" for i in range(10)]
    assert enough(truth, visits)


def subtracted(pool: Confusion, seen: Sequence[Confusion]) -> tuple[int, int]:
    """The attack: who is left of the pool after all that is shown, positives and negatives."""
    positives = pool.tp + pool.fn - sum(x.tp + x.fn for x in seen)
    return positives, pool.total - sum(x.total for x in seen) - positives


def test_the_pool_less_what_is_shown_would_be_the_hidden_hospital() -> None:
    sites = {"north": labels(20, 40), "harbor": labels(9, 30), "rare": labels(2, 25)}
    tables = {name: confusion(x, np.full(len(x), 0.6)) for name, x in sites.items()}
    pool = sum((tables["harbor"], tables["rare"]), start=tables["north"])
    assert subtracted(pool, [tables["north"], tables["harbor"]]) == (2, 25)
    assert pool_tells(sites)


def test_a_hidden_hospital_that_subtracts_itself_would_get_the_other_hidden_one() -> None:
    seen, few, others = labels(5, 5), labels(4, 6), labels(4, 6)
    both = np.concatenate([few, others])
    assert enough(both)  # for an outsider the two together are many
    tables = [confusion(x, np.full(len(x), 0.6)) for x in (seen, few, others)]
    pool = sum(tables[1:], start=tables[0])
    assert subtracted(pool, [tables[0], tables[1]]) == (4, 6)  # for one of the two they are not
    assert pool_tells({"a": seen, "b": few, "c": others})
    assert not pool_tells({"a": seen, "b": few, "c": others, "d": labels(4, 6)})


def test_a_pool_tells_nothing_where_no_hospital_is_hidden() -> None:
    assert not pool_tells({"a": labels(5, 5), "b": labels(50, 5)})
    assert pool_tells({"a": labels(5, 5), "b": labels(0, 0)})


def test_two_tables_around_one_withdrawal_would_give_that_patient() -> None:
    order = np.random.default_rng(1)
    truth, chances = labels(12, 18), order.random(30)
    before, after = confusion(truth, chances), confusion(truth[1:], chances[1:])
    assert before.tp + before.fn - after.tp - after.fn == 1  # it was one with the finding
    people = {f"p{i}" for i in range(30)}
    assert differ_by_few(people - {"p0"}, [people])
    assert differ_by_few(people, [people - {"p0"}])
    assert differ_by_few(people - {"p0"} | {"new"}, [people])
    assert differ_by_few(people - {"p0"}, [{"x"}, people, set()])


def test_the_same_people_and_quite_other_people_may_be_told() -> None:
    people = {f"p{i}" for i in range(30)}
    assert not differ_by_few(people, [])
    assert not differ_by_few(people, [people])
    assert not differ_by_few(people - {f"p{i}" for i in range(5)}, [people])
    assert not differ_by_few({f"q{i}" for i in range(30)}, [people])


MOVES = st.lists(
    st.tuples(st.booleans(), st.sets(st.integers(0, 39), max_size=6)), min_size=1, max_size=8
)


@settings(deadline=None)
@given(MOVES, st.randoms(use_true_random=False))
def test_no_two_tables_of_a_hospital_differ_by_one_to_four_people(
    moves: list[tuple[bool, set[int]]], order: Random
) -> None:
    people, told = {f"p{i}" for i in range(30)}, []
    for joins, some in moves:
        names = {f"p{i}" for i in some}
        people = people | names if joins else people - names
        chosen = tellable(people, told, order)
        assert chosen <= people
        assert not differ_by_few(chosen, told)
        told.append(chosen)


def test_with_who_leaves_four_others_stay_out_and_who_they_are_is_drawn() -> None:
    before = frozenset(f"p{i:02}" for i in range(30))
    after = [tellable(before - {"p00"}, [before], Random(seed)) for seed in range(20)]
    assert {len(people) for people in after} == {25}
    assert len(set(after)) > 15


def test_who_joins_waits_until_five_have_joined() -> None:
    before = frozenset(f"p{i:02}" for i in range(30))
    assert tellable(before | {"new"}, [before], Random(1)) == before
    five = before | {f"new{i}" for i in range(5)}
    assert tellable(five, [before], Random(1)) == five


def test_after_a_withdrawal_the_same_people_are_told_of_round_after_round() -> None:
    before = frozenset(f"p{i:02}" for i in range(30))
    first = tellable(before - {"p00"}, [before], Random(1))
    for seed in range(2, 6):
        assert tellable(before - {"p00"}, [before, first], Random(seed)) == first


def test_of_a_handful_nobody_is_told_when_one_leaves() -> None:
    before = frozenset("abcdefg")
    assert not enough(labels(2, len(tellable(before - {"a"}, [before], Random(1))) - 2))


def test_no_figure_of_a_rounded_pool_is_a_fraction_of_its_counts() -> None:
    order = np.random.default_rng(1)
    truth = labels(7, 23)
    exact = scores(truth, order.random(30))
    rounded = only_area(exact)
    assert exact.balanced_accuracy is not None
    assert rounded == replace(NOTHING, auc=rounded.auc)
    assert rounded.auc is not None
    assert round(rounded.auc.value, 3) == rounded.auc.value
    assert round(161 * rounded.auc.value, 6) % 1  # 7 · 23 pairs: no longer a whole number of them


def test_a_p_is_rounded_with_its_difference() -> None:
    assert blurred(Difference(0.12345, -0.1, 0.34567, 0.0004567)) == Difference(
        0.123, -0.1, 0.346, 0.0
    )
    assert blurred(Difference(1.0, 1.0, 1.0, None)) == Difference(1.0, 1.0, 1.0, None)
    assert blurred(None) is None


def test_suppressed_counts_are_none_and_not_zero() -> None:
    zeros = dict.fromkeys(NUMBERS, 0)
    place = (WORD, 1, 1, 0, WORD, "test")
    assert Results(*place, suppressed=True, **zeros).counts is None
    assert Results(*place, suppressed=True, **zeros).area is None
    told = Results(*place, suppressed=False, **zeros)
    assert told.counts == Confusion(0, 0, 0, 0)


def test_suppressed_results_that_carry_a_count_are_refused(
    store: EmbeddedStore, sender: Sender
) -> None:
    hidden = Results(WORD, 1, 1, 0, WORD, "test", True, *[0] * 7)
    assert read_results(store, dag_cbor_cid(write_results(store, hidden, sender)))[0] == hidden
    leaking = write_results(store, replace(hidden, fn=2), sender)
    with pytest.raises(RecordError, match="suppressed and yet give numbers"):
        read_results(store, dag_cbor_cid(leaking))
