"""Geometric median (RFA): the point whose weighted distances to all updates sum to the least."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from federated.codec import Config
from federated.grid import squared_norm
from federated.schema import Array
from federated.strategies.robust import RobustRule
from federated.strategies.settings import Setting
from federated.updates import Updates


class GeometricMedian(RobustRule):
    """Smoothed Weiszfeld (Pillutla et al. 2022, algorithm 2), in a fixed number of iterations.

    It begins at the weighted mean. Each iteration weights an update by its frozen weight over its
    distance to the point, which is not taken smaller than `smoothing`. The point is rounded to the
    grid before distances are taken, so they are roots of exact integers; all else is float64 in the
    order of hospital index, and `math.fsum`, which is exact whatever the order. Weights count as in
    the paper: it bears liars with less than half of the weight.
    """

    name = "geometric-median"
    needs = "3"
    source = "Pillutla et al. 2022"
    settings = (
        Setting("iterations", 1, 64, whole=True),
        Setting("smoothing", 0, 1, above=True),
    )
    weighted = True

    def least(self, config: Config) -> int:
        """Three: with two every point between them is a median."""
        del config
        return 3

    def combine(self, updates: Updates, config: Config) -> Array:
        """One pass an iteration, and one for the result."""
        smoothing = math.ldexp(float(config["smoothing"]), updates.grid.bits)
        shares = _shares([float(weight) for weight in updates.weights])
        for _ in range(config["iterations"]):
            away = [max(smoothing, distance) for distance in _distances(updates, shares)]
            shares = _shares([w / d for w, d in zip(updates.weights, away, strict=True)])
        result: Array = np.empty(updates.size)
        for place, values in updates.segments():
            result[place] = _point(values, shares)
        return result * math.ldexp(1.0, -updates.grid.bits)


def _shares(weights: Sequence[float]) -> list[float]:
    total = math.fsum(weights)
    return [weight / total for weight in weights]


def _point(values: Array, shares: Sequence[float]) -> Array:
    """Σ share · value, one hospital after the other.  # (updates, width) → (width,)"""
    point: Array = np.zeros(values.shape[1])
    for row, share in zip(values, shares, strict=True):
        point += row.astype(np.float64) * share
    return point


def _distances(updates: Updates, shares: Sequence[float]) -> list[float]:
    """Of each update to the point that the shares give, in steps of the grid."""
    squares = [0] * len(updates)
    for _, values in updates.segments():
        point = np.rint(_point(values, shares)).astype(np.int64)
        for index, row in enumerate(values):
            squares[index] += squared_norm(row - point)
    return [math.sqrt(square) for square in squares]
