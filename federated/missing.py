"""A named auditor's signed word that no member of a study has a hospital's list of leaves.

Without it a center could leave a hospital out by saying that it does not find the list.
"""

from __future__ import annotations

from chain.rounds import Frozen
from chain.types import BlockNumber
from federated.canonical import tagged_hash
from federated.party import Party, signer_at
from federated.study import Study
from storage.cid import Codec
from storage.errors import StorageError, Unreachable
from storage.signed import Shape, open_record, sign_record

TAG = "consilium/list-missing/1"
_BODY: Shape = {"freeze": 32, "leaf_list": 32}


def confirm_missing(party: Party, frozen: Frozen) -> bytes:
    """An auditor signs and announces that the list is nowhere; returns the record's digest."""
    body = {"freeze": frozen.freeze.digest(), "leaf_list": frozen.freeze.leaf_list}
    cid = party.store.put_block(Codec.DAG_CBOR, sign_record(TAG, body, party.sender))
    party.store.pin(cid)
    party.store.announce(_topic(frozen), cid)
    return cid.digest


def confirmed_missing(party: Party, study: Study, frozen: Frozen) -> bool:
    """Whether an auditor whom the study names has confirmed it."""
    expected = {"freeze": frozen.freeze.digest(), "leaf_list": frozen.freeze.leaf_list}
    block = BlockNumber(party.head())
    signers = {signer_at(party.chain, auditor, block) for auditor in study.auditors}
    for cid in party.store.announced(_topic(frozen)):
        try:
            record = open_record(TAG, party.store.get_block(cid), _BODY)
        except Unreachable:
            raise
        except StorageError:
            continue  # anyone can announce anything: what is no such record says nothing
        if record.body == expected and record.signer in signers:
            return True
    return False


def _topic(frozen: Frozen) -> bytes:
    return tagged_hash(TAG, frozen.freeze.digest())
