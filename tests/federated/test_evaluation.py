"""How good models are: figures against their definitions, and nothing told of few people."""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federated.evaluation.calibration import LEAST_IN_BIN, calibrate
from federated.evaluation.paired import (
    Difference,
    Finding,
    auc_difference,
    brier_difference,
    finding,
)
from federated.evaluation.result import FEDERATED, POOLED, own_model
from federated.evaluation.roc import roc
from federated.metrics import auc
from federated.schema import Array
from tests.api.report_sample import HOSPITALS, evaluation

KEYS: Any = {"seed": 1, "name": "pooled"}

LABELS = st.lists(st.tuples(st.booleans(), st.integers(0, 9), st.integers(0, 9)), min_size=4)


def arrays(rows: list[tuple[bool, int, int]]) -> tuple[Array, Array, Array]:
    labels, first, second = (
        np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)
    )
    return labels, first / 9, second / 9


def delong_by_pairs(labels: Array, first: Array, second: Array) -> tuple[float, float]:
    """The difference and its variance out of all pairs, as the paper defines them."""
    positive, negative = labels == 1, labels != 1

    def kernel(scores: Array) -> Array:
        a, b = scores[positive][:, None], scores[negative][None, :]
        return (a > b) + 0.5 * (a == b)

    one, two = kernel(first), kernel(second)
    s10 = np.cov(one.mean(axis=1), two.mean(axis=1))
    s01 = np.cov(one.mean(axis=0), two.mean(axis=0))
    covariance = s10 / positive.sum() + s01 / negative.sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return float(one.mean() - two.mean()), float(variance)


@given(LABELS)
def test_a_paired_difference_is_delongs_out_of_all_pairs(rows: list[tuple[bool, int, int]]) -> None:
    labels, first, second = arrays(rows)
    found = auc_difference(labels, first, second)
    if min((labels == 1).sum(), (labels != 1).sum()) < 2:
        assert found is None
        return
    assert found is not None
    value, variance = delong_by_pairs(labels, first, second)
    assert found.value == pytest.approx(value, abs=1e-12)
    half = 1.959963984540054 * max(0.0, variance) ** 0.5
    assert found.high == pytest.approx(min(1.0, value + half), abs=1e-7)
    assert found.low == pytest.approx(max(-1.0, value - half), abs=1e-7)


def test_a_paired_interval_covers_no_difference_about_19_times_of_20() -> None:
    order = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        labels = (order.random(80) < 0.4).astype(np.float64)
        truth = order.normal(size=80) + labels
        first, second = (truth + order.normal(size=80) for _ in range(2))
        found = auc_difference(labels, first, second)
        assert found is not None
        covered += found.low <= 0 <= found.high
    assert 0.91 < covered / 400 < 0.985


def test_pairing_tells_what_two_intervals_cannot() -> None:
    order = np.random.default_rng(6)
    labels = (order.random(400) < 0.5).astype(np.float64)
    better = order.normal(size=400) + labels
    worse = better + order.normal(size=400)
    apart, one, two = auc_difference(labels, better, worse), auc(labels, better), auc(labels, worse)
    assert apart is not None
    assert one is not None
    assert two is not None
    assert apart.high - apart.low < one.high - one.low
    assert finding(apart) is Finding.BETTER
    assert one.low < two.high  # the intervals of each overlap


@pytest.mark.parametrize(
    ("difference", "word"),
    [
        (Difference(0.1, 0.01, 0.19, 0.03), Finding.BETTER),
        (Difference(-0.1, -0.19, -0.01, 0.03), Finding.WORSE),
        (Difference(0.1, -0.01, 0.21, 0.08), Finding.UNCLEAR),
        (Difference(0.0, 0.0, 0.0, 1.0), Finding.UNCLEAR),
        (Difference(1.0, 1.0, 1.0, None), Finding.UNCLEAR),
        (None, Finding.UNCLEAR),
    ],
)
def test_only_a_small_p_claims_a_difference(difference: Difference | None, word: Finding) -> None:
    assert finding(difference) is word


