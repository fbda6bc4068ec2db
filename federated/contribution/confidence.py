"""How sure a contribution is: over the orders that were drawn, and over who judged.

A report holds sums over people, so nothing in it tells how a hospital's own people differ. The
judges do: each has people of its own, so that their scatter holds the chance of both. An interval
from it says what other hospitals' patients would show. Rounds do not: they judge the same people.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from federated.contribution.walk import Walk
from federated.metrics import LOSS_UNIT

_T95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5 % points of Student's t with 1 to 10 degrees of freedom; the last serves for more."""


@dataclass(frozen=True, slots=True)
class Confidence:
    """A contribution in nats over all rounds and judges.

    `orders_se` is its standard error over the draw of orders: 0 where all orders were followed,
    None where a single drawn one tells nothing of others. `low` and `high` are the 95 % interval
    over judges; None where fewer than two judged it.
    """

    value: float
    orders_se: float | None
    low: float | None
    high: float | None
    judges: int


def confidences(walks: Iterable[Walk]) -> dict[int, Confidence]:
    """By hospital, from the walks of all rounds."""
    sums: dict[int, dict[int, float]] = {}
    variances: dict[int, float] = {}
    for walk in walks:
        for index, gain in walk.gains().items():
            row = sums.setdefault(index, {})
            row[walk.judge] = row.get(walk.judge, 0.0) + float(gain) / LOSS_UNIT
        for index, variance in walk.variances().items():
            variances[index] = variances.get(index, 0.0) + variance / LOSS_UNIT**2
    return {
        index: _confidence(list(row.values()), variances[index])
        for index, row in sorted(sums.items())
    }


def _confidence(by_judge: list[float], variance: float) -> Confidence:
    """The interval of a sum of as many draws as there are judges, whose mean is Student's."""
    count, value = len(by_judge), math.fsum(by_judge)
    orders_se = math.sqrt(variance) if math.isfinite(variance) else None
    if count < 2:
        return Confidence(value, orders_se, None, None, count)
    point = _T95[min(count - 1, len(_T95)) - 1]
    half = point * stdev(by_judge, fmean(by_judge)) * math.sqrt(count)
    return Confidence(value, orders_se, value - half, value + half, count)
