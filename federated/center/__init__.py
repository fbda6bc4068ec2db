"""The research center: requests a model, opens tiers and rounds, aggregates, finalizes, settles."""

from federated.center.aggregate import Aggregated, aggregate, finalize
from federated.center.propose import propose
from federated.center.request import invite, request_study
from federated.center.rounds import open_round
from federated.center.settle import post_shares, refund, settle
from federated.center.tiers import accept, open_tier

__all__ = [
    "Aggregated",
    "accept",
    "aggregate",
    "finalize",
    "invite",
    "open_round",
    "open_tier",
    "post_shares",
    "propose",
    "refund",
    "request_study",
    "settle",
]