@given(LABELS)
def test_a_difference_is_claimed_where_its_interval_leaves_out_0(
    rows: list[tuple[bool, int, int]],
) -> None:
    both = arrays(rows)
    for found in (auc_difference(*both), brier_difference(*both)):
        if found is None or found.p is None or abs(found.p - 0.05) < 1e-9:
            continue
        assert (found.p < 0.05) is (found.low > 0 or found.high < 0)


def test_delongs_p_is_that_on_paper() -> None:
    # Positives 3, 2, 1 and negatives 0, 0, 0 are ranked without error by the first model; of the
    # second's pairs the positives win 2/3, 1, 1/3 and the negatives lose 1, 2/3, 1/3.
    labels = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    first = np.array([0.9, 0.8, 0.7, 0.1, 0.2, 0.3])
    second = np.array([0.5, 0.9, 0.3, 0.2, 0.4, 0.6])
    found = auc_difference(labels, first, second)
    assert found is not None
    assert found.value == pytest.approx(1 - 2 / 3)
    variance = 2 * ((1 / 9) / 3)  # variance of 2/3, 1, 1/3 is 1/9, on each side of three
    z = (1 / 3) / variance**0.5
    assert found.p == pytest.approx(math.erfc(z / 2**0.5))
    assert found.p == pytest.approx(0.2207, abs=1e-4)


def test_models_that_rank_alike_have_p_1_and_are_not_told_apart() -> None:
    labels = np.array([1.0, 0.0] * 20)
    chance = np.random.default_rng(1).random(40)
    found = auc_difference(labels, chance, chance**3)
    assert found == Difference(0.0, 0.0, 0.0, 1.0)


def test_a_difference_without_spread_claims_nothing() -> None:
    labels = np.array([1.0, 1.0, 0.0, 0.0])
    found = auc_difference(labels, labels, 1 - labels)  # one never errs, the other always
    assert found == Difference(1.0, 1.0, 1.0, None)
    shifted = brier_difference(labels, np.full(4, 0.5), np.abs(labels - 0.9) * 0 + 0.5 + 1e-17)
    assert shifted is not None
    assert finding(shifted) is Finding.UNCLEAR


def test_the_lead_over_several_models_is_over_their_mean() -> None:
    order = np.random.default_rng(9)
    labels = (order.random(60) < 0.5).astype(np.float64)
    first, second, third = (order.random(60) + labels * s for s in (1.0, 0.4, 0.1))
    lead = auc_difference(labels, first, second, third)
    over = [auc_difference(labels, first, one) for one in (second, third)]
    assert lead is not None
    assert over[0] is not None
    assert over[1] is not None
    assert lead.value == pytest.approx((over[0].value + over[1].value) / 2)
    assert auc_difference(labels, first, second, second) == auc_difference(labels, first, second)


def test_a_brier_difference_is_the_mean_difference_of_squared_errors() -> None:
    labels = np.array([1.0, 0.0, 1.0])
    first, second = np.array([1.0, 0.0, 0.5]), np.array([0.5, 0.5, 0.5])
    found = brier_difference(labels, first, second)
    assert found is not None
    assert found.value == pytest.approx(-(0.25 + 0.25) / 3)
    assert brier_difference(labels[:1], first[:1], second[:1]) is None


