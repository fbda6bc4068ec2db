from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federated.canonical import Digest, decode, encode
from federated.errors import RewardError
from federated.metrics import LOSS_CAP, LOSS_UNIT, Confusion
from federated.reports import Evaluation, Report
from federated.rewards import contributions, leave_one_out, split

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
    """Losses of the model and of the models without each hospital, over ten records."""
    rows = [(None, full), *sorted(without.items())]
    return Report(
        study=1,
        round_number=round_number,
        hospital=hospital,
        root=bytes(32),
        evaluations=tuple(
            Evaluation(Digest(bytes([1 + i] * 32)), left_out, Confusion(4, 1, 4, 1, loss))
            for i, (left_out, loss) in enumerate(rows)
        ),
    )


REPORTS = [
    report(0, 100, {0: 900, 1: 130, 2: 90}),
    report(1, 200, {0: 260, 1: 999, 2: 190}),
    report(2, 300, {0: 310, 1: 350, 2: 300}),
]


def test_contributions_are_those_on_paper_and_own_word_does_not_count() -> None:
    assert contributions(REPORTS) == {0: 60 + 10, 1: 30 + 50, 2: -10 - 10}


def test_contributions_add_over_rounds() -> None:
    later = [replace(report, round_number=2) for report in REPORTS]
    assert contributions([*REPORTS, *later]) == {0: 140, 1: 160, 2: -40}


def test_a_negative_contribution_earns_nothing_and_takes_nothing() -> None:
    assert leave_one_out(150, REPORTS, {0: 5, 1: 5, 2: 5}) == {0: 70, 1: 80, 2: 0}


def test_without_a_positive_contribution_counts_decide() -> None:
    bad = [report(0, 100, {0: 0, 1: 90}), report(1, 100, {0: 90, 1: 0})]
    assert leave_one_out(9, bad, {0: 2, 1: 1}) == {0: 6, 1: 3}
    assert leave_one_out(9, [], {0: 2, 1: 1}) == {0: 6, 1: 3}


def test_a_hospital_that_cannot_be_paid_gets_nothing_however_it_contributed() -> None:
    assert leave_one_out(70, REPORTS, {0: 5, 2: 5}) == {0: 70, 2: 0}


def test_a_second_report_in_one_round_is_refused() -> None:
    with pytest.raises(RewardError, match="twice in round 1"):
        contributions([REPORTS[0], REPORTS[0]])


def test_the_order_of_reports_does_not_show() -> None:
    assert contributions(REPORTS[::-1]) == contributions(REPORTS)


def test_a_report_survives_bytes() -> None:
    for item in REPORTS:
        assert Report.from_bytes(item.to_bytes()) == item


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", "consilium/report/2"),
        ("hospital", 256),
        ("hospital", "0"),
        ("round", -1),
        ("root", b"short"),
        ("evaluations", []),
        ("evaluations", [[bytes(32), 0, [1, 1, 1, 1, 1]]]),
        ("evaluations", [[bytes(32), None, [1, 1, 1, 1]]]),
        ("evaluations", [[bytes(32), None, [1, 1, 1, 1, -1]]]),
        ("evaluations", [[bytes(32), None, [1, 1, 1, 1, 1.0]]]),
        ("evaluations", [[bytes(32), None, [1, 0, 0, 0, LOSS_CAP * LOSS_UNIT + 1]]]),
        ("evaluations", [[bytes(31), None, [1, 1, 1, 1, 1]]]),
        (
            "evaluations",
            [[bytes(32), None, [1, 1, 1, 1, 1]], [bytes(32), 0, [2, 1, 1, 1, 1]]],
        ),
        (
            "evaluations",
            [[bytes(32), None, [1, 1, 1, 1, 1]], *[[bytes(32), 0, [1, 1, 1, 1, 1]]] * 2],
        ),
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
