"""From a model's outputs for several classes to chances that validation patients bear out.

Temperature scaling (Guo et al. 2017): all outputs are divided by one number, so the ranking of the
classes stays. It is fitted by maximum likelihood with Platt's smoothed targets (1999, section 2.2),
which keep the maximum finite where the classes are separated.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.bedside.calibrate import LEAST_FOR_SLOPE, LEAST_PATIENTS
from federated.schema import Array
from federated.tasks.multiclass import log_chances

_NEWTON_STEPS = 100


@dataclass(frozen=True, slots=True)
class Temperature:
    """chances = softmax(slope · outputs), fitted on so many patients; 1/slope is its name."""

    slope: float
    patients: int

    def chances(self, outputs: Array) -> Array:
        """The calibrated chances of one patient.  # (K,) → (K,)"""
        result: Array = np.exp(log_chances(self.slope * outputs[None])[0])
        return result


def fit_temperature(outputs: Array, labels: Array) -> Temperature | None:
    """Fitted on validation patients' outputs and classes; None for too few.  # (n, K), (n,)

    Too few are fewer than 20 patients, or fewer than two classes with five of them. None too where
    the model does not order the classes, so that no slope above 0 fits.
    """
    counts = np.bincount(labels.astype(np.int64), minlength=outputs.shape[1])
    if len(labels) < LEAST_PATIENTS or np.count_nonzero(counts >= LEAST_FOR_SLOPE) < 2:
        return None
    slope = _slope(outputs, _targets(labels.astype(np.int64), counts))
    return None if slope is None or slope <= 0 else Temperature(slope, len(labels))


def _targets(labels: Array, counts: Array) -> Array:
    """(count + 1) / (count + 2) on the own class, the rest spread over the others.  # (n, K)"""
    own = (counts + 1) / (counts + 2)
    others = (1 - own) / (len(counts) - 1)
    targets = np.repeat(others[labels][:, None], len(counts), axis=1)
    targets[np.arange(len(labels)), labels] = own[labels]
    result: Array = targets
    return result


def _slope(outputs: Array, targets: Array) -> float | None:
    """By Newton's method, each step halved until it helps: the loss is convex in the slope."""
    slope = 1.0
    loss = _loss(slope, outputs, targets)
    for _ in range(_NEWTON_STEPS):
        chances = np.exp(log_chances(slope * outputs))
        mean = (chances * outputs).sum(axis=1)
        gradient = float((mean - (targets * outputs).sum(axis=1)).sum())
        curvature = float((chances * (outputs - mean[:, None]) ** 2).sum())
        step = gradient / (curvature + 1e-9)
        while (lower := _loss(slope - step, outputs, targets)) > loss:
            step /= 2
            if abs(step) < 1e-12:
                return slope
        slope, loss = slope - step, lower
        if abs(step) < 1e-10:
            return slope
    return None


def _loss(slope: float, outputs: Array, targets: Array) -> float:
    return float(-(targets * log_chances(slope * outputs)).sum())