@given(LABELS)
def test_the_area_under_the_drawn_curve_is_the_auc(rows: list[tuple[bool, int, int]]) -> None:
    labels, predicted, _ = arrays(rows)
    points = roc(labels, predicted)
    area = auc(labels, predicted)
    if area is None:
        assert points == ()
        return
    assert (points[0], points[-1]) == ((0.0, 0.0), (1.0, 1.0))
    drawn = sum((b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in itertools.pairwise(points))
    assert drawn == pytest.approx(area.value, abs=1e-9)


def test_a_rounded_curve_does_not_tell_how_many_there_were() -> None:
    order = np.random.default_rng(1)
    labels = (order.random(300) < 0.5).astype(np.float64)
    points = roc(labels, order.random(300), decimals=2)
    assert all(round(x, 2) == x and round(y, 2) == y for x, y in points)


def test_right_probabilities_have_intercept_0_and_slope_1() -> None:
    order = np.random.default_rng(2)
    chance = order.random(20_000)
    labels = (order.random(20_000) < chance).astype(np.float64)
    found = calibrate(labels, chance, **KEYS)
    assert found is not None
    assert found.intercept is not None
    assert found.slope is not None
    assert found.intercept.low < 0 < found.intercept.high
    assert found.slope.low < 1 < found.slope.high
    assert found.expected == pytest.approx(found.observed, abs=0.01)
    assert found.brier.value == pytest.approx(1 / 6, abs=0.005)
    assert found.brier.low < 1 / 6 < found.brier.high


def test_too_extreme_and_too_high_probabilities_are_seen() -> None:
    order = np.random.default_rng(4)
    odds = order.normal(size=20_000)
    labels = (order.random(20_000) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    extreme = calibrate(labels, 1 / (1 + np.exp(-2 * odds)), **KEYS)
    high = calibrate(labels, 1 / (1 + np.exp(-(odds + 1))), **KEYS)
    assert extreme is not None
    assert extreme.slope is not None
    assert extreme.slope.value == pytest.approx(0.5, abs=0.03)
    assert high is not None
    assert high.intercept is not None
    assert high.intercept.value == pytest.approx(-1, abs=0.05)


def test_separated_labels_have_no_slope() -> None:
    labels = np.repeat([0.0, 1.0], 20)
    found = calibrate(labels, np.linspace(0.01, 0.99, 40), **KEYS)
    assert found is not None
    assert found.slope is None


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 200))
def test_no_point_of_a_calibration_curve_is_of_few_patients(count: int) -> None:
    order = np.random.default_rng(count)
    labels = (order.random(count) < 0.5).astype(np.float64)
    found = calibrate(labels, order.random(count), **KEYS)
    assert found is not None
    assert sum(part.count for part in found.bins) == count
    assert len(found.bins) == 1 or min(part.count for part in found.bins) >= LEAST_IN_BIN


def test_nothing_of_a_hospital_with_few_of_a_label_is_told() -> None:
    found = evaluation(rare=3)
    hidden = next(test for test in found.tests if test.name == "lakeside")
    assert (hidden.withheld, hidden.count, hidden.positives) == (True, None, None)
    for cell in found.cells:
        if cell.test == "lakeside":
            assert set(asdict(cell.scores).values()) == {None}  # and not 0
    kinds = (found.rocs, found.calibrations)
    assert all(item.test != "lakeside" for kind in kinds for item in kind)
    assert found.comparison(own_model("lakeside"), "lakeside") is None
    assert found.unlearned == ("lakeside",)


def test_the_pool_does_not_give_a_hidden_hospital_as_a_difference() -> None:
    found = evaluation(rare=3)
    assert found.pool_rounded
    pool = next(test for test in found.tests if test.name == POOLED)
    assert (pool.count, pool.positives) == (None, None)
    scores = found.cell(FEDERATED, POOLED)
    figures = asdict(scores)
    assert {name for name, figure in figures.items() if figure is not None} == {"auc"}
    assert scores.auc is not None
    assert round(scores.auc.value, 3) == scores.auc.value  # else a fraction whose denominator tells
    assert all(item.test != POOLED for item in found.calibrations)
    points = [point.auc for point in found.learning if point.where == POOLED]
    assert all(area is not None and round(area.value, 3) == area.value for area in points)
    own = found.comparison(own_model("lakeside"), POOLED)
    assert own is not None
    assert round(own.brier.value, 3) == own.brier.value
    assert own.auc.p is not None
    assert round(own.auc.p, 3) == own.auc.p
    assert own.accuracy is None  # its exact p is a fraction of counts


def test_with_enough_patients_everything_is_told() -> None:
    found = evaluation(rare=10)
    assert not found.pool_rounded
    assert {test.count for test in found.tests} == {160, 60, 45, 30, 25}
    assert {(item.rival, item.test) for item in found.comparisons} >= {
        (own_model(name), where) for name in HOSPITALS for where in (name, POOLED)
    }
    assert {item.test for item in found.rocs} == {POOLED, *HOSPITALS}


def test_an_evaluation_is_the_same_every_time() -> None:
    assert evaluation() == evaluation()
