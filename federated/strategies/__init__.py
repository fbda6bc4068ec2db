"""Strategies turn a round's updates into the next global model, by name."""

from __future__ import annotations

from federated.errors import SpecError
from federated.strategies.base import ServerState, Strategy
from federated.strategies.ditto import Ditto
from federated.strategies.fedadagrad import FedAdagrad
from federated.strategies.fedadam import FedAdam
from federated.strategies.fedavg import FedAvg
from federated.strategies.fedbn import FedBN
from federated.strategies.fedprox import FedProx
from federated.strategies.fedyogi import FedYogi
from federated.strategies.geometric_median import GeometricMedian
from federated.strategies.krum import Krum
from federated.strategies.median import Median
from federated.strategies.multi_krum import MultiKrum
from federated.strategies.norm_bounding import NormBounding
from federated.strategies.robust import RobustRule
from federated.strategies.scaffold import Scaffold
from federated.strategies.trimmed_mean import TrimmedMean

__all__ = ["STRATEGIES", "RobustRule", "ServerState", "Strategy", "strategy_of"]

STRATEGIES: dict[str, Strategy] = {
    strategy.name: strategy
    for strategy in (
        FedAvg(),
        FedProx(),
        Scaffold(),
        Ditto(),
        FedBN(),
        FedAdagrad(),
        FedAdam(),
        FedYogi(),
        Median(),
        TrimmedMean(),
        Krum(),
        MultiKrum(),
        GeometricMedian(),
        NormBounding(),
    )
}


def strategy_of(name: str) -> Strategy:
    """The registered strategy. Raises `SpecError` for an unknown name."""
    if name not in STRATEGIES:
        known = ", ".join(STRATEGIES)
        raise SpecError("strategy.name", f"unknown strategy {name[:40]!r}; known: {known}")
    return STRATEGIES[name]
