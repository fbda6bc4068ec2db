"""What a strategy is: FedAvg, of which each other one says what differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, TypeAlias

from federated.aggregate import add_mean
from federated.codec import Config
from federated.schema import Parameters, Schema
from federated.strategies.settings import Setting, check_settings

ServerState: TypeAlias = Mapping[str, Parameters]
"""What the center carries between rounds (moments of an optimiser): float64 tensors by name."""


class Strategy:
    """How a round's updates lead from one global model to the next; IEEE operations only.

    The updates' weighted mean is exact (`WeightedSum`), unless the strategy is a `RobustRule`.
    `modes` and `rewards` are those of a study that it goes with, `needs` says in words what `least`
    computes, `state` names what the server keeps. `plain_steps` asks for training without momentum,
    `keeps` says that hospitals keep something between rounds, `running` that a model may have
    running means and variances, which mean nothing to another hospital. `unpaid` says why rewards
    other than `rewards` are refused.
    """

    name: ClassVar[str]
    source: ClassVar[str]
    settings: ClassVar[tuple[Setting, ...]] = ()
    state: ClassVar[tuple[str, ...]] = ()
    modes: ClassVar[tuple[str, ...]] = ("open", "masked")
    rewards: ClassVar[tuple[str, ...]] = ("count", "leave-one-out", "tmc-shapley", "gtg-shapley")
    weighted: ClassVar[bool] = True
    plain_steps: ClassVar[bool] = False
    keeps: ClassVar[bool] = False
    running: ClassVar[bool] = False
    unpaid: ClassVar[str] = "has no sum that an update could be taken out of"
    needs: ClassVar[str] = "1"

    def check(self, config: Config) -> None:
        """Raise `SpecError` when the settings are not ones of this strategy."""
        check_settings(self.name, self.settings, config)

    def check_model(self, schema: Schema) -> None:
        """Raise `SpecError` when a model of these tensors does not go with the strategy."""

    def least(self, config: Config) -> int:
        """How many updates it needs to be what its name says; fewer are never aggregated."""
        del config
        return 1

    def proximal(self, config: Config) -> float:
        """μ of the term ½μ‖w − global‖² that hospitals add to their loss; 0 adds nothing."""
        del config
        return 0.0

    def personal(self, config: Config) -> float | None:
        """λ of ½λ‖w − global‖² in the loss of a hospital's own model; None asks for none."""
        del config
        return None

    def own(self, schema: Schema) -> Schema:
        """The tensors (F64) that a hospital keeps, where it keeps something."""
        return schema.with_dtype("F64")

    def begins(self, parameters: Parameters, own: Parameters | None) -> Parameters:
        """The model (float32) that a hospital trains and uses, from the global one and its own."""
        del own
        return parameters

    def declared(self, schema: Schema) -> Schema:
        """The tensors of an update: those of the parameters, and whatever else it carries."""
        return schema

    def correction(self, server: ServerState, own: Parameters | None) -> Parameters | None:
        """What hospitals add to every gradient (float64); None adds nothing.

        `own` is what `kept` gave for the hospital's last update in the model, None for a first one.
        """
        del server, own
        return None

    def control(self, correction: Parameters, change: Parameters, rate: float) -> Parameters:
        """What an update carries beside `change` (float64): the parameters' way at that `rate`.

        `rate` is the learning rate times the number of steps.
        """
        del correction, change, rate
        return {}

    def kept(self, update: Parameters, left: Parameters) -> Parameters | None:
        """What a hospital keeps for its next update, from the one that it sends (float64).

        `left` are the trained tensors that the update does not carry.
        """
        del update, left
        return None

    def initial(self, schema: Schema, config: Config) -> ServerState:
        """The server state before the first round: tensors of the schema's shapes by `state`."""
        del schema, config
        return {}

    def step(
        self, parameters: Parameters, server: ServerState, mean: Parameters, config: Config
    ) -> tuple[Parameters, ServerState]:
        """The next parameters (float32) and server state, from the mean update (float64)."""
        del config
        return add_mean(parameters, mean), server
