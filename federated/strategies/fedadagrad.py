"""FedAdagrad: the server steps by Adagrad."""

from __future__ import annotations

from federated.codec import Config
from federated.schema import Array
from federated.strategies.adaptive import BETA1, RATE, TAU, Adaptive


class FedAdagrad(Adaptive):
    """v forgets nothing; β₁ 0 is the paper's FedAdagrad without momentum."""

    name = "fedadagrad"
    settings = (RATE, BETA1, TAU)

    def second(self, v: Array, square: Array, config: Config) -> Array:
        """v + mean²."""
        del config
        result: Array = v + square
        return result
