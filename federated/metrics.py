"""How good a model is, with 95 % intervals; numpy and integers only.

A hospital reports `Confusion`, integer counts over its own cohort, and nothing finer: a histogram
of scores would let the center pool an AUC, but with a hundred patients most of its cells would hold
one of them. So an AUC is computed where the scores are: by a hospital for itself, and by
`simulate`, which alone sees all records, for pooled rows. Counts of few patients can still tell
something about one: a cohort's size is public, so its hospital decides whether to report.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from federated.schema import Array

Z95 = 1.959963984540054
OPERATING_POINT = 0.5
"""A study's decision: positive from this probability of its model on; one for all studies."""

LOSS_UNIT = 1 << 16
"""Steps of a fixed-point loss in one nat."""

LOSS_STEP = LOSS_UNIT // 2
"""Half a nat: the step of reported losses, in 1/65536 nats."""

FIGURE_STEP = 0.01
"""The step in which a figure leaves a hospital: an AUC is a sum of ranks, a mean error one of
errors, so finer ones of many rounds are equations for the labels."""

LOSS_CAP = 16
"""Nats that one record can add to a loss, so that no report can move a contribution at will."""


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts of records at a threshold."""

    tp: int
    fp: int
    tn: int
    fn: int

    @property
    def total(self) -> int:
        """Number of records."""
        return self.tp + self.fp + self.tn + self.fn

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.tp + other.tp,
            self.fp + other.fp,
            self.tn + other.tn,
            self.fn + other.fn,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and its 95 % interval."""

    value: float
    low: float
    high: float


FIGURES = ("accuracy", "balanced_accuracy", "sensitivity", "specificity", "auc")
"""The fields of `Scores`, as tables of results name them."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One row of a table of results; None where no record can tell (no positive, no negative)."""

    accuracy: Estimate | None
    balanced_accuracy: Estimate | None
    sensitivity: Estimate | None
    specificity: Estimate | None
    auc: Estimate | None

    @classmethod
    def of(cls, counts: Confusion, area: Estimate | None) -> Scores:
        """The row of counts at a threshold, and of an AUC."""
        shares = accuracy(counts), balanced_accuracy(counts)
        return cls(*shares, sensitivity(counts), specificity(counts), area)


def confusion(labels: Array, scores: Array, threshold: float = OPERATING_POINT) -> Confusion:
    """Counts of probabilities at or above `threshold` against labels of 0 and 1.  # (n,), (n,)"""
    truth, called = labels == 1, scores >= threshold
    return Confusion(
        tp=int((called & truth).sum()),
        fp=int((called & ~truth).sum()),
        tn=int((~called & ~truth).sum()),
        fn=int((~called & truth).sum()),
    )


def log_loss(labels: Array, scores: Array) -> int:
    """The log loss of probabilities, summed over records, in 1/65536 nats.  # (n,), (n,)"""
    chance = np.where(labels == 1, scores, 1 - scores)
    nats = -np.log(np.maximum(chance, math.exp(-LOSS_CAP)))
    return int(np.rint(nats * LOSS_UNIT).astype(np.int64).sum())


def scores(labels: Array, predicted: Array, threshold: float = OPERATING_POINT) -> Scores:
    """All figures of probabilities against labels of 0 and 1."""
    return Scores.of(confusion(labels, predicted, threshold), auc(labels, predicted))


def accuracy(counts: Confusion) -> Estimate | None:
    """Share of records called right."""
    return wilson(counts.tp + counts.tn, counts.total)


def balanced_accuracy(counts: Confusion) -> Estimate | None:
    """Mean of sensitivity and specificity: what calls everybody positive gets 0.5, not the share.

    The bounds join those of the two by their squared distances (Newcombe, 1998, method 10), which
    counts alone allow: a hospital need not show scores for it. None without both labels.
    """
    found = sensitivity(counts), specificity(counts)
    if found[0] is None or found[1] is None:
        return None
    value = (found[0].value + found[1].value) / 2
    below = math.hypot(*(x.value - x.low for x in found if x)) / 2
    above = math.hypot(*(x.high - x.value for x in found if x)) / 2
    return Estimate(value, max(0.0, value - below), min(1.0, value + above))


def sensitivity(counts: Confusion) -> Estimate | None:
    """Share of positives called positive."""
    return wilson(counts.tp, counts.tp + counts.fn)


def specificity(counts: Confusion) -> Estimate | None:
    """Share of negatives called negative."""
    return wilson(counts.tn, counts.tn + counts.fp)


def wilson(successes: int, trials: int) -> Estimate | None:
    """A proportion with Wilson's score interval; None without trials."""
    if not trials:
        return None
    p, z2 = successes / trials, Z95**2
    centre = (p + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z95 / (1 + z2 / trials) * math.sqrt(p * (1 - p) / trials + z2 / (4 * trials**2))
    return Estimate(p, min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)))


def auc(labels: Array, predicted: Array) -> Estimate | None:
    """Area under the ROC curve with DeLong's interval; None without both labels.

    Ties count half. Where the labels are separated without error the variance is 0 and tells
    nothing; the bound is then Wilson's for as many trials as the rarer label has records.
    """
    placed = placements(labels, predicted)
    if placed is None:
        return None
    of_positive, of_negative = placed
    m, n = len(of_positive), len(of_negative)
    value = float(of_positive.mean())
    if value in (0.0, 1.0):
        return wilson(round(value) * min(m, n), min(m, n))
    variance = _variance(of_positive) / m + _variance(of_negative) / n
    half = Z95 * math.sqrt(variance)
    return Estimate(value, max(0.0, value - half), min(1.0, value + half))


def placements(labels: Array, predicted: Array) -> tuple[Array, Array] | None:
    """For each positive the share of negatives scored lower, for each negative of positives higher.

    Both in the records' order, ties as half; each has the AUC as its mean. None without both
    labels. DeLong's structural components by sorting: O(n log n), as Sun and Xu (2014) get them
    from mid-ranks.  # (m,), (n,)
    """
    positive = predicted[labels == 1].astype(np.float64)
    negative = predicted[labels != 1].astype(np.float64)
    if not len(positive) or not len(negative):
        return None
    return (
        _share_below(positive, np.sort(negative)),
        1 - _share_below(negative, np.sort(positive)),
    )


def _share_below(values: Array, others: Array) -> Array:
    """For each value the share of sorted `others` below it, ties as half."""
    below = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    share: Array = below / (2 * len(others))
    return share


def _variance(values: Array) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.0
