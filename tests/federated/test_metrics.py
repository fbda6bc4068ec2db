from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import balanced_accuracy_score

from federated.metrics import (
    LOSS_CAP,
    LOSS_UNIT,
    Z95,
    Confusion,
    accuracy,
    auc,
    balanced_accuracy,
    confusion,
    log_loss,
    scores,
    sensitivity,
    specificity,
    wilson,
)
from federated.schema import Array

LABELS = np.array([1, 1, 1, 0, 0, 0, 0])
CHANCES = np.array([0.9, 0.5, 0.2, 0.1, 0.6, 0.3, 0.4])


def test_counts_are_those_on_paper() -> None:
    counts = confusion(LABELS, CHANCES)
    assert (counts.tp, counts.fp, counts.tn, counts.fn) == (2, 1, 3, 1)
    assert counts.total == 7


def test_a_loss_is_that_on_paper() -> None:
    nats = -sum(map(math.log, (0.9, 0.5, 0.2, 0.9, 0.4, 0.7, 0.6)))
    assert log_loss(LABELS, CHANCES) == pytest.approx(nats * LOSS_UNIT, abs=7)


def test_rates_are_those_on_paper_and_none_where_nobody_can_tell() -> None:
    counts = Confusion(tp=2, fp=1, tn=3, fn=1)
    rates = [rate(counts) for rate in (accuracy, sensitivity, specificity)]
    assert [rate.value for rate in rates if rate] == [5 / 7, 2 / 3, 3 / 4]
    assert sensitivity(Confusion(0, 1, 3, 0)) is None
    assert specificity(Confusion(1, 0, 0, 3)) is None
    assert scores(np.zeros(0), np.zeros(0)).accuracy is None


def test_balanced_accuracy_is_the_mean_of_both_rates() -> None:
    found = balanced_accuracy(Confusion(tp=2, fp=1, tn=3, fn=1))
    assert found is not None
    assert found.value == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert balanced_accuracy(Confusion(0, 1, 3, 0)) is None


def test_who_calls_everybody_healthy_has_half_the_balanced_accuracy() -> None:
    idle = Confusion(tp=0, fp=0, tn=95, fn=5)
    plain, balanced = accuracy(idle), balanced_accuracy(idle)
    assert plain is not None
    assert balanced is not None
    assert (plain.value, balanced.value) == (0.95, 0.5)
    assert balanced.low < 0.5 < balanced.high


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=1, max_size=60))
def test_balanced_accuracy_is_scikit_learns(rows: list[tuple[bool, int]]) -> None:
    labels = np.array([int(label) for label, _ in rows])
    chances = np.array([score / 9 for _, score in rows])
    found = balanced_accuracy(confusion(labels, chances))
    if len(set(labels.tolist())) < 2:
        assert found is None
        return
    assert found is not None
    assert found.value == pytest.approx(balanced_accuracy_score(labels, chances >= 0.5))
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_newcombes_bounds_of_balanced_accuracy_cover_it_about_19_times_of_20() -> None:
    order, covered = np.random.default_rng(5), 0
    for _ in range(2000):
        tp, tn = int(order.binomial(30, 0.8)), int(order.binomial(70, 0.9))
        found = balanced_accuracy(Confusion(tp, 70 - tn, tn, 30 - tp))
        assert found is not None
        covered += found.low <= 0.85 <= found.high
    assert 0.93 < covered / 2000 < 0.98


def test_counts_of_hospitals_add_up() -> None:
    left, right = confusion(LABELS[:3], CHANCES[:3]), confusion(LABELS[3:], CHANCES[3:])
    assert left + right == confusion(LABELS, CHANCES)


def test_no_record_adds_more_than_the_cap_to_a_loss() -> None:
    assert log_loss(np.array([1]), np.array([0.0])) == LOSS_CAP * LOSS_UNIT
    assert log_loss(np.array([0]), np.array([0.0])) == 0


def test_wilsons_interval_has_its_published_values() -> None:
    estimate = wilson(10, 20)
    assert estimate is not None
    assert (estimate.low, estimate.high) == pytest.approx((0.299298, 0.700702), abs=1e-6)
    everyone = wilson(20, 20)
    assert everyone is not None
    assert everyone.low == pytest.approx(20 / (20 + Z95**2))
    assert everyone.high == 1


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_holds_its_value(pair: tuple[int, int]) -> None:
    estimate = wilson(*pair)
    assert estimate is not None
    assert 0 <= estimate.low <= estimate.value <= estimate.high <= 1


def delong_by_definition(labels: Array, chances: Array) -> tuple[float, float]:
    """AUC and its variance by all pairs (DeLong, DeLong and Clarke-Pearson, 1988)."""
    x, y = chances[labels == 1], chances[labels == 0]
    pairs = np.array([[1.0 if a > b else 0.5 if a == b else 0.0 for b in y] for a in x])
    of_x, of_y = pairs.mean(axis=1), pairs.mean(axis=0)
    return float(pairs.mean()), float(of_x.var(ddof=1) / len(x) + of_y.var(ddof=1) / len(y))


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=6, max_size=60))
def test_auc_and_interval_follow_the_definition(rows: list[tuple[bool, int]]) -> None:
    labels = np.array([int(label) for label, _ in rows])
    chances = np.array([score / 9 for _, score in rows])
    if not 1 < labels.sum() < len(labels) - 1:
        return
    value, variance = delong_by_definition(labels, chances)
    estimate = auc(labels, chances)
    assert estimate is not None
    assert estimate.value == pytest.approx(value)
    if value not in (0, 1):
        half = Z95 * math.sqrt(variance)
        assert estimate.low == pytest.approx(max(0, value - half), abs=1e-9)
        assert estimate.high == pytest.approx(min(1, value + half), abs=1e-9)


def test_auc_of_the_example_on_paper() -> None:
    estimate = auc(LABELS, CHANCES)
    assert estimate is not None
    assert estimate.value == pytest.approx((4 + 3 + 1) / 12)


def test_perfect_separation_is_not_claimed_as_certain() -> None:
    estimate = auc(np.array([0] * 10 + [1] * 30), np.arange(40) / 40)
    assert estimate is not None
    assert (estimate.value, estimate.high) == (1, 1)
    assert estimate.low == pytest.approx(10 / (10 + Z95**2))
    inverse = auc(np.array([1] * 10 + [0] * 30), np.arange(40) / 40)
    assert inverse is not None
    assert (inverse.value, inverse.low) == (0, 0)
    assert inverse.high == pytest.approx(1 - 10 / (10 + Z95**2))


def test_auc_needs_both_labels() -> None:
    assert auc(np.ones(4), np.arange(4) / 4) is None
