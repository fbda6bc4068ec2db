"""Norm bounding: no update moves the mean further than a bound allows, however long it is."""

from __future__ import annotations

import math

import numpy as np

from federated.aggregate import divide
from federated.codec import Config
from federated.grid import squared_norm
from federated.schema import Array
from federated.strategies.robust import RobustRule
from federated.strategies.settings import Setting
from federated.updates import Updates

_BITS = 31
_LOW = np.int64((1 << _BITS) - 1)


class NormBounding(RobustRule):
    """The weighted mean, as FedAvg's, of updates that are scaled down to the bound T.

    T² is the median of the exact squared norms (of an even number the lower one), or
    ⌊norm · 2^bits⌋² where `norm` is a number. With S an update's squared norm, one with S > T² has
    each coordinate v replaced by sign(v) · ⌊|v| · q / 2³¹⌋, where q = ⌊√(2⁶² · T² / S)⌋: integers
    throughout, and never longer than T. Liars still choose their direction, and weights count.
    """

    name = "norm-bounding"
    needs = "3 for a median, else 1"
    source = "Sun et al. 2019"
    settings = (Setting("norm", 0, 1e9, above=True, word="median"),)
    weighted = True

    def least(self, config: Config) -> int:
        """Three for a median, of two the shorter would bound the other; one for a given bound."""
        return 3 if config["norm"] == "median" else 1

    def combine(self, updates: Updates, config: Config) -> Array:
        """One pass for the norms, one for the mean."""
        norms = _squared_norms(updates)
        bound = _bound(config["norm"], norms, updates.grid.bits)
        factors = [None if norm <= bound else math.isqrt((bound << 62) // norm) for norm in norms]
        result: Array = np.empty(updates.size)
        divisor = sum(updates.weights) << updates.grid.bits
        for place, values in updates.segments():
            total = np.zeros(values.shape[1], dtype=np.int64)
            for row, factor, weight in zip(values, factors, updates.weights, strict=True):
                total += (row if factor is None else scaled(row, factor)) * weight
            result[place] = divide(total, divisor)
        return result


def scaled(steps: Array, factor: int) -> Array:
    """sign(v) · ⌊|v| · factor / 2³¹⌋ for a factor below 2³¹, without overflow.  # (n,) int64

    |v| = a·2³¹ + b gives a·factor + ⌊b·factor / 2³¹⌋.
    """
    magnitude = np.abs(steps)
    high, low = magnitude >> _BITS, magnitude & _LOW
    result: Array = np.sign(steps) * (high * factor + ((low * factor) >> _BITS))
    return result


def _squared_norms(updates: Updates) -> list[int]:
    norms = [0] * len(updates)
    for _, values in updates.segments():
        for index, row in enumerate(values):
            norms[index] += squared_norm(row)
    return norms


def _bound(norm: float | str, norms: list[int], bits: int) -> int:
    """T², in steps of the grid."""
    if isinstance(norm, str):
        return sorted(norms)[(len(norms) - 1) // 2]
    return math.floor(math.ldexp(float(norm), bits)) ** 2
