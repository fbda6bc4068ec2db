"""Ditto: FedAvg, and afterwards each hospital's own model is held near the global one."""

from __future__ import annotations

from federated.codec import Config
from federated.strategies.base import Strategy
from federated.strategies.settings import Setting


class Ditto(Strategy):
    """A hospital's own model minimises its loss + ½·lambda·‖w − global‖² (Li et al. 2021, eq. 1).

    Of w the last layer's bias is left out, which the paper pulls too: it carries how common the
    outcome is at the hospital.

    The paper trains it beside the rounds, toward the global model of each; here it is trained
    toward the last one, which is the same problem. So nothing is kept between rounds, and who
    withdraws before the study's end is in no hospital's own model.
    """

    name = "ditto"
    source = "Li et al. 2021"
    settings = (Setting("lambda", 0, 1000, above=True),)

    def personal(self, config: Config) -> float:
        """The setting `lambda`."""
        return float(config["lambda"])
