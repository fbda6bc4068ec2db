"""A center settles: posts the hospitals' shares where the study's rule is a contribution."""

from __future__ import annotations

from collections.abc import Mapping

from chain.types import RoundNumber, StudyId, Wei
from federated.errors import StepError
from federated.party import Party
from federated.shares import publish_shares, shares_by_rule
from federated.study import read_study


def settle(party: Party, number: StudyId) -> Mapping[int, int]:
    """Compute the shares by the study's rule and post their root where the rule needs one.

    Returns the shares by hospital index. Under `count` the contract computes them itself.
    """
    study = read_study(party.chain, party.store, number, party.head())
    _count_last(party, number)
    block = party.head()
    weights, total = party.chain.rounds.counted_weights(number, block_identifier=block)
    if not total:
        raise StepError(f"study {number}: no round counted yet; finalize one first")
    shares = shares_by_rule(party, study, dict(enumerate(weights)), block)
    if study.spec.reward.rule != "count":
        post_shares(party, number, shares)
    return shares


def _count_last(party: Party, number: StudyId) -> None:
    """Have the last round counted if it ran out unfinalized: the shares are final only then."""
    rounds, block = party.chain.rounds, party.head()
    last = RoundNumber(rounds.count(number, block_identifier=block))
    if not last:
        return
    round_ = rounds.round(number, last, block_identifier=block)
    ended = round_.finalized or round_.aborted or round_.lapsed
    if not ended and party.chain.client.timestamp() > round_.finalize_by:
        party.chain.client.send(rounds.lapse(number, last), step=f"lapse-{number}-{last}")


def post_shares(party: Party, number: StudyId, shares: Mapping[int, int]) -> None:
    """Publish shares by hospital index, and post their root."""
    root = publish_shares(party.store, number, shares)
    call = party.chain.escrow.post_reward_root(number, root, Wei(sum(shares.values())))
    party.chain.client.send(call, step=f"root-{number}")


def refund(party: Party, number: StudyId) -> int:
    """Bring back to the center what may return now; the amount."""
    before = party.chain.escrow.account(number, block_identifier=party.head()).refunded
    party.chain.client.send(party.chain.escrow.refund(number))
    return party.chain.escrow.account(number, block_identifier=party.head()).refunded - before
