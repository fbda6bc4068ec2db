"""FedAvg: the next global model is the last one plus the weighted mean of the updates."""

from __future__ import annotations

from federated.strategies.base import Strategy


class FedAvg(Strategy):
    """Keeps no server state and has no settings."""

    name = "fedavg"
    source = "McMahan et al. 2017"
