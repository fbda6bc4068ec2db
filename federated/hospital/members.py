"""Who is in a cohort: eligible records whose consent is active, lasts, and covers the study."""

from __future__ import annotations

from collections.abc import Mapping

from chain.types import AgreementId, BlockNumber, ConsentId, RoundNumber
from federated.hospital.node import HospitalNode
from federated.purposes import covers
from federated.study import Study
from records.cohort import Member, select
from records.consents import PatientConsent
from records.record import LocalKey


def cohort_members(
    node: HospitalNode, study: Study, round_number: RoundNumber, block: BlockNumber
) -> list[Member]:
    """The cohort as it stands at the end of a block, by local key."""
    until = node.party.chain.rounds.deadlines(
        study.number, round_number, block_identifier=block
    ).submit_by
    return _members(node, study, until, block)


def current_members(node: HospitalNode, study: Study, block: BlockNumber) -> list[Member]:
    """Who consents at the end of a block, whatever was frozen before, by local key.

    A consent that ended by its own date counts no more; the date is held against the chain's time.
    """
    return _members(node, study, node.party.chain.client.timestamp(), block)


def _members(node: HospitalNode, study: Study, until: int, block: BlockNumber) -> list[Member]:
    chain = node.party.chain
    rows = _lasting(node, study, until, block)
    ids = [ConsentId(row.id) for row in rows]
    flags = chain.consents.active_at(ids, block, block_identifier=block)
    active = {row.patient: row.id for row, flag in zip(rows, flags, strict=True) if flag}
    return members_of(node, study, active)


def members_of(
    node: HospitalNode, study: Study, consents: Mapping[LocalKey, bytes]
) -> list[Member]:
    """The eligible records of these patients, by local key."""
    records = node.eligible_records(study.spec)
    return select(records, node.parts_of(records, study.spec), consents, list(consents.values()))


def _lasting(
    node: HospitalNode, study: Study, until: int, block: BlockNumber
) -> list[PatientConsent]:
    """Consents whose tier covers the study's purposes and lasts until that second."""
    chain = node.party.chain
    rows = node.consents.of_study(study.number)
    tiers = {
        row.agreement: chain.agreements.tier(AgreementId(row.agreement), block_identifier=block)
        for row in {row.agreement: row for row in rows}.values()
    }
    return [
        row
        for row in rows
        if covers(tiers[row.agreement].purposes, study.terms.purposes)
        and tiers[row.agreement].not_after >= until
    ]
