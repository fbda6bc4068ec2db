"""Who of the hospitals gets how much: integers only, so that anyone computes the same amounts.

A hospital is its index in the study. Shares are split by largest remainder with ties to the lower
index, so that the amounts add up to the pool to the last unit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from fractions import Fraction

from chain.types import Wei
from federated.contribution import Measure, Walk, bit, follow
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


def walks(measure: Measure, reports: Iterable[Report]) -> list[Walk]:
    """Each report's game, in the order of round and hospital; those without counts have none.

    A hospital reports once a round; a second report raises `RewardError`, as does one that judges
    other models than its rule asks for.
    """
    found: dict[tuple[int, int], Report] = {}
    for report in reports:
        check_report(report)
        key = (report.round_number, report.hospital)
        if key in found:
            raise RewardError(f"hospital {key[1]} reported twice in round {key[0]}")
        found[key] = report
    return [_walk(measure, found[key]) for key in sorted(found) if found[key].evaluations]


def contributions(measure: Measure, reports: Iterable[Report]) -> dict[int, Fraction]:
    """Each hospital's contribution over all rounds, in 1/65536 nats.

    For hospital j: the loss that its updates spared the other hospitals' records by the rule,
    summed over their reports and all rounds.
    """
    totals: dict[int, Fraction] = {}
    for row in gains(measure, reports).values():
        for index, gain in row.items():
            totals[index] = totals.get(index, Fraction(0)) + gain
    return dict(sorted(totals.items()))


def gains(measure: Measure, reports: Iterable[Report]) -> dict[int, dict[int, Fraction]]:
    """By reporting hospital, what each other one spared its records over all rounds, 1/65536 nats.

    No report tells what its own hospital spares. Raises `RewardError` as `walks` does.
    """
    reports = list(reports)
    rows: dict[int, dict[int, Fraction]] = {report.hospital: {} for report in reports}
    for walk in walks(measure, reports):
        row = rows[walk.judge]
        for index, gain in walk.gains().items():
            row[index] = row.get(index, Fraction(0)) + gain
    return rows


def by_contribution(
    measure: Measure, pool: int, reports: Iterable[Report], weights: Mapping[int, int]
) -> dict[int, Wei]:
    """The pool by contribution; `weights` are what `count` pays by, and name who can be paid.

    Each hospital's report divides that hospital's own weight among the others, in proportion to
    what they spared its records over all rounds; negative counts as 0. A hospital that spared
    nobody's records, reported nothing or had too few patients divides it by the others' weights.
    So no hospital's word moves its own share, and a false report misplaces its own weight alone
    (impartial division: de Clippel, Moulin, Tideman, J. Econ. Theory 139, 2008). Where no report
    names a positive contribution, `weights` decide.
    """
    rows = gains(measure, reports)
    none = Fraction(0)
    positive = {
        judge: {j: max(none, rows.get(judge, {}).get(j, none)) for j in weights if j != judge}
        for judge in weights
    }
    if not any(any(row.values()) for row in positive.values()):
        return split(pool, weights)
    shares = dict.fromkeys(weights, none)
    for judge, row in positive.items():
        said = row if any(row.values()) else {j: Fraction(weights[j]) for j in row}
        total = sum(said.values())
        for index, part in said.items():
            shares[index] += weights[judge] * part / total if total else 0
    unit = math.lcm(*(share.denominator for share in shares.values()))
    return split(pool, {index: int(share * unit) for index, share in shares.items()})


def _walk(measure: Measure, report: Report) -> Walk:
    """Who was in the round's model: the reporting hospital, and whom its models leave out."""
    left = 0
    for item in report.evaluations:
        left |= item.without
    model = report.evaluations[0].state
    plan = measure.plan(left | bit(report.hospital), report.round_number, model)
    return follow(plan, report)
