"""Rules that see each update by itself, so that a few hospitals that lie cannot move the model far.

Masked mode hides single updates, so these need open mode. They have no weighted sum that one update
could be taken out of, so they do not go with leave-one-out rewards.
"""

from __future__ import annotations

from abc import abstractmethod

from federated.codec import Config
from federated.errors import AggregationError
from federated.schema import Array
from federated.strategies.base import Strategy
from federated.updates import Updates


class RobustRule(Strategy):
    """A mean of another kind; the global model plus it is the next one.

    `weighted` tells whether the frozen weights count. Where they do not, a hospital of ten patients
    has the say of one of thousands, and nobody gains by naming more patients.
    """

    modes = ("open",)
    rewards = ("count",)
    weighted = False

    def mean(self, updates: Updates, config: Config) -> Array:
        """What is added to the global model.  # (size,) float64

        Raises `AggregationError` where there are fewer updates than the rule needs.
        """
        if len(updates) < (least := self.least(config)):
            raise AggregationError(
                f"{self.name} needs at least {least} updates with these settings, not "
                f"{len(updates)}: wait for more, or open another round"
            )
        return self.combine(updates, config)

    @abstractmethod
    def combine(self, updates: Updates, config: Config) -> Array:
        """As `mean`, of enough updates."""
