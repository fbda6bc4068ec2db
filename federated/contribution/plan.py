"""Which models a round's hospitals judge, by a rule that nobody can bend.

For Shapley values a hospital judges models in which it stands first and the others join one after
the other. All orders are followed where that takes no more models than the drawn orders would;
else so many orders are drawn for each judge, from the study's seed, the round and the state that
the round leads to. Nobody knows that state before all updates are in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from federated.canonical import tagged_hash
from federated.contribution.coalitions import bit, everyone, in_order, members, subsets

Order = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The games of one round. `included` is the set of hospitals whose updates are in its model.

    `orders` is 0 for leave-one-out, else how many to draw for a judge; `origin` is what they are
    drawn from. With `guided`, each other hospital joins first equally often. With `whole`, the
    round's own model alone is judged, and there is no game.
    """

    included: int
    orders: int
    guided: bool
    origin: tuple[int, int, bytes]
    tolerance: Fraction
    round_tolerance: Fraction
    whole: bool = False

    @property
    def all_orders(self) -> bool:
        """Whether every order is followed, without a draw."""
        count = self.included.bit_count()
        return (1 << count) - 1 <= self.orders * count * (count - 1) + 1

    def models(self) -> list[int]:
        """The round's own model and the others, by whom they leave out, in order."""
        return in_order(
            without for judge in members(self.included) for without in self._judged(judge)
        )

    def judged_by(self, judge: int) -> list[int]:
        """Those of them that a hospital may have to judge: with its own update in each."""
        return in_order(self._judged(judge))

    def drawn(self, judge: int) -> list[Order]:
        """The orders in which the others join, for a judge. Only where not all are followed."""
        others = members(self.included & ~bit(judge))
        leaders = self._sorted(others, judge, "first")
        found = []
        for place in range(self.orders):
            order = self._sorted(others, judge, place)
            if self.guided:
                first = leaders[place % len(leaders)]
                order = (first, *(index for index in order if index != first))
            found.append(order)
        return found

    def _judged(self, judge: int) -> Iterator[int]:
        rest = self.included & ~bit(judge)
        yield 0
        if self.whole:
            return
        if not self.orders:
            yield from (bit(index) for index in members(rest))
        elif self.all_orders:
            yield from subsets(rest)
        else:
            for order in self.drawn(judge):
                yield from (everyone(order[place:]) for place in range(len(order)))

    def _sorted(self, others: Sequence[int], judge: int, place: int | str) -> Order:
        """The others in the order of a hash: the same on every machine and version."""
        seed, number, state = self.origin
        parts = (seed, number, state, judge, place)
        keys = {index: tagged_hash("consilium/orders/1", *parts, index) for index in others}
        return tuple(sorted(others, key=lambda index: keys[index]))
