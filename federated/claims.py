"""Claims: where a consent stands in a cohort that pays, and the message that claims its price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from chain.contracts import Contracts
from chain.round_types import Freeze
from chain.types import Address, AgreementId, BlockNumber, ConsentId, RoundNumber, StudyId
from federated.cohort import Leaf
from federated.judging import leaves_of
from federated.leaf_list import proof_of, tree_of
from federated.patient import Patient
from storage.store import BlockStore


@dataclass(frozen=True, slots=True)
class Standing:
    """A consent's place in a cohort: the freeze, the leaf, and the proof under the root."""

    freeze: Freeze
    leaf: Leaf
    proof: Sequence[bytes]


def paying_cohorts(
    chain: Contracts, store: BlockStore, study: StudyId, block: BlockNumber
) -> Iterator[dict[ConsentId, Standing]]:
    """For each cohort that pays its patients, newest round first: every id's standing.

    A cohort whose list nobody has, or does not give its root, pays nobody who cannot prove it.
    """
    rounds = chain.rounds
    for number in range(rounds.count(study, block_identifier=block), 0, -1):
        place = RoundNumber(number)
        if not rounds.pays(study, place, block_identifier=block):
            continue
        submitted = rounds.round(study, place, block_identifier=block).submitted
        for event in rounds.freezes(study, place, to_block=block):
            leaves = leaves_of(store, event)
            if leaves is None or not submitted >> event.freeze.hospital & 1:
                continue
            tree = tree_of(leaves)
            if tree.root == event.freeze.root:
                yield {
                    ConsentId(leaf.consent): Standing(event.freeze, leaf, proof_of(tree, leaf))
                    for leaf in leaves
                }


def claim_message(
    patient: Patient,
    standing: Standing,
    *,
    agreement: AgreementId,
    nonce: int,
    recipient: Address,
    deadline: int,
) -> dict[str, Any]:
    """The body of a "claim" to a relayer, signed by the one-time key."""
    freeze, leaf = standing.freeze, standing.leaf
    consent = ConsentId(leaf.consent)
    return {
        "freeze": [getattr(freeze, name) for name in Freeze.__dataclass_fields__],
        "leaf": [leaf.index, leaf.consent, leaf.record],
        "proof": list(standing.proof),
        "key": patient.address_for(agreement),
        "nonce": nonce,
        "recipient": recipient,
        "deadline": deadline,
        "signature": patient.claim(consent, agreement, recipient, deadline),
    }


def bonus_message(
    patient: Patient, agreement: AgreementId, *, recipient: Address, deadline: int
) -> dict[str, Any]:
    """The body of a "bonus" to a relayer, signed by the one-time key that was paid a price."""
    return {
        "key": patient.address_for(agreement),
        "agreement": agreement,
        "recipient": recipient,
        "deadline": deadline,
        "signature": patient.claim_bonus(agreement, recipient, deadline),
    }
