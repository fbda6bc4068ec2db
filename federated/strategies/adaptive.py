"""Adaptive server optimisers: the mean update is a gradient that the center steps along.

Reddi et al. 2021, "Adaptive Federated Optimization", algorithm 2, as written there: v begins at τ²
(others begin at 0), and neither moment is corrected for its beginning. All is float64, one NumPy
operation after the other, so that whoever replays it has the same bits.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np

from federated.aggregate import add_mean
from federated.codec import Config
from federated.schema import Array, Parameters, Schema
from federated.strategies.base import ServerState, Strategy
from federated.strategies.settings import Setting

RATE = Setting("learning_rate", 0, 1000, above=True)
BETA1 = Setting("beta1", 0, 1, below=True)
BETA2 = Setting("beta2", 0, 1, below=True)
TAU = Setting("tau", 1e-12, 1)


class Adaptive(Strategy):
    """m ← β₁·m + (1 − β₁)·mean; v by the strategy; parameters + learning_rate·m / (√v + τ)."""

    source = "Reddi et al. 2021"
    settings: ClassVar[tuple[Setting, ...]] = (RATE, BETA1, BETA2, TAU)
    state = ("m", "v")

    def initial(self, schema: Schema, config: Config) -> ServerState:
        """m 0 and v τ² everywhere."""
        first = float(config["tau"]) * float(config["tau"])
        zeros = schema.unflatten(np.zeros(schema.size))
        return {"m": zeros, "v": {name: array + first for name, array in zeros.items()}}

    def step(
        self, parameters: Parameters, server: ServerState, mean: Parameters, config: Config
    ) -> tuple[Parameters, ServerState]:
        """One step of the optimiser, tensor by tensor."""
        rate, beta1, tau = (float(config[key]) for key in ("learning_rate", "beta1", "tau"))
        m, v, change = {}, {}, {}
        for name, delta in mean.items():
            m[name] = server["m"][name] * beta1 + delta * (1 - beta1)
            v[name] = self.second(server["v"][name], delta * delta, config)
            change[name] = (m[name] * rate) / (np.sqrt(v[name]) + tau)
        return add_mean(parameters, change), {"m": m, "v": v}

    @abstractmethod
    def second(self, v: Array, square: Array, config: Config) -> Array:
        """The next v, from the last one and the squared mean."""
