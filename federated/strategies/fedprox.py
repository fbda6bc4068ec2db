"""FedProx: FedAvg, whose hospitals are held near the global model while they train."""

from __future__ import annotations

from federated.codec import Config
from federated.strategies.base import Strategy
from federated.strategies.settings import Setting


class FedProx(Strategy):
    """Hospitals minimise loss + ½·mu·‖w − global‖² (Li et al. 2020, eq. 2); mu 0 is FedAvg.

    The term binds hospitals only: an update does not show whether its hospital added it.
    """

    name = "fedprox"
    source = "Li et al. 2020"
    settings = (Setting("mu", 0, 1000),)

    def proximal(self, config: Config) -> float:
        """The setting `mu`."""
        return float(config["mu"])
