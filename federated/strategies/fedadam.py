"""FedAdam: the server steps by Adam."""

from __future__ import annotations

from federated.codec import Config
from federated.schema import Array
from federated.strategies.adaptive import Adaptive


class FedAdam(Adaptive):
    """v forgets at a fixed pace."""

    name = "fedadam"

    def second(self, v: Array, square: Array, config: Config) -> Array:
        """β₂·v + (1 − β₂)·mean²."""
        beta2 = float(config["beta2"])
        return v * beta2 + square * (1 - beta2)
