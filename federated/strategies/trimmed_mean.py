"""Trimmed mean: in each place the mean of what is left without the largest and smallest values."""

from __future__ import annotations

import math

import numpy as np

from federated.aggregate import divide
from federated.codec import Config
from federated.schema import Array
from federated.strategies.robust import RobustRule
from federated.strategies.settings import Setting
from federated.updates import Updates


class TrimmedMean(RobustRule):
    """Of n values the ⌊trimmed · n⌋ largest and as many smallest are dropped; weights do not count.

    The product is one of float64. The rule bears as many liars as it drops at one end.
    """

    name = "trimmed-mean"
    needs = "n with ⌊trimmed · n⌋ ≥ 1"
    source = "Yin et al. 2018"
    settings = (Setting("trimmed", 0.004, 0.5, below=True),)

    def least(self, config: Config) -> int:
        """The fewest of which one is dropped: with fewer it would be a plain mean by that name."""
        share = float(config["trimmed"])
        return next(n for n in range(1, 257) if _dropped(share, n))

    def combine(self, updates: Updates, config: Config) -> Array:
        """An exact integer sum of those in the middle, divided once."""
        cut = _dropped(float(config["trimmed"]), len(updates))
        kept = len(updates) - 2 * cut
        result: Array = np.empty(updates.size)
        for place, values in updates.segments():
            values.sort(axis=0)
            total = values[cut : cut + kept].sum(axis=0)
            result[place] = divide(total, kept << updates.grid.bits)
        return result


def _dropped(share: float, count: int) -> int:
    return math.floor(share * count)
