"""Do two models decide alike on the same patients? McNemar's exact test.

McNemar (1947), with the binomial distribution in place of its approximation. Only patients whom one
of the two decides wrongly tell anything: if the models are alike, each of these is a fair coin.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from federated.evaluation.paired import Difference
from federated.metrics import OPERATING_POINT
from federated.results import LEAST_COUNT
from federated.schema import Array

_HALVINGS = 60


def accuracy_difference(
    labels: Array, first: Array, second: Array, threshold: float = OPERATING_POINT
) -> Difference | None:
    """Accuracy of `first` minus that of `second` with McNemar's exact p.

    The interval is exact under the same condition as the test, the number of patients whom just one
    of them decides rightly (Clopper and Pearson, 1934): it leaves out 0 where p is below 0.05. None
    where these are fewer than `LEAST_COUNT`: so few show single people and can tell no difference.
    0 is among them, so that nothing is told of 1 to 4 by telling 0.  # (n,), (n,), (n,)
    """
    truth = labels == 1
    one, two = (first >= threshold) == truth, (second >= threshold) == truth
    won, lost = int(np.count_nonzero(one & ~two)), int(np.count_nonzero(two & ~one))
    if won + lost < LEAST_COUNT:
        return None
    scale = (won + lost) / len(labels)
    low, high = clopper_pearson(won, won + lost)
    return Difference(
        (won - lost) / len(labels),
        (2 * low - 1) * scale,
        (2 * high - 1) * scale,
        exact_p(won, lost),
    )


def exact_p(won: int, lost: int) -> float:
    """Two-sided p of so many heads and tails of a fair coin: the smaller tail, doubled."""
    trials, term, tail = won + lost, 1, 0
    for heads in range(min(won, lost) + 1):
        tail += term
        term = term * (trials - heads) // (heads + 1)
    chance: float = 2 * tail / 2**trials
    return min(1.0, chance)


def clopper_pearson(successes: int, trials: int) -> tuple[float, float]:
    """The exact 95 % interval of a proportion; `trials` > 0."""
    choices = np.array(
        [
            math.lgamma(trials + 1) - math.lgamma(k + 1) - math.lgamma(trials - k + 1)
            for k in range(trials + 1)
        ]
    )

    def tail(share: float, first: int, last: int) -> float:
        k = np.arange(first, last + 1)
        logs = choices[k] + k * math.log(share) + (trials - k) * math.log1p(-share)
        return float(np.exp(logs).sum())

    low = _crossing(lambda x: tail(x, successes, trials)) if successes else 0.0
    if successes == trials:
        return low, 1.0
    return low, 1 - _crossing(lambda x: tail(1 - x, 0, successes))


def _crossing(rising: Callable[[float], float]) -> float:
    """Where a function that rises from 0 to 1 over (0, 1) reaches 0.025, by halving."""
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if rising(middle) < 0.025:
            low = middle
        else:
            high = middle
    return (low + high) / 2
