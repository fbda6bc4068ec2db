"""Multi-Krum: the mean of the updates that have the most others near them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from federated.aggregate import divide
from federated.codec import Config
from federated.grid import squared_norm
from federated.schema import Array
from federated.strategies.robust import RobustRule
from federated.strategies.settings import Setting
from federated.updates import Updates

LIARS = Setting("f", 0, 126, whole=True)


class MultiKrum(RobustRule):
    """Of n updates the m with the lowest score; weights do not count.

    A score is the sum of the squared distances to the n − f − 2 nearest others, an exact integer;
    of equal ones the lower hospital index comes first. It bears f liars of n ≥ 2f + 3, and of
    n ≥ m + f + 2 (Damaskinos et al. 2019).
    """

    name = "multi-krum"
    needs = "2f + 3 and m + f + 2"
    source = "Blanchard et al. 2017"
    settings: ClassVar[tuple[Setting, ...]] = (LIARS, Setting("m", 1, 254, whole=True))

    def least(self, config: Config) -> int:
        """The larger of 2f + 3 and m + f + 2."""
        liars = int(config["f"])
        return max(2 * liars + 3, self.chosen(config) + liars + 2)

    def chosen(self, config: Config) -> int:
        """How many updates are averaged."""
        return int(config["m"])

    def combine(self, updates: Updates, config: Config) -> Array:
        """One pass for the distances, one for the mean of those chosen."""
        nearest = len(updates) - int(config["f"]) - 2
        scores = [
            sum(sorted(row[:i] + row[i + 1 :])[:nearest])
            for i, row in enumerate(distances(updates))
        ]
        ranked = sorted(range(len(updates)), key=lambda index: (scores[index], index))
        chosen = sorted(ranked[: self.chosen(config)])
        result: Array = np.empty(updates.size)
        for place, values in updates.segments():
            result[place] = divide(values[chosen].sum(axis=0), len(chosen) << updates.grid.bits)
        return result


def distances(updates: Updates) -> Sequence[list[int]]:
    """Squared distances of all pairs, exact, in steps of the grid."""
    count = len(updates)
    found = [[0] * count for _ in range(count)]
    for _, values in updates.segments():
        for i, j in itertools.combinations(range(count), 2):
            found[i][j] += squared_norm(values[i] - values[j])
    for i, j in itertools.combinations(range(count), 2):
        found[j][i] = found[i][j]
    return found
