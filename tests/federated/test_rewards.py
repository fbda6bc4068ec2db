from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chain.types import Wei
from federated import rewards
from federated.canonical import Digest, decode, encode
from federated.contribution import Measure, bit
from federated.errors import RewardError
from federated.metrics import LOSS_CAP, LOSS_STEP
from federated.reports import Evaluation, Report
from federated.rewards import split

MEASURE = Measure("leave-one-out")


def contributions(reports: Iterable[Report]) -> dict[int, Fraction]:
    return {i: x / LOSS_STEP for i, x in rewards.contributions(MEASURE, reports).items()}


def gains(reports: Iterable[Report]) -> dict[int, dict[int, Fraction]]:
    return rewards.gains(MEASURE, reports)


def leave_one_out(
    pool: int, reports: Iterable[Report], weights: Mapping[int, int]
) -> dict[int, Wei]:
    return rewards.by_contribution(MEASURE, pool, reports, weights)


shares = st.dictionaries(st.integers(0, 255), st.integers(0, 2**64), min_size=1).filter(
    lambda found: any(found.values())
)


@given(st.integers(0, 2**256 - 1), shares)
def test_amounts_add_up_to_the_pool_and_miss_their_share_by_less_than_one(
    pool: int, given_shares: dict[int, int]
) -> None:
    amounts = split(pool, given_shares)
    total = sum(given_shares.values())
    assert sum(amounts.values()) == pool
    assert amounts.keys() == given_shares.keys()
    for index, share in given_shares.items():
        assert abs(amounts[index] * total - pool * share) < total
        assert share or not amounts[index]


def test_units_left_go_to_the_largest_remainder_and_ties_to_the_lower_index() -> None:
    assert split(100, {2: 1, 0: 1, 1: 1}) == {0: 34, 1: 33, 2: 33}
    assert split(10, {0: 5, 1: 8, 2: 2}) == {0: 4, 1: 5, 2: 1}  # all leave a third
    assert split(7, {0: 1, 1: 3, 2: 0}) == {0: 2, 1: 5, 2: 0}  # 1.75, 5.25


@pytest.mark.parametrize("bad", [{}, {0: 0}, {0: -1, 1: 2}])
def test_without_a_share_there_is_no_split(bad: dict[int, int]) -> None:
    with pytest.raises(RewardError):
        split(5, bad)


def report(hospital: int, full: int, without: dict[int, int], round_number: int = 1) -> Report:
    """Losses in half nats of the model and of those without each other hospital, of 20 people."""
    rows = [(0, full), *((bit(index), loss) for index, loss in sorted(without.items()))]
    return Report(
        context=bytes(32),
        study=1,
        round_number=round_number,
        hospital=hospital,
        root=bytes(32),
        people=20,
        evaluations=tuple(
            Evaluation(Digest(bytes([1 + i] * 32)), left_out, loss)
            for i, (left_out, loss) in enumerate(rows)
        ),
    )


REPORTS = [
    report(0, 100, {1: 130, 2: 90}),
    report(1, 200, {0: 260, 2: 190}),
    report(2, 300, {0: 310, 1: 350}),
]
EQUAL = {0: 5, 1: 5, 2: 5}


def test_contributions_are_those_on_paper() -> None:
    assert contributions(REPORTS) == {0: 60 + 10, 1: 30 + 50, 2: -10 - 10}


def test_contributions_add_over_rounds() -> None:
    later = [replace(report, round_number=2) for report in REPORTS]
    assert contributions([*REPORTS, *later]) == {0: 140, 1: 160, 2: -40}


def test_each_report_divides_its_hospitals_weight_among_the_others() -> None:
    # 0 gives its 5 to 1 alone; 1 gives its 5 to 0 alone; 2 splits its 5 as 10 : 50
    assert leave_one_out(90, REPORTS, EQUAL) == {0: 30 + 5, 1: 30 + 25, 2: 0}
    weights = {0: 10, 1: 20, 2: 30}  # 0: 20 + 5, 1: 10 + 25, 2: 0, of 60
    assert leave_one_out(120, REPORTS, weights) == {0: 50, 1: 70, 2: 0}


def test_two_hospitals_are_paid_what_the_other_one_decides_over() -> None:
    both = [report(0, 100, {1: 130}), report(1, 200, {0: 210})]
    assert contributions(both) == {0: 10, 1: 30}
    assert leave_one_out(90, both, {0: 20, 1: 10}) == {0: 30, 1: 60}


def test_gains_of_all_rounds_are_added_before_they_count_as_0() -> None:
    worse = report(1, 200, {0: 100, 2: 230}, round_number=2)  # 0: 60 − 100, 2: −10 + 30
    found = leave_one_out(90, [*REPORTS, worse], EQUAL)
    assert found == {0: 5, 1: 30 + 25, 2: 30}


