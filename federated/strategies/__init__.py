"""Strategies turn a round's updates into the next global model, by name."""

from __future__ import annotations

from federated.errors import SpecError
from federated.strategies.base import ServerState, Strategy
from federated.strategies.fedadagrad import FedAdagrad
from federated.strategies.fedadam import FedAdam
from federated.strategies.fedavg import FedAvg
from federated.strategies.fedprox import FedProx
from federated.strategies.fedyogi import FedYogi

__all__ = ["STRATEGIES", "ServerState", "Strategy", "strategy_of"]

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        FedAvg(),
        FedProx(),
        FedAdagrad(),
        FedAdam(),
        FedYogi(),
    )
}


def strategy_of(name: str) -> Strategy:
    """The registered strategy. Raises `SpecError` for an unknown name."""
    if name not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise SpecError("strategy.name", f"unknown strategy {name[:40]!r}; known: {known}")
    return STRATEGIES[name]
