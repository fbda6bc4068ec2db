"""What a strategy is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, TypeAlias

from federated.codec import Config
from federated.schema import Parameters, Schema

ServerState: TypeAlias = Mapping[str, Parameters]
"""What the center carries between rounds (moments of an optimiser): float64 tensors by name."""


class Strategy(Protocol):
    """The step from one global model to the next; element-wise IEEE operations only."""

    def check(self, config: Config) -> None:
        """Raise `SpecError` when the settings are not ones of this strategy."""

    def initial(self, schema: Schema) -> ServerState:
        """The server state before the first round."""

    def step(
        self, parameters: Parameters, server: ServerState, mean: Parameters, config: Config
    ) -> tuple[Parameters, ServerState]:
        """The next parameters (float32) and server state, from the mean update (float64)."""
