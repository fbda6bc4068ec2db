"""Who of the hospitals gets how much: integers only, so that anyone computes the same amounts.

A hospital is its index in the study. Shares are split by largest remainder with ties to the lower
index, so that the amounts add up to the pool to the last unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
    the model itself, summed over the other hospitals' reports and all rounds. What j reports about
    itself is left out. A hospital reports once a round; a second report raises `RewardError`.
    """
    totals: dict[int, int] = {}
    seen: set[tuple[int, int]] = set()
    for report in reports:
        check_report(report)
        key = (report.round_number, report.hospital)
        if key in seen:
            raise RewardError(f"hospital {key[1]} reported twice in round {key[0]}")
        seen.add(key)
        model, *others = report.evaluations
        for item in others:
            if item.without is not None and item.without != report.hospital:
                gain = item.counts.loss - model.counts.loss
                totals[item.without] = totals.get(item.without, 0) + gain
    return totals


def leave_one_out(
    pool: int, reports: Iterable[Report], weights: Mapping[int, int]
) -> dict[int, Wei]:
    """The pool by contribution: negative counts as 0; where none is positive, `weights` decide.

    `weights` are those that the `count` rule pays by, and name the hospitals that can be paid.
    """
    measured = contributions(reports)
    positive = {index: max(0, measured.get(index, 0)) for index in weights}
    return split(pool, positive if any(positive.values()) else weights)
