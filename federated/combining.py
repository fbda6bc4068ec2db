"""How a round's included updates become one mean: summed as they come, or compared on disk."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeAlias

from federated.aggregate import WeightedSum
from federated.codec import Config
from federated.grid import Grid
from federated.models import update_schema
from federated.schema import Array, Schema
from federated.spec import StudySpec
from federated.stored import Stored
from federated.strategies import strategy_of
from federated.strategies.robust import RobustRule
from federated.updates import Updates


class Compared:
    """The updates of a study whose strategy is a robust rule; used as a `WeightedSum` is."""

    def __init__(
        self, rule: RobustRule, config: Config, schema: Schema, grid: Grid, folder: Path | None
    ) -> None:
        self._rule = rule
        self._config = config
        self._schema = schema
        self._updates = Updates(schema.size, grid, folder)

    def add(self, segments: Iterable[Array], weight: int) -> None:
        """Keep one hospital's update; hospitals come in the order of their index."""
        self._updates.add(segments, weight)

    def add_stored(self, updates: Sequence[tuple[Stored, int]]) -> None:
        """Keep hospitals' updates from where they lie; see `add`."""
        for stored, weight in updates:
            self.add(stored.segments(self._schema), weight)

    def take_mean(self) -> dict[str, Array]:
        """See `mean`; of what lies on disk nothing is used up."""
        return self.mean()

    def mean(self) -> dict[str, Array]:
        """What the rule makes of the updates, as float64 tensors."""
        return self._schema.unflatten(self._rule.mean(self._updates, self._config))


Total: TypeAlias = WeightedSum | Compared
"""What updates are added to, one after the other, and what their mean is taken from."""


def total_of(spec: StudySpec, folder: Path | None = None) -> Total:
    """What a round of the study begins with. A robust rule keeps updates in `folder` meanwhile."""
    schema, grid = update_schema(spec), Grid.of(spec.grid)
    strategy = strategy_of(spec.strategy.name)
    if isinstance(strategy, RobustRule):
        return Compared(strategy, spec.strategy.config, schema, grid, folder)
    return WeightedSum(schema, grid)
