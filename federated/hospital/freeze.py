"""Freeze: the hospital commits to its cohort before it trains."""

from __future__ import annotations

from typing import Any

from chain.errors import TxReverted
from chain.round_types import Freeze
from chain.types import BlockNumber, RoundNumber, StudyId
from federated.canonical import Digest
from federated.chosen import require_line
from federated.cohort import ConsentId, Leaf, build_leaves
from federated.drawing import require_drawn
from federated.errors import CohortError, StepError
from federated.hospital.commitments import (
    commitment_of,
    count_of,
    entries_of,
    headcount_of,
    held_among,
    journal_step,
    keep,
    records_of,
)
from federated.hospital.late import waiting
from federated.hospital.members import cohort_members, members_of
from federated.hospital.node import HospitalNode
from federated.hospital.policy.headcount import Headcount
from federated.hospital.policy.standing import require_allowed, require_cohort
from federated.hospital.recover import recovered
from federated.leaf_list import publish_leaves, tree_of
from federated.party import Party
from federated.study import Study, read_study
from records.cohort import Member
from records.splits import Part


def freeze(node: HospitalNode, number: StudyId, round_number: RoundNumber) -> Freeze:
    """Commit to the cohort of the newest block; what is frozen already stays as it is.

    Salts are kept: the same cohort at another block (after a reorganisation) has the same root, so
    a sealed update stays valid. Raises `CohortError` for an empty cohort, `StepError` where the
    center chose the round's hospitals, or where a search goes on from; `PolicyRefused` where the
    hospital's policy forbids the study or finds the cohort too small.
    """
    party = node.party
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    standing = require_allowed(node, study)
    if (record := _held(node, study, round_number, block)) is not None:
        return commitment_of(record)
    records = records_of(party, number, round_number)
    if records:
        require_cohort(standing, count_of(records[0]))
        if _sent(party, commitment := commitment_of(records[0])):
            return commitment
    opened = party.chain.rounds.opening(number, round_number, to_block=block)
    require_drawn(party, study, opened)
    require_line(party, study, round_number, block)
    commitment = _commit(node, study, round_number, block, records)
    _send(party, commitment)
    return commitment


def _sent(party: Party, commitment: Freeze) -> bool:
    """Send what was committed to before a kill; False where its snapshot is gone from the chain."""
    try:
        _send(party, commitment)
    except TxReverted as exc:
        if exc.name != "BadSnapshot":
            raise
        return False
    return True


def _send(party: Party, commitment: Freeze) -> None:
    place = f"{commitment.study}-{commitment.round}-{commitment.snapshot_hash.hex()[:16]}"
    party.chain.client.send(party.chain.rounds.freeze(commitment), step=f"freeze-{place}")


def frozen_members(node: HospitalNode, study: Study, round_number: RoundNumber) -> list[Member]:
    """The members of the cohort as frozen, by local key.

    Raises `StepError` where none is, and where the records at hand are not those committed to.
    """
    record = _frozen(node, study, round_number)
    members, leaves = _rebuilt(node, study, record)
    if tree_of(leaves).root != commitment_of(record).root:
        raise StepError(
            f"study {study.number}: round {round_number}: the records here are not those of the "
            "frozen cohort, as after another import: import that file again, or wait for the next "
            "round"
        )
    return members


def frozen_leaves(node: HospitalNode, study: Study, round_number: RoundNumber) -> tuple[Leaf, ...]:
    """The leaves of the cohort as frozen. Raises `StepError` as `frozen_members` does."""
    frozen_members(node, study, round_number)
    return _rebuilt(node, study, _frozen(node, study, round_number))[1]


def _rebuilt(
    node: HospitalNode, study: Study, record: dict[str, Any]
) -> tuple[list[Member], tuple[Leaf, ...]]:
    active = {patient: bytes.fromhex(consent) for patient, consent, _ in record["entries"]}
    members = members_of(node, study, active)
    if "leaves" in record:  # read back from the store, without salts
        pairs = enumerate(record["leaves"])
        return members, tuple(
            Leaf(i, ConsentId(bytes.fromhex(one)), Digest(bytes.fromhex(d)))
            for i, (one, d) in pairs
        )
    return members, build_leaves(entries_of(study, members, record))


def frozen_commitment(node: HospitalNode, study: Study, round_number: RoundNumber) -> Freeze:
    """The commitment that the chain holds for this hospital. Raises `StepError`."""
    return commitment_of(_frozen(node, study, round_number))


def frozen_count(node: HospitalNode, study: Study, round_number: RoundNumber) -> Headcount:
    """How many people the cohort had when it was frozen. Raises `StepError`."""
    return count_of(_frozen(node, study, round_number))


def _frozen(node: HospitalNode, study: Study, round_number: RoundNumber) -> dict[str, Any]:
    record = _held(node, study, round_number, node.party.head())
    if record is None:
        raise StepError(
            f"study {study.number}: round {round_number}: the cohort is not frozen on-chain; run "
            "`consilium hospital freeze` first"
        )
    return record


def _held(
    node: HospitalNode, study: Study, round_number: RoundNumber, block: BlockNumber
) -> dict[str, Any] | None:
    """The record of what the chain holds of this hospital; None where it holds nothing."""
    party, index = node.party, study.index_of(node.party.address)
    held = party.chain.rounds.cohort(study.number, round_number, index, block_identifier=block)
    if not any(held.digest):
        return None
    records = records_of(party, study.number, round_number)
    if (record := held_among(records, held.digest, party.address)) is None:
        record = recovered(node, study, round_number, block)
        party.journal.put(
            journal_step(study.number, round_number), {"commitments": [record, *records]}
        )
    return record


def _commit(
    node: HospitalNode,
    study: Study,
    round_number: RoundNumber,
    block: BlockNumber,
    earlier: list[dict[str, Any]],
) -> Freeze:
    members = cohort_members(node, study, round_number, block)
    require_allowed(node, study, headcount_of(study, members))
    weight = sum(member.part is Part.TRAIN for member in members)
    if not weight:
        raise CohortError(
            f"study {study.number}: round {round_number}: no consented record is for training"
        )
    again = _cohort_again(node.party, study, round_number, block, members)
    entries = entries_of(study, members, earlier[0] if earlier else again)
    leaves = build_leaves(entries)
    commitment = Freeze(
        study=study.number,
        round=round_number,
        hospital=study.index_of(node.party.address),
        snapshot=block,
        snapshot_hash=node.party.chain.client.block_hash(block),
        root=tree_of(leaves).root,
        n=len(leaves),
        weight=min(weight, study.terms.max_weight),
        leaf_list=publish_leaves(node.party.store, leaves),
        round_keys=bytes(32),
    )
    keep(node, study, commitment, members, entries, earlier)
    return commitment


def _cohort_again(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber, members: list[Member]
) -> dict[str, Any] | None:
    """The earlier commitment to these very members whose update still waits to be submitted.

    Under its salts the root is the one that the update was sealed for.
    """
    for place, sealed in waiting(party, study, number, block):
        for record in records_of(party, study.number, place):
            leaves = build_leaves(entries_of(study, members, record))
            if tree_of(leaves).root == commitment_of(record).root == bytes.fromhex(sealed["root"]):
                return record
    return None
