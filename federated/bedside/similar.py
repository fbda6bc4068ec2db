"""Nearest patients, and whether a case lies beyond those that a model was trained on.

Distances are Euclidean over what the model reads: its scaled inputs, or what its last layer makes
of them. A case is far when its nearest training patient is farther than 99 in 100 training patients
are from theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from federated.schema import Array

PERCENTILE = 99.0
LEAST_FOR_FAR = 20
"""Training patients below which distances between them tell nothing."""

_ROWS = 256


@dataclass(frozen=True, slots=True)
class Reach:
    """The case's distance to its nearest training patient, and those between training patients.

    `usual` is the median, `limit` the 99th percentile.
    """

    nearest: float
    usual: float
    limit: float

    @property
    def far(self) -> bool:
        """Whether the case lies beyond the training patients."""
        return self.nearest > self.limit


def distances(case: Array, others: Array) -> Array:
    """From one case to each of others.  # (width,), (n, width) → (n,)"""
    result: Array = np.sqrt(np.square(others.astype(np.float64) - case).sum(axis=1))
    return result


def nearest(found: Array, count: int) -> list[int]:
    """Places of the least distances, ties in order of place.  # (n,)"""
    return [int(place) for place in np.argsort(found, kind="stable")[:count]]


def own_nearest(patients: Array) -> Array:
    """Each patient's distance to its nearest other one.  # (n, width) → (n,)"""
    wide = patients.astype(np.float64)
    squares = np.square(wide).sum(axis=1)
    found = np.empty(len(wide))
    for start in range(0, len(wide), _ROWS):
        rows = slice(start, start + _ROWS)
        pairs = squares[rows, None] + squares[None, :] - 2 * wide[rows] @ wide.T  # (rows, n)
        own = np.arange(start, min(start + _ROWS, len(wide)))
        pairs[own - start, own] = np.inf
        found[rows] = pairs.min(axis=1)
    result: Array = np.sqrt(np.maximum(found, 0))
    return result


def reach(case: Array, patients: Array, between: Array) -> Reach | None:
    """How far a case is from training patients; `between` is their `own_nearest`.

    None for too few patients to tell.
    """
    if len(patients) < LEAST_FOR_FAR:
        return None
    usual, limit = np.percentile(between, [50.0, PERCENTILE]).tolist()
    return Reach(float(distances(case, patients).min()), usual, limit)


def beyond(case: Array, patients: Array) -> Array:
    """For each input −1 below all patients, 1 above all, else 0.  # (width,), (n, width)"""
    if not len(patients):
        return np.zeros(len(case), dtype=np.int64)
    above = (case > patients.max(axis=0)).astype(np.int64)
    below = (case < patients.min(axis=0)).astype(np.int64)
    result: Array = above - below
    return result
