"""Do two models decide alike on the same patients? McNemar's exact test.

McNemar (1947), with the binomial distribution in place of its approximation. Only patients whom one
of the two decides wrongly tell anything: if the models are alike, each of these is a fair coin.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv

from federated.evaluation.paired import Difference
from federated.metrics import OPERATING_POINT
from federated.results import LEAST_COUNT
from federated.schema import Array


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
    """The exact 95 % interval of a proportion, quantiles of beta distributions; `trials` > 0."""
    failures = trials - successes
    low = float(betaincinv(successes, failures + 1, 0.025)) if successes else 0.0
    high = float(betaincinv(successes + 1, failures, 0.975)) if failures else 1.0
    return low, high
