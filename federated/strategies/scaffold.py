"""SCAFFOLD: hospitals correct each step by how their own gradient differs from everybody's.

Karimireddy et al. 2020, algorithm 1, option II. An update carries the hospital's control variate
itself and not its difference, and the server's is the mean of those in the round. With all
hospitals in every round that is the paper's; and when a hospital must forget its own, because a
patient withdrew, or the study goes back to an earlier model, nothing false stays in the server's.
"""

from __future__ import annotations

import numpy as np

from federated.aggregate import add_mean
from federated.codec import Config
from federated.schema import Array, Parameters, Schema
from federated.strategies.base import ServerState, Strategy
from federated.strategies.settings import Setting

_CONTROL = "control:"


class Scaffold(Strategy):
    """x ← x + learning_rate · mean change, c ← mean control; hospitals step along g − cᵢ + c.

    A control variate is a mean gradient: its size is that of the change over `training`'s learning
    rate times the steps, and the clip holds for both together.
    """

    name = "scaffold"
    source = "Karimireddy et al. 2020"
    settings = (Setting("learning_rate", 0, 1000, above=True),)
    state = ("c",)
    plain_steps = True
    keeps = True

    def declared(self, schema: Schema) -> Schema:
        """Each parameter's tensor, and one like it for the control variate."""
        shapes = {tensor.name: tensor.shape for tensor in schema.tensors}
        return Schema.of(schema.dtype, shapes | {_CONTROL + name: shapes[name] for name in shapes})

    def correction(self, server: ServerState, own: Parameters | None) -> Parameters:
        """c − cᵢ; cᵢ is 0 for who has none."""
        return {name: c.copy() if own is None else c - own[name] for name, c in server["c"].items()}

    def control(self, correction: Parameters, change: Parameters, rate: float) -> Parameters:
        """cᵢ ← cᵢ − c − change / rate: the mean gradient along the way."""
        return {_CONTROL + name: -correction[name] - change[name] / rate for name in change}

    def kept(self, update: Parameters, left: Parameters) -> Parameters:
        """The control variate as it was sent, after clip and grid."""
        del left
        return _controls(update)

    def initial(self, schema: Schema, config: Config) -> ServerState:
        """c 0 everywhere."""
        del config
        return {"c": schema.unflatten(np.zeros(schema.size))}

    def step(
        self, parameters: Parameters, server: ServerState, mean: Parameters, config: Config
    ) -> tuple[Parameters, ServerState]:
        """Both parts of the mean, each to its own."""
        del server
        rate = float(config["learning_rate"])
        change = {name: mean[name] * rate for name in parameters}
        return add_mean(parameters, change), {"c": _controls(mean)}


def _controls(tensors: Parameters) -> dict[str, Array]:
    start = len(_CONTROL)
    return {name[start:]: a for name, a in tensors.items() if name.startswith(_CONTROL)}
