"""An auditor's signed word on a fact that a later reader cannot repeat, announced in the store."""

from __future__ import annotations

from collections.abc import Mapping

from chain.round_events import Frozen
from chain.types import BlockNumber
from federated.party import Party, signers_between
from federated.study import Study
from storage.cid import Cid, Codec
from storage.errors import StorageError, Unreachable
from storage.searching import each_announced
from storage.signed import Shape, open_record, sign_record
from storage.signing import Signer


def give_word(party: Party, tag: str, body: Mapping[str, bytes], topic: bytes) -> bytes:
    """Sign, keep and announce; returns the record's digest. All of `body` are digests."""
    cid = party.store.put_block(Codec.DAG_CBOR, sign_record(tag, body, party.sender))
    party.store.pin(cid)
    party.store.announce(topic, cid)
    return cid.digest


def find_word(
    party: Party,
    study: Study,
    tag: str,
    body: Mapping[str, bytes],
    *,
    topic: bytes,
    frozen: Frozen,
) -> Cid | None:
    """The word of an auditor whom the study names, by a key it had since the freeze.

    Keys count that stood when the round was finalized, or that stand now.
    """
    shape: Shape = dict.fromkeys(body, 32)
    signers: set[Signer] = set()
    with each_announced(party.store, topic) as found:
        for cid, read in found:
            try:
                record = open_record(tag, read(), shape)
            except Unreachable:
                raise
            except StorageError:
                continue  # anyone can announce anything: what is no such record says nothing
            signers = signers or _signers(party, study, frozen)
            if record.body == body and record.signer in signers:
                return cid
    return None


def _signers(party: Party, study: Study, frozen: Frozen) -> set[Signer]:
    head = party.head()
    return {
        signer
        for auditor in study.auditors
        for end in {head, _ended(party, frozen, head)}
        for signer in signers_between(party.chain, auditor, BlockNumber(frozen.block), end)
    }


def _ended(party: Party, frozen: Frozen, head: BlockNumber) -> BlockNumber:
    """The block that finalized the round: what was judged then is judged so again."""
    rounds, place = party.chain.rounds, (frozen.freeze.study, frozen.freeze.round)
    if not rounds.round(*place, block_identifier=head).finalized:
        return head
    return rounds.finalized(*place, to_block=head).block
