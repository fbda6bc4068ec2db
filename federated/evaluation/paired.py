"""Two models on the same test records: the difference, with an interval that knows of the pairing.

Two intervals that overlap do not tell that two models are alike: their errors are made on the same
patients. Intervals here hold for other patients of the same kind; they do not cover that another
seed would have trained other models, and are not widened for many comparisons.
"""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np

from federated.metrics import Z95, Estimate, placements
from federated.schema import Array


class Finding(StrEnum):
    """What a difference with its interval allows to say."""

    BETTER = "better"
    WORSE = "worse"
    UNCLEAR = "unclear"


def auc_difference(labels: Array, first: Array, second: Array) -> Estimate | None:
    """AUC of `first` minus AUC of `second` with DeLong's 95 % interval for paired records.

    DeLong, DeLong and Clarke-Pearson (1988), equation 5, with the covariances of the structural
    components. None with fewer than two of either label.  # (n,), (n,), (n,)
    """
    one, two = placements(labels, first), placements(labels, second)
    if one is None or two is None or min(len(one[0]), len(one[1])) < 2:
        return None
    of_positive, of_negative = one[0] - two[0], one[1] - two[1]
    variance = float(of_positive.var(ddof=1)) / len(of_positive)
    variance += float(of_negative.var(ddof=1)) / len(of_negative)
    return _around(float(of_positive.mean()), variance)


def brier_difference(labels: Array, first: Array, second: Array) -> Estimate | None:
    """Mean squared error of `first` minus that of `second`; below 0 the first is better.

    The interval is that of a mean of independent differences. None with fewer than two records.
    """
    if len(labels) < 2:
        return None
    truth = labels.astype(np.float64)
    difference = (first - truth) ** 2 - (second - truth) ** 2
    return _around(float(difference.mean()), float(difference.var(ddof=1)) / len(difference))


def finding(difference: Estimate | None) -> Finding:
    """Whether the interval of an AUC's difference leaves out 0; one of no width tells nothing."""
    if difference is None or difference.low == difference.high:
        return Finding.UNCLEAR
    if difference.low > 0:
        return Finding.BETTER
    return Finding.WORSE if difference.high < 0 else Finding.UNCLEAR


def _around(value: float, variance: float) -> Estimate:
    half = Z95 * math.sqrt(variance)
    return Estimate(value, max(-1.0, value - half), min(1.0, value + half))
