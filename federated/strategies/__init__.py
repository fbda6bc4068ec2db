"""Strategies turn the exact mean of a round's updates into the next global model, by name."""

from __future__ import annotations

from federated.errors import SpecError
from federated.strategies.base import ServerState, Strategy
from federated.strategies.fedavg import FedAvg

__all__ = ["STRATEGIES", "ServerState", "Strategy", "strategy_of"]

STRATEGIES: dict[str, Strategy] = {"fedavg": FedAvg()}


def strategy_of(name: str) -> Strategy:
    """The registered strategy. Raises `SpecError` for an unknown name."""
    if name not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise SpecError("strategy.name", f"unknown strategy {name[:40]!r}; known: {known}")
    return STRATEGIES[name]
