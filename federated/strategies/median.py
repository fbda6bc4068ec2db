"""Coordinate median: in each place the middle one of the hospitals' values."""

from __future__ import annotations

import numpy as np

from federated.aggregate import divide
from federated.codec import Config
from federated.schema import Array
from federated.strategies.robust import RobustRule
from federated.updates import Updates


class Median(RobustRule):
    """Of an even number of hospitals the mean of the middle two; weights do not count.

    Moved at will only by half of the hospitals. Of two it would be their mean.
    """

    name = "median"
    needs = "3"
    source = "Yin et al. 2018"

    def least(self, config: Config) -> int:
        """Three."""
        del config
        return 3

    def combine(self, updates: Updates, config: Config) -> Array:
        """Both middle values are added as integers and divided once."""
        del config
        result: Array = np.empty(updates.size)
        low, high = (len(updates) - 1) // 2, len(updates) // 2
        for place, values in updates.segments():
            values.sort(axis=0)
            result[place] = divide(values[low] + values[high], 2 << updates.grid.bits)
        return result
