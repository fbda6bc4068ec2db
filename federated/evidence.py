"""The artefacts of a study that the chain names: updates and global models, and whose they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from chain.types import Address, BlockNumber, RoundNumber
from federated.judging import UPDATE_KIND
from federated.party import Party, keys_between
from federated.published import MODEL_KIND
from federated.round_manifest import read_round_manifest
from federated.study import Study
from storage.erasure import Tombstone, find_tombstone

_AHEAD_S = 86_400  # a node's pending block may be later than another's last one


@dataclass(frozen=True, slots=True)
class Evidence:
    """An artefact by its manifest's digest; `account` submitted or finalized it at `block`."""

    digest: bytes
    kind: str
    round_number: RoundNumber
    account: Address
    block: BlockNumber


def evidence_of(party: Party, study: Study, block: BlockNumber) -> Iterator[Evidence]:
    """All of them, round by round; a model after the updates that gave it.

    Raises the store's errors where a round manifest is missing.
    """
    rounds = party.chain.rounds
    for place in range(1, rounds.count(study.number, block_identifier=block) + 1):
        number = RoundNumber(place)
        for event in rounds.submissions(study.number, number, to_block=block):
            at = BlockNumber(event.block)
            yield Evidence(event.manifest, UPDATE_KIND, number, event.hospital, at)
        round_ = rounds.round(study.number, number, block_identifier=block)
        if round_.finalized:
            manifest, _ = read_round_manifest(party.store, round_.manifest)
            yield Evidence(manifest.model, MODEL_KIND, number, study.center, round_.open_block)


def lawful_tombstone(
    party: Party, item: Evidence, refund_at: int, block: BlockNumber
) -> Tombstone | None:
    """The tombstone of whoever sealed it, by any of its keys since; None before `refund` (seconds).

    A time that it states before `refund`, in the future, or after its key was revoked, makes it
    none. (A thief may state an earlier one: for what need not last any more.)
    """
    now = party.chain.client.node.block(block).timestamp
    if now < refund_at:
        return None
    return tombstone_of(party, item, block, since=refund_at)


def tombstone_of(
    party: Party, item: Evidence, block: BlockNumber, *, since: int = 0
) -> Tombstone | None:
    """The last tombstone by the newest key, of those that whoever sealed it had, that made one.

    None that states a time (seconds) before `since`, in the future of `block`, or after its key was
    revoked.
    """
    node = party.chain.client.node
    for key in keys_between(party.chain, item.account, item.block, block):
        last = node.block(key.revoked or block).timestamp
        end = last if key.revoked else last + _AHEAD_S
        between = (since, end)  # first: a thief's later time must not hide the genuine one
        stone = find_tombstone(party.store, item.digest, key.signer, between=between)
        if stone is not None:
            return stone
    return None
