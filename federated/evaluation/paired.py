"""Two models on the same test records: the difference, with an interval that knows of the pairing.

Two intervals that overlap do not tell that two models are alike: their errors are made on the same
patients. Intervals and p values hold for other patients of the same kind; they do not cover that
another seed would have trained other models, and are not widened for many comparisons.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from federated.metrics import Z95, Estimate, placements
from federated.schema import Array

LEVEL = 0.05
"""A difference is claimed below this two-sided p, and its 95 % interval then leaves out 0."""

_ROUNDING = 1e-9
"""A spread below it is that of floating point: it must not make a difference look certain."""


@dataclass(frozen=True, slots=True)
class Difference(Estimate):
    """A difference, its 95 % interval, and the two-sided p of no difference.

    p is None where the records cannot tell: they differ, and show no spread to judge it by.
    """

    p: float | None


class Finding(StrEnum):
    """What a difference with its p allows to say."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"


def auc_difference(labels: Array, first: Array, *others: Array) -> Difference | None:
    """AUC of `first` minus the mean AUC of `others`, with DeLong's test for paired records.

    DeLong, DeLong and Clarke-Pearson (1988), equation 5: the variance of a contrast out of the
    covariances of structural components, which come from ranks (Sun and Xu, 2014) in O(n log n).
    None with fewer than two of either label.  # (n,), (n,), each (n,)
    """
    one = placements(labels, first)
    rivals = [found for other in others if (found := placements(labels, other)) is not None]
    if one is None or not rivals or min(len(one[0]), len(one[1])) < 2:
        return None
    of_positive = one[0] - np.mean([found[0] for found in rivals], axis=0)
    of_negative = one[1] - np.mean([found[1] for found in rivals], axis=0)
    variance = float(of_positive.var(ddof=1)) / len(of_positive)
    variance += float(of_negative.var(ddof=1)) / len(of_negative)
    return _around(float(of_positive.mean()), variance)


def brier_difference(labels: Array, first: Array, second: Array) -> Difference | None:
    """Mean squared error of `first` minus that of `second`; below 0 the first is better.

    Interval and p are those of a mean of independent differences (Diebold and Mariano, 1995). None
    with fewer than two records.
    """
    if len(labels) < 2:
        return None
    truth = labels.astype(np.float64)
    difference = (first - truth) ** 2 - (second - truth) ** 2
    return _around(float(difference.mean()), float(difference.var(ddof=1)) / len(difference))


def finding(difference: Difference | None) -> Finding:
    """Whether a difference may be claimed, for a figure that is better where it is higher."""
    if difference is None or difference.p is None or difference.p >= LEVEL:
        return Finding.UNCLEAR
    return Finding.BETTER if difference.value > 0 else Finding.WORSE


def _around(value: float, variance: float) -> Difference:
    spread = math.sqrt(variance)
    if spread > _ROUNDING:
        p: float | None = math.erfc(abs(value) / spread / math.sqrt(2))
    else:
        p = None if abs(value) > _ROUNDING else 1.0
    half = Z95 * spread
    return Difference(value, max(-1.0, value - half), min(1.0, value + half), p)
