"""The Brier score and what it is made of, without bins.

Dimitriadis, Gneiting and Jordan (2021): score = miscalibration − discrimination + uncertainty. The
recalibrated probabilities are the isotonic regression of the labels on the predicted ones, so no
number of bins is chosen and the parts add up exactly.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from federated.schema import Array


@dataclass(frozen=True, slots=True)
class Parts:
    """Parts of a Brier score, each at least 0.

    `miscalibration` is what the best increasing correction of the probabilities would save (it is
    fitted on the same records, so a little above 0 even where probabilities are right);
    `discrimination` what they spare beside saying the share of positives to everybody;
    `uncertainty` the score of saying that.
    """

    miscalibration: float
    discrimination: float
    uncertainty: float


def brier(labels: Array, predicted: Array) -> float:
    """Mean squared error of probabilities against labels of 0 and 1.  # (n,), (n,), n > 0"""
    return float(((predicted.astype(np.float64) - labels) ** 2).mean())


def parts(labels: Array, predicted: Array) -> Parts:
    """What the Brier score is made of.  # (n,), (n,), n > 0"""
    best = brier(labels, isotonic(labels, predicted))
    share = float(labels.mean(dtype=np.float64))
    uncertainty = share * (1 - share)
    return Parts(
        max(0.0, brier(labels, predicted) - best), max(0.0, uncertainty - best), uncertainty
    )


def isotonic(labels: Array, predicted: Array) -> Array:
    """The increasing function of `predicted` that is nearest to `labels`, at each record.

    Pool adjacent violators (Ayer and others, 1955) over distinct probabilities.
    """
    _, place, count = np.unique(predicted, return_inverse=True, return_counts=True)
    positives = np.bincount(place, weights=labels.astype(np.float64))
    fitted: Array = isotonic_regression(positives / count, weights=count).x[place]
    return fitted