def test_who_reports_nothing_leaves_its_weight_to_the_weights_of_the_others() -> None:
    silent = replace(REPORTS[2], people=0, evaluations=())
    for reports in ([*REPORTS[:2], silent], REPORTS[:2]):
        assert leave_one_out(90, reports, {0: 20, 1: 10, 2: 60}) == {0: 10 + 40, 1: 20 + 20, 2: 0}


MOST = 2 * LOSS_CAP * 20  # half nats of twenty people
losses = st.integers(0, MOST)
rows = st.tuples(losses, losses, losses)


@given(st.integers(0, 10**20), st.tuples(rows, rows, rows), rows, st.integers(0, 2))
def test_no_word_of_a_hospital_moves_its_own_share(
    pool: int, told: tuple[tuple[int, int, int], ...], lie: tuple[int, int, int], liar: int
) -> None:
    """Whatever it reports, or that it reports nothing, as long as another finds some merit."""

    def reported(index: int, row: tuple[int, int, int]) -> Report:
        return report(index, row[0], {j: row[j and 1 + j % 2] for j in range(3) if j != index})

    honest = [reported(index, row) for index, row in enumerate(told)]
    others = [item for item in honest if item.hospital != liar]
    assume(any(gain > 0 for row in gains(others).values() for gain in row.values()))
    weights = {0: 7, 1: 20, 2: 400}
    shares = {
        leave_one_out(pool, [*others, *more], weights)[liar]
        for more in ([honest[liar]], [reported(liar, lie)], [])
    }
    assert max(shares) - min(shares) <= 1  # of the smallest unit, where remainders fall


def test_a_false_report_misplaces_its_own_weight_alone() -> None:
    honest = leave_one_out(9000, REPORTS, EQUAL)
    lie = replace(report(0, MOST, {1: 0, 2: 0}))
    found = leave_one_out(9000, [lie, *REPORTS[1:]], EQUAL)
    assert found[0] == honest[0]
    assert all(abs(found[index] - honest[index]) <= 3000 for index in found)


def test_without_a_positive_contribution_counts_decide() -> None:
    bad = [report(0, 100, {1: 90}), report(1, 100, {0: 90})]
    assert leave_one_out(9, bad, {0: 2, 1: 1}) == {0: 6, 1: 3}
    assert leave_one_out(9, [], {0: 2, 1: 1}) == {0: 6, 1: 3}


def test_a_hospital_that_cannot_be_paid_gets_nothing_however_it_contributed() -> None:
    assert leave_one_out(70, REPORTS, {0: 5, 2: 5}) == {0: 35, 2: 35}


def test_a_second_report_in_one_round_is_refused() -> None:
    with pytest.raises(RewardError, match="twice in round 1"):
        contributions([REPORTS[0], REPORTS[0]])


def test_the_order_of_reports_does_not_show() -> None:
    assert contributions(REPORTS[::-1]) == contributions(REPORTS)


def test_a_report_survives_bytes() -> None:
    for item in [*REPORTS, replace(REPORTS[0], people=0, evaluations=())]:
        assert Report.from_bytes(item.to_bytes()) == item


def test_a_hospital_does_not_judge_its_own_contribution() -> None:
    with pytest.raises(RewardError, match="its own contribution"):
        report(0, 100, {0: 500, 1: 130}).to_bytes()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "consilium/report/1"),
        ("hospital", 256),
        ("hospital", "0"),
        ("round", -1),
        ("root", b"short"),
        ("context", b"short"),
        ("people", 9),
        ("people", 0),
        ("people", "20"),
        ("people", 1 << 32),
        ("evaluations", None),
        ("evaluations", []),
        ("evaluations", [[bytes(32), [1], 1]]),
        ("evaluations", [[bytes(32), []]]),
        ("evaluations", [[bytes(32), [], -1]]),
        ("evaluations", [[bytes(32), [], 1.0]]),
        ("evaluations", [[bytes(32), [], MOST + 1]]),
        ("evaluations", [[bytes(32), [], [4, 1, 4, 1, 1]]]),
        ("evaluations", [[bytes(31), [], 1]]),
        ("evaluations", [[bytes(32), None, 1]]),
        ("evaluations", [[bytes(32), [], 1], [bytes(32), [2, 1], 1]]),
        ("evaluations", [[bytes(32), [], 1], [bytes(32), [256], 1]]),
        ("evaluations", [[bytes(32), [], 1], [bytes(32), [-1], 1]]),
        ("evaluations", [[bytes(32), [], 1], *[[bytes(32), [1], 1]] * 2]),
    ],
)
def test_a_report_with_impossible_content_is_refused(key: str, value: object) -> None:
    tree = decode(REPORTS[0].to_bytes())
    Report.from_bytes(encode(tree))
    with pytest.raises(RewardError):
        Report.from_bytes(encode({**tree, key: value}))
    with pytest.raises(RewardError):
        Report.from_bytes(encode([1, 2]))
    with pytest.raises(RewardError):
        Report.from_bytes(b"\xff")
