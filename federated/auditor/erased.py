"""What of a study was erased lawfully: after `refund`, by a tombstone of whoever sealed it.

A tombstone is its signer's word. What excuses is that word and the chain's clock: while evidence
must last no tombstone excuses anything, whatever time it states.
"""

from __future__ import annotations

from datetime import UTC, datetime

from chain.types import Address, BlockNumber, RoundNumber
from federated.auditor.facts import Facts
from federated.party import Party, signers_between
from federated.published import read_result
from federated.study import Study
from storage.erasure import find_tombstone


def update_erased(party: Party, study: Study, facts: Facts, hospital: int) -> str:
    """When the hospital erased its update of this round, and why; empty where it did not."""
    event = facts.submitted[hospital]
    since = BlockNumber(event.block)
    return _erased(party, study, facts.block, event.manifest, event.hospital, since)


def model_erased(party: Party, study: Study, facts: Facts, number: int) -> str:
    """When the center erased the model that a round ended with, and why; empty where not."""
    if not number:  # the study's own state lies in its spec
        return ""
    manifest, round_, _ = read_result(party, study, RoundNumber(number), facts.block)
    since = round_.open_block
    return _erased(party, study, facts.block, manifest.model, study.center, since)


def _erased(
    party: Party,
    study: Study,
    block: BlockNumber,
    manifest: bytes,
    account: Address,
    since: BlockNumber,
) -> str:
    refund_at = study.terms.refund_at
    if party.chain.client.node.block(block).timestamp < refund_at:
        return ""
    for signer in signers_between(party.chain, account, since, block):
        stone = find_tombstone(party.store, manifest, signer)
        if stone is not None and stone.erased_at >= refund_at:
            at = datetime.fromtimestamp(stone.erased_at, UTC).strftime("%Y-%m-%d %H:%M:%S")
            return f"erased {at} UTC by {account}, who sealed it: {stone.reason}"
    return ""
