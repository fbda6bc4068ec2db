"""Bootstrap intervals: of people, inside labels, and the same in every replay."""

from __future__ import annotations

import numpy as np
import pytest

from federated.evaluation.bootstrap import DRAWS, percentile_interval
from federated.metrics import auc
from federated.schema import Array

ORDER = np.random.default_rng(3)
LABELS = (ORDER.random(60) < 0.3).astype(np.float64)
CHANCES = ORDER.normal(size=60) + LABELS


def area(rows: Array) -> float | None:
    found = auc(LABELS[rows], CHANCES[rows])
    return None if found is None else found.value


def test_a_replay_gives_the_same_interval_and_another_seed_another() -> None:
    value = area(np.arange(60))
    assert value is not None
    found = [
        percentile_interval(value, area, LABELS, seed=seed, name=name)
        for seed, name in ((7, "pooled"), (7, "pooled"), (8, "pooled"), (7, "north"))
    ]
    assert found[0] == found[1]
    assert len({(item.low, item.high) for item in found if item}) == 3


def test_each_draw_has_as_many_of_either_label_as_the_records() -> None:
    seen = []

    def counted(rows: Array) -> float:
        seen.append((len(rows), LABELS[rows].sum()))
        return 0.0

    percentile_interval(0.0, counted, LABELS, seed=1, name="all")
    assert len(seen) == DRAWS
    assert set(seen) == {(60, LABELS.sum())}


def test_a_drawn_person_brings_all_of_their_records() -> None:
    people = np.array(["a", "b", "a", "c", "b", "b", "d"])
    labels = np.array([1, 0, 0, 0, 0, 0, 1])

    def checked(rows: Array) -> float:
        counts = np.bincount(rows, minlength=7)
        for person in "abcd":
            assert len(set(counts[people == person])) == 1
        drawn = [counts[people == person][0] for person in "abcd"]
        assert drawn[0] + drawn[3] == 2  # a has a positive record, so a and d are the positives
        assert drawn[1] + drawn[2] == 2
        return 0.0

    assert percentile_interval(0.0, checked, labels, seed=1, name="all", people=people)


def test_rows_of_one_person_do_not_narrow_an_interval() -> None:
    twice = np.repeat(np.arange(60), 2)  # every patient came twice, with the same result
    labels, errors = LABELS[twice], (CHANCES - LABELS)[twice] ** 2
    value = float(errors.mean())

    def mean(rows: Array) -> float:
        return float(errors[rows].mean())

    once = (CHANCES - LABELS) ** 2
    honest = percentile_interval(
        value, lambda rows: float(once[rows].mean()), LABELS, seed=1, name="x"
    )
    people = percentile_interval(value, mean, labels, seed=1, name="x", people=twice)
    rows = percentile_interval(value, mean, labels, seed=1, name="x")
    assert honest is not None
    assert people is not None
    assert rows is not None
    assert (people.low, people.high) == pytest.approx((honest.low, honest.high))
    assert rows.high - rows.low < 0.85 * (people.high - people.low)


def test_the_bounds_are_the_fiftieth_values_from_either_end() -> None:
    drawn = iter(np.random.default_rng(1).permutation(DRAWS))
    found = percentile_interval(
        1000.0, lambda _: float(next(drawn)), np.array([0, 1]), seed=1, name="x"
    )
    assert found is not None
    assert (found.low, found.value, found.high) == (49.0, 1000.0, DRAWS - 50.0)


def test_a_draw_without_a_figure_gives_no_interval() -> None:
    drawn = iter(range(DRAWS))
    found = percentile_interval(
        0.5, lambda _: None if next(drawn) == 1000 else 0.5, LABELS, seed=1, name="x"
    )
    assert found is None
    assert percentile_interval(0.5, lambda _: 0.5, np.array([]), seed=1, name="x") is None


def test_a_mean_is_covered_about_19_times_of_20() -> None:
    order, covered = np.random.default_rng(11), 0
    for number in range(200):
        values = order.exponential(size=60)
        found = percentile_interval(
            float(values.mean()),
            lambda rows, values=values: float(values[rows].mean()),  # type: ignore[misc]
            np.zeros(60),
            seed=number,
            name="x",
        )
        assert found is not None
        covered += found.low <= 1 <= found.high
    assert 0.88 < covered / 200 < 0.985


def test_it_agrees_with_delong_on_an_auc() -> None:
    known = auc(LABELS, CHANCES)
    assert known is not None
    found = percentile_interval(known.value, area, LABELS, seed=1, name="x")
    assert found is not None
    assert (found.low, found.high) == pytest.approx((known.low, known.high), abs=0.03)
