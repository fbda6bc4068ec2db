"""A hospital's way through the models of a round: which it must judge, and what they give.

The same code decides at the hospital what to judge and at everybody else what a report must hold.
A model is judged only when the others can still matter from there on (truncation), so a hospital
stops early, in one pass and without asking anybody.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from fractions import Fraction
from statistics import variance
from typing import TYPE_CHECKING

from federated.contribution.coalitions import bit, everyone, members
from federated.contribution.plan import Plan
from federated.errors import RewardError
from federated.metrics import LOSS_STEP, LOSS_UNIT

if TYPE_CHECKING:
    from federated.reports import Report


class Walk:
    """One judge's game in one round: losses in 1/65536 nats, lower is better."""

    def __init__(self, plan: Plan, judge: int, people: int) -> None:
        self.plan = plan
        self.judge = judge
        self.alone = plan.included & ~bit(judge)  # the model of the judge's update leaves these out
        drawn = () if not plan.orders or plan.all_orders else plan.drawn(judge)
        self._chains = [[everyone(order[at:]) for at in range(len(order) + 1)] for order in drawn]
        self._before: dict[int, set[int]] = {}
        for chain in self._chains:
            for before, after in itertools.pairwise(chain):
                self._before.setdefault(after, set()).add(before)
        self._losses: dict[int, int] = {}
        self._people = people

    def needs(self, without: int) -> bool:
        """Whether this model must be judged. Ask in the models' order, and tell each that must."""
        if not self.plan.orders or without in (0, self.alone):
            return True
        return any(before in self._losses and self._open(before) for before in self._parts(without))

    def tell(self, without: int, loss: int) -> None:
        """A model's loss in half nats. The round's own model comes first."""
        self._losses[without] = loss * LOSS_STEP

    def gains(self) -> dict[int, Fraction]:
        """What each other hospital's update spared the judge's records, 1/65536 nats.

        Shapley values add up to what all others spared it together, where nothing is cut off.
        """
        if not self.plan.orders:
            return {
                index: Fraction(self._losses[bit(index)] - self._losses[0])
                for index in members(self.alone)
            }
        if self._chains:
            rows = self._steps()
            return {index: sum(row, Fraction(0)) / len(row) for index, row in rows.items()}
        return self._over_all_orders()

    def variances(self) -> dict[int, float]:
        """Of each gain, over the draw of orders; 0 where all orders are followed.

        One order tells nothing about others: infinite.
        """
        if not self._chains:
            return dict.fromkeys(members(self.alone), 0.0)
        return {
            index: float(variance(row)) / len(row) if len(row) > 1 else math.inf
            for index, row in self._steps().items()
        }

    def _parts(self, without: int) -> Iterator[int]:
        """The models that this one comes after, with one update more."""
        if self._chains:
            yield from self._before.get(without, ())
        else:
            yield from (without | bit(index) for index in members(self.alone & ~without))

    def _open(self, without: int) -> bool:
        """Whether more updates are added from here: not when the rest cannot matter any more."""
        if not without:
            return False
        left = abs(self._losses[without] - self._losses[0])
        unit = LOSS_UNIT * self._people
        if without == self.alone and left < self.plan.round_tolerance * unit:
            return False
        return left >= self.plan.tolerance * unit

    def _steps(self) -> dict[int, list[Fraction]]:
        """By hospital, what it spared in each drawn order; 0 once an order was cut off."""
        found: dict[int, list[Fraction]] = {index: [] for index in members(self.alone)}
        for chain in self._chains:
            is_open = True
            for before, after in itertools.pairwise(chain):
                is_open = is_open and self._open(before)
                gain = self._losses[before] - self._losses[after] if is_open else 0
                found[(before ^ after).bit_length() - 1].append(Fraction(gain))
        return found

    def _over_all_orders(self) -> dict[int, Fraction]:
        """As `_steps` over all orders, by how many of them come through each model.

        Exact: an order is cut off by what it passes, so their number obeys a sum over parts.
        """
        count = self.alone.bit_count()
        gains = dict.fromkeys(members(self.alone), 0)
        ways = dict.fromkeys(self._losses, 0) | {self.alone: 1}
        for before in sorted(self._losses, key=int.bit_count, reverse=True):
            if not self._open(before):
                continue
            weight = ways[before] * math.factorial(before.bit_count() - 1)
            for index in members(before):
                after = before & ~bit(index)
                gains[index] += weight * (self._losses[before] - self._losses[after])
                ways[after] += ways[before]
        return {index: Fraction(gain, math.factorial(count)) for index, gain in gains.items()}


def follow(plan: Plan, report: Report) -> Walk:
    """The walk of a report. Raises `RewardError` unless it judges just what the rule asks for.

    Fewer models would let a hospital choose what is measured; more would tell more than is needed.
    """
    told: Mapping[int, int] = {item.without: item.loss for item in report.evaluations}
    walk = Walk(plan, report.hospital, report.people)
    asked = []
    for without in plan.judged_by(report.hospital):
        if walk.needs(without):
            asked.append(without)
            if without not in told:
                break
            walk.tell(without, told[without])
    if asked != list(told):
        raise RewardError(
            f"report of hospital {report.hospital} in round {report.round_number}: it judges "
            "other models than those of this round that the rule asks for"
        )
    return walk
