"""How near predicted amounts are, in the label's unit."""

from __future__ import annotations

import math

import numpy as np

from federated.evaluation.bootstrap import percentile_interval
from federated.metrics import Estimate
from federated.schema import Array


def amount_figures(
    labels: Array, amounts: Array, *, seed: int, name: str
) -> dict[str, Estimate | None]:
    """Mean absolute error, root mean squared error, R²; intervals are of bootstrapped people.

    R² is 1 less the squared error's share of that of saying these labels' mean to everybody: below
    0 the mean is better. None where all labels are alike.  # (n,), (n,)
    """
    errors = amounts - labels

    def absolute(rows: Array) -> float | None:
        return float(np.abs(errors[rows]).mean()) if len(rows) else None

    def squared(rows: Array) -> float | None:
        return math.sqrt(float(np.square(errors[rows]).mean())) if len(rows) else None

    def explained(rows: Array) -> float | None:
        spread = float(np.square(labels[rows] - labels[rows].mean()).sum()) if len(rows) else 0.0
        return 1 - float(np.square(errors[rows]).sum()) / spread if spread else None

    everybody, one_group = np.arange(len(labels)), np.zeros(len(labels), dtype=np.int64)
    found: dict[str, Estimate | None] = {}
    for key, statistic in {"mae": absolute, "rmse": squared, "r2": explained}.items():
        value = statistic(everybody)
        found[key] = None
        if value is not None:
            found[key] = percentile_interval(value, statistic, one_group, seed=seed, name=name)
    return found
