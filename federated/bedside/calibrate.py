"""From a model's log odds to a chance that validation patients bear out, and those like the case.

Platt's scaling (1999, with the smoothed targets of his section 2.2) where the rarer label has
enough validation patients for two parameters; else its slope alone, which is temperature scaling
(Guo et al. 2017); with fewer still nothing is fitted, and who reads is told so.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from federated.metrics import Estimate, wilson
from federated.results import LEAST_COUNT
from federated.schema import Array

LEAST_FOR_SLOPE, LEAST_FOR_BOTH = LEAST_COUNT, 20
"""Validation patients of the rarer label from which one, and from which two numbers are fitted."""

LEAST_PATIENTS = 20
"""Validation patients below which nothing is fitted."""

BAND = 0.1
"""Scores this near to the case's are similar."""

_NEWTON_STEPS = 100


@dataclass(frozen=True, slots=True)
class Calibration:
    """chance = σ(slope · log odds + shift), fitted on so many patients; `method` names which."""

    method: str
    slope: float
    shift: float
    patients: int

    def chance(self, log_odds: float) -> float:
        """The calibrated probability of the positive label."""
        return float(1 / (1 + np.exp(-(self.slope * log_odds + self.shift))))


class Few(StrEnum):
    """Who is fewer than `LEAST_COUNT`, so that a number would tell about single people."""

    NOBODY = ""
    PATIENTS = "patients"
    POSITIVE = "positive"
    NEGATIVE = "negative"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Band:
    """Validation patients with a similar score, and how many of them had the positive label.

    A number that is too small to be shown, or from which one follows, is None. `share` is given
    where all numbers are.
    """

    few: Few
    patients: int | None = None
    positive: int | None = None
    share: Estimate | None = None


def calibrate(log_odds: Array, labels: Array) -> Calibration | None:
    """Fitted on validation patients' log odds and labels of 0 and 1; None for too few.  # (n,)

    None too where the model does not order them, so that no rising curve fits.
    """
    positives = int(np.count_nonzero(labels))
    rarer = min(positives, len(labels) - positives)
    if rarer < LEAST_FOR_SLOPE or len(labels) < LEAST_PATIENTS:
        return None
    both = rarer >= LEAST_FOR_BOTH
    columns = np.stack([log_odds, np.ones_like(log_odds)][: 1 + both], axis=1)  # (n, 1 or 2)
    high, low = (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2)
    fitted = _fit(columns, np.where(labels == 1, high, low))
    if fitted is None or fitted[0] <= 0:
        return None
    shift = float(fitted[1]) if both else 0.0
    return Calibration("platt" if both else "temperature", float(fitted[0]), shift, len(labels))


def band_of(score: float, scores: Array, labels: Array) -> Band:
    """Patients whose probability lies within `BAND` of the case's.  # (n,), (n,)"""
    return band_of_events(labels[np.abs(scores - score) <= BAND])


def band_of_events(near: Array) -> Band:
    """How many of these patients had the positive label, as far as it may be said.  # (n,)"""
    positive = int(np.count_nonzero(near))
    rare = [positive < LEAST_COUNT, len(near) - positive < LEAST_COUNT]
    if len(near) < LEAST_COUNT:
        return Band(Few.PATIENTS)
    if any(rare):
        few = Few.BOTH if all(rare) else (Few.POSITIVE if rare[0] else Few.NEGATIVE)
        return Band(few, len(near))
    return Band(Few.NOBODY, len(near), positive, wilson(positive, len(near)))


def _fit(columns: Array, targets: Array) -> Array | None:
    """Maximum likelihood by Newton's method, each step halved until it helps; None if it runs away.

    The smoothed targets keep the maximum finite.
    """
    weights = np.zeros(columns.shape[1])
    weights[0] = 1.0
    loss = _loss(columns @ weights, targets)
    for _ in range(_NEWTON_STEPS):
        chance = 1 / (1 + np.exp(-(columns @ weights)))
        gradient = columns.T @ (chance - targets)
        curvature = columns.T @ (columns * (chance * (1 - chance))[:, None])
        step = np.linalg.solve(curvature + 1e-9 * np.eye(len(weights)), gradient)
        while (lower := _loss(columns @ (weights - step), targets)) > loss:
            step = step / 2
            if np.abs(step).max() < 1e-12:
                return weights
        weights, loss = weights - step, lower
        if np.abs(step).max() < 1e-10:
            return weights
    return None


def _loss(log_odds: Array, targets: Array) -> float:
    return float((np.logaddexp(0, log_odds) - targets * log_odds).sum())
