"""FedYogi: the server steps by Yogi."""

from __future__ import annotations

import numpy as np

from federated.codec import Config
from federated.schema import Array
from federated.strategies.adaptive import Adaptive


class FedYogi(Adaptive):
    """v moves toward the squared mean by a share of that square, however far away it is."""

    name = "fedyogi"

    def second(self, v: Array, square: Array, config: Config) -> Array:
        """v − (1 − β₂)·mean²·sign(v − mean²); it stays above 0."""
        result: Array = v - (square * (1 - float(config["beta2"]))) * np.sign(v - square)
        return result
