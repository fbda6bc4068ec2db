"""A center settles: posts the hospitals' shares where the study's rule is a contribution."""

from __future__ import annotations

from collections.abc import Mapping

from chain.types import StudyId, Wei
from federated.errors import StepError
from federated.party import Party
from federated.shares import shares_by_rule, shares_tree
from federated.study import read_study


def settle(party: Party, number: StudyId) -> Mapping[int, int]:
    """Compute the shares by the study's rule and post their root where the rule needs one.

    Returns the shares by hospital index. Under `count` the contract computes them itself.
    """
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    weights, total = party.chain.rounds.counted_weights(number, block_identifier=block)
    if not total:
        raise StepError(f"study {number}: no round counted yet; finalize one first")
    shares = shares_by_rule(party, study, dict(enumerate(weights)), block)
    if study.spec.reward.rule != "count":
        post_shares(party, number, shares)
    return shares


def post_shares(party: Party, number: StudyId, shares: Mapping[int, int]) -> None:
    """Post the root of shares by hospital index."""
    root = shares_tree(number, shares).root
    call = party.chain.escrow.post_reward_root(number, root, Wei(sum(shares.values())))
    party.chain.client.send(call, step=f"root-{number}")


def refund(party: Party, number: StudyId) -> int:
    """Bring back to the center what may return now; the amount."""
    before = party.chain.escrow.account(number, block_identifier=party.head()).refunded
    party.chain.client.send(party.chain.escrow.refund(number))
    return party.chain.escrow.account(number, block_identifier=party.head()).refunded - before
