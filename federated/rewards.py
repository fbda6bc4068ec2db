"""Who of the hospitals gets how much: integers only, so that anyone computes the same amounts.

A hospital is its index in the study. Shares are split by largest remainder with ties to the lower
index, so that the amounts add up to the pool to the last unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from chain.types import Wei
from federated.errors import RewardError
from federated.reports import Report, check_report


def split(pool: int, shares: Mapping[int, int]) -> dict[int, Wei]:
    """`pool` divided in proportion to `shares` ≥ 0; the amounts add up to it.

    Each gets the floor of its proportion, and the units that are left go one each to the largest
    remainders, the lower index first. Raises `RewardError` when all shares are zero.
    """
    total = sum(shares.values())
    if pool < 0 or any(share < 0 for share in shares.values()):
        raise RewardError("a pool or a share is negative")
    if not total:
        raise RewardError("no hospital has a share; the pool stays with the escrow")
    amounts = {index: pool * share // total for index, share in shares.items()}
    left = pool - sum(amounts.values())
    by_remainder = sorted(shares, key=lambda index: (-(pool * shares[index] % total), index))
    for index in by_remainder[:left]:
        amounts[index] += 1
    return {index: Wei(amounts[index]) for index in sorted(amounts)}


def contributions(reports: Iterable[Report]) -> dict[int, int]:
    """Each hospital's leave-one-out contribution over all rounds, in 1/65536 nats.

    For hospital j: the loss that others' records suffer when j is left out, minus their loss under
    the model itself, summed over the other hospitals' reports and all rounds.
    """
    totals: dict[int, int] = {}
    for row in gains(reports).values():
        for index, gain in row.items():
            totals[index] = totals.get(index, 0) + gain
    return dict(sorted(totals.items()))


def gains(reports: Iterable[Report]) -> dict[int, dict[int, int]]:
    """By reporting hospital, what each other one spared its records over all rounds, 1/65536 nats.

    What a hospital reports about itself is left out. A hospital reports once a round; a second
    report raises `RewardError`.
    """
    rows: dict[int, dict[int, int]] = {}
    seen: set[tuple[int, int]] = set()
    for report in reports:
        check_report(report)
        key = (report.round_number, report.hospital)
        if key in seen:
            raise RewardError(f"hospital {key[1]} reported twice in round {key[0]}")
        seen.add(key)
        row = rows.setdefault(report.hospital, {})
        for item in report.evaluations[1:]:
            if item.without is not None and item.without != report.hospital:
                gain = item.counts.loss - report.evaluations[0].counts.loss
                row[item.without] = row.get(item.without, 0) + gain
    return rows


def leave_one_out(
    pool: int, reports: Iterable[Report], weights: Mapping[int, int]
) -> dict[int, Wei]:
    """The pool by contribution; `weights` are what `count` pays by, and name who can be paid.

    Each hospital's report divides that hospital's own weight among the others, in proportion to
    what they spared its records over all rounds; negative counts as 0. A hospital that spared
    nobody's records, reported nothing or had too few patients divides it by the others' weights.
    So no hospital's word moves its own share, and a false report misplaces its own weight alone
    (impartial division: de Clippel, Moulin, Tideman, J. Econ. Theory 139, 2008). Where no report
    names a positive contribution, `weights` decide.
    """
    rows = gains(reports)
    positive = {
        judge: {j: max(0, rows.get(judge, {}).get(j, 0)) for j in weights if j != judge}
        for judge in weights
    }
    if not any(any(row.values()) for row in positive.values()):
        return split(pool, weights)
    shares = dict.fromkeys(weights, Fraction(0))
    for judge, row in positive.items():
        said = row if any(row.values()) else {j: weights[j] for j in row}
        total = sum(said.values())
        for index, part in said.items():
            shares[index] += Fraction(weights[judge] * part, total) if total else 0
    unit = math.lcm(*(share.denominator for share in shares.values()))
    return split(pool, {index: int(share * unit) for index, share in shares.items()})
