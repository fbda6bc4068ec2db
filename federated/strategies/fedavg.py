"""FedAvg: the next global model is the last one plus the weighted mean of the updates."""

from __future__ import annotations

from federated.aggregate import add_mean
from federated.codec import Config
from federated.errors import SpecError
from federated.schema import Parameters, Schema
from federated.strategies.base import ServerState


class FedAvg:
    """Keeps no server state and has no settings."""

    def check(self, config: Config) -> None:
        """Refuse any setting."""
        for key in config:
            raise SpecError(f"strategy.config.{key[:40]}", "fedavg has no settings; remove it")

    def initial(self, schema: Schema) -> ServerState:
        """Empty."""
        del schema
        return {}

    def step(
        self, parameters: Parameters, server: ServerState, mean: Parameters, config: Config
    ) -> tuple[Parameters, ServerState]:
        """parameters + mean."""
        del config
        return add_mean(parameters, mean), server
