"""Whether a probability of 0.3 means three of ten: Brier score, intercept, slope, and a curve.

Van Calster et al. (2016) name the levels: in the large (the intercept with the slope held at 1),
weak (the slope), and moderate (the curve).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.evaluation.bootstrap import percentile_interval
from federated.evaluation.brier import Parts, brier, parts
from federated.metrics import Z95, Estimate, wilson
from federated.schema import Array

LEAST_IN_BIN = 10
MOST_BINS = 10
_STEPS = 50
_FAR = 20.0
"""A slope or intercept beyond it is where the labels are separated: it has no estimate."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Records of neighbouring probabilities: how many, their mean, and the share of positives."""

    count: int
    predicted: float
    observed: Estimate


@dataclass(frozen=True, slots=True)
class Calibration:
    """`intercept` is 0 and `slope` 1 where probabilities are right; None where none is estimable.

    `expected` and `observed` are the mean probability and the share of positives. The Brier score's
    interval is of bootstrapped people.
    """

    count: int
    brier: Estimate
    parts: Parts
    expected: float
    observed: float
    intercept: Estimate | None
    slope: Estimate | None
    bins: tuple[Bin, ...]


def calibrate(
    labels: Array, predicted: Array, *, seed: int, name: str, people: Array | None = None
) -> Calibration | None:
    """Calibration of probabilities against labels of 0 and 1; None without records.  # (n,), (n,)

    `seed`, `name` and `people` are those of `percentile_interval`. Bins hold equally many records,
    at least `LEAST_IN_BIN`: a bin of one patient would show him.
    """
    if not len(labels):
        return None
    truth, chance = labels.astype(np.float64), predicted.astype(np.float64)
    odds, score = _logit(chance), brier(truth, chance)
    around = percentile_interval(
        score,
        lambda rows: brier(truth[rows], chance[rows]),
        truth,
        seed=seed,
        name=name,
        people=people,
    )
    assert around is not None
    return Calibration(
        count=len(truth),
        brier=around,
        parts=parts(truth, chance),
        expected=float(chance.mean()),
        observed=float(truth.mean()),
        intercept=_fit(truth, np.ones((len(truth), 1)), odds),
        slope=_fit(truth, np.column_stack([odds, np.ones(len(truth))]), np.zeros(len(truth))),
        bins=_bins(truth, chance),
    )


def _bins(truth: Array, chance: Array) -> tuple[Bin, ...]:
    order = np.argsort(chance, kind="stable")
    parts = np.array_split(order, max(1, min(MOST_BINS, len(order) // LEAST_IN_BIN)))
    found = []
    for part in parts:
        observed = wilson(int(truth[part].sum()), len(part))
        assert observed is not None
        found.append(Bin(len(part), float(chance[part].mean()), observed))
    return tuple(found)


def _logit(chance: Array) -> Array:
    inside = np.clip(chance, 1e-6, 1 - 1e-6)
    odds: Array = np.log(inside / (1 - inside))
    return odds


def _fit(truth: Array, columns: Array, offset: Array) -> Estimate | None:
    """The first coefficient of a logistic regression by Newton's method, with Wald's interval.

    columns: (n, k). None where it does not settle, as where the labels are separated.
    """
    beta = np.zeros(columns.shape[1])
    with np.errstate(over="ignore"):
        for _ in range(_STEPS):
            mean = 1 / (1 + np.exp(-(columns @ beta + offset)))  # (n,)
            information = (columns * (mean * (1 - mean))[:, None]).T @ columns  # (k, k)
            try:
                step = np.linalg.solve(information, columns.T @ (truth - mean))
            except np.linalg.LinAlgError:
                return None  # the data leave a direction open: there is no one best fit
            beta = beta + step
            if not np.isfinite(beta).all() or np.abs(beta).max() > _FAR:
                return None
            if np.abs(step).max() < 1e-10:
                half = Z95 * float(np.sqrt(np.linalg.inv(information)[0, 0]))
                return Estimate(float(beta[0]), float(beta[0]) - half, float(beta[0]) + half)
    return None
