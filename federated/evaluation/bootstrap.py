"""Percentile intervals out of resampled people, the same in every replay.

Efron and Tibshirani (1993), chapters 8 and 13: people are drawn with replacement inside each label,
so that every draw has as many of either as the records do, and a drawn person brings all of their
records. Two records of one person err together; drawing rows would count them as two people and
give intervals that are too narrow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, Philox

from federated.canonical import tagged_hash
from federated.metrics import Estimate
from federated.schema import Array

DRAWS = 1999
"""So many that the bounds are the 50th value from either end (Davison and Hinkley, 1997, 5.2.1)."""

_TAIL = 50

Statistic = Callable[[Array], float | None]
"""A figure of the records at these places (k,); None where they give none."""


@dataclass(frozen=True, slots=True)
class _People:
    """Rows by person: person p has `rows[start[p] : start[p] + count[p]]`; `strata` hold people."""

    rows: Array
    start: Array
    count: Array
    strata: tuple[Array, ...]

    def draw(self, order: Generator) -> Array:
        """Places of the records of as many people, drawn inside each stratum."""
        drawn = np.concatenate(
            [part[order.integers(0, len(part), len(part))] for part in self.strata]
        )
        count = self.count[drawn]
        first = np.repeat(self.start[drawn] - (np.cumsum(count) - count), count)
        places: Array = self.rows[first + np.arange(len(first))]
        return places


def percentile_interval(
    value: float,
    statistic: Statistic,
    labels: Array,
    *,
    seed: int,
    name: str,
    people: Array | None = None,
) -> Estimate | None:
    """`value` with its 95 % percentile interval over `DRAWS` draws of people.

    `seed` is the study's and `name` says what is drawn: both key the generator. `people` tells
    whose each record is; without it each is one person's. Who has records of several labels counts
    as of the highest. The interval always holds `value`. None where a draw has no figure: too few
    people for an interval.  # (n,), (n,)
    """
    grouped = _grouped(labels, np.arange(len(labels)) if people is None else people)
    key = tagged_hash("consilium/bootstrap/1", seed, name)
    order = Generator(Philox(key=int.from_bytes(key[:16], "big")))
    found = []
    for _ in range(DRAWS if len(labels) else 0):
        drawn = statistic(grouped.draw(order))
        if drawn is None:
            return None
        found.append(drawn)
    if not found:
        return None
    found.sort()
    return Estimate(value, min(value, found[_TAIL - 1]), max(value, found[-_TAIL]))


def _grouped(labels: Array, people: Array) -> _People:
    _, person, count = np.unique(people, return_inverse=True, return_counts=True)
    label = np.full(len(count), -np.inf)
    np.maximum.at(label, person, labels)
    strata = tuple(np.flatnonzero(label == one) for one in np.unique(label)[::-1])
    return _People(np.argsort(person, kind="stable"), np.cumsum(count) - count, count, strata)
