"""McNemar's exact test: against the binomial distribution, and where nothing is told."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.evaluation.mcnemar import accuracy_difference, clopper_pearson, exact_p
from federated.schema import Array

COINS = st.tuples(st.integers(0, 40), st.integers(0, 40))


def decided(won: int, lost: int, both: int = 30) -> tuple[Array, Array, Array]:
    """Labels, and two models of whom just one decides rightly so often."""
    labels = np.array([1.0, 0.0] * 50)[: won + lost + both]
    right = np.where(labels == 1, 0.8, 0.2)
    first, second = right.copy(), right.copy()
    second[:won] = 1 - right[:won]
    first[won : won + lost] = 1 - right[won : won + lost]
    return labels, first, second


@given(COINS)
def test_p_is_both_tails_of_a_fair_coin(coins: tuple[int, int]) -> None:
    trials = sum(coins)
    away = abs(coins[0] - trials / 2)
    tails = sum(math.comb(trials, k) for k in range(trials + 1) if abs(k - trials / 2) >= away)
    assert exact_p(*coins) == pytest.approx(tails / 2**trials)


def test_p_is_that_on_paper() -> None:
    assert exact_p(1, 9) == 2 * (1 + 10) / 1024
    assert exact_p(5, 0) == 2 / 32
    assert exact_p(4, 4) == 1
    assert exact_p(0, 0) == 1


def test_thousands_of_patients_do_not_overflow_it() -> None:
    assert exact_p(3000, 3000) == 1
    assert 0 < exact_p(2900, 3100) < 0.02


def test_clopper_and_pearsons_interval_has_its_published_values() -> None:
    assert clopper_pearson(10, 20) == pytest.approx((0.27196, 0.72804), abs=1e-5)
    assert clopper_pearson(0, 10) == pytest.approx((0, 0.30850), abs=1e-5)
    assert clopper_pearson(10, 10) == pytest.approx((0.69150, 1), abs=1e-5)


@given(COINS)
def test_the_interval_leaves_out_0_just_where_p_is_small(coins: tuple[int, int]) -> None:
    found = accuracy_difference(*decided(*coins, both=20))
    if sum(coins) < 5:
        assert found is None
        return
    assert found is not None
    assert found.p is not None
    assert found.low <= found.value <= found.high
    assert (found.p < 0.05) is (found.low > 0 or found.high < 0)


def test_the_difference_is_of_accuracies() -> None:
    found = accuracy_difference(*decided(12, 3))
    assert found is not None
    assert found.value == pytest.approx(9 / 45)
    assert found.p == exact_p(12, 3)


@pytest.mark.parametrize("coins", [(0, 0), (1, 0), (2, 2), (4, 0)])
def test_fewer_than_five_who_differ_are_not_told_and_none_looks_like_0(
    coins: tuple[int, int],
) -> None:
    assert accuracy_difference(*decided(*coins)) is None
