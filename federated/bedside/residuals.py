"""How far a predicted amount may be off, from how far it was for validation patients.

Split conformal prediction (Lei, G'Sell, Rinaldo, Tibshirani and Wasserman 2018, section 2.2): if a
case is drawn as the validation patients were, its amount lies within with at least the stated
chance, whatever the model. Every case gets the same width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from federated.bedside.calibrate import LEAST_PATIENTS
from federated.schema import Array

COVERAGE = 0.9


@dataclass(frozen=True, slots=True)
class Within:
    """A distance, in the label's unit, that holds `COVERAGE` of amounts; of so many patients."""

    distance: float
    patients: int


def within_of(labels: Array, amounts: Array) -> Within | None:
    """The ⌈(n + 1) · coverage⌉-th least error of validation patients; None for fewer than 20.

    # (n,), (n,)
    """
    if len(labels) < LEAST_PATIENTS:
        return None
    errors = np.sort(np.abs(amounts - labels.astype(np.float64)))
    return Within(float(errors[math.ceil((len(errors) + 1) * COVERAGE) - 1]), len(errors))
