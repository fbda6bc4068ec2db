"""FedBN: FedAvg, but layers that normalise stay at each hospital, which goes on with its own."""

from __future__ import annotations

from federated.codec import Config
from federated.errors import SpecError
from federated.families import is_normalisation
from federated.schema import Parameters, Schema
from federated.strategies.base import ServerState, Strategy


class FedBN(Strategy):
    """Updates carry no tensor of a layer that normalises (Li et al. 2021, section 3.2).

    The global model keeps those tensors as they began, so it normalises neutrally: gain 1, bias 0,
    and a running mean of 0 and variance of 1. A hospital puts its own in their place, in training
    and whenever it uses the model. Hospitals are paid by count: a contribution would be judged by
    models without anybody's layers, which nobody uses.
    """

    name = "fedbn"
    source = "Li et al. 2021 (FedBN)"
    rewards = ("count",)
    unpaid = "is judged with each hospital's own layers, which nobody else has"
    keeps = True
    running = True

    def check_model(self, schema: Schema) -> None:
        """Raise `SpecError` for a model without such layers."""
        if all(item.name in _shared(schema) for item in schema.tensors):
            raise SpecError(
                "strategy.name",
                f"{self.name} keeps layers that normalise at their hospital, and this model has "
                "none; set model.config.normalise or groups, or use fedavg",
            )

    def declared(self, schema: Schema) -> Schema:
        """All tensors but those of layers that normalise."""
        return Schema.of(schema.dtype, _shared(schema))

    def own(self, schema: Schema) -> Schema:
        """Those of layers that normalise."""
        shared = _shared(schema)
        left = {item.name: item.shape for item in schema.tensors if item.name not in shared}
        return Schema.of("F64", left)

    def begins(self, parameters: Parameters, own: Parameters | None) -> Parameters:
        """The global tensors, with the hospital's own layers in their place."""
        kept = {} if own is None else {name: a.astype("<f4") for name, a in own.items()}
        return {**parameters, **kept}

    def kept(self, update: Parameters, left: Parameters) -> Parameters:
        """What the update does not carry."""
        del update
        return left

    def step(
        self, parameters: Parameters, server: ServerState, mean: Parameters, config: Config
    ) -> tuple[Parameters, ServerState]:
        """The mean is added to what was shared; the other tensors stay."""
        moved, server = super().step(
            {name: parameters[name] for name in mean}, server, mean, config
        )
        return {**parameters, **moved}, server


def _shared(schema: Schema) -> dict[str, tuple[int, ...]]:
    return {item.name: item.shape for item in schema.tensors if not is_normalisation(item.name)}
