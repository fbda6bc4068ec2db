"""What a hospital's journal holds of the cohorts that it committed to, with the salts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from chain.round_types import Freeze, bound
from chain.types import Address, RoundNumber, StudyId
from federated.canonical import Digest
from federated.cohort import ConsentId, Entry, new_salt
from federated.hospital.node import HospitalNode, dictionary_of
from federated.hospital.policy.headcount import Headcount
from federated.party import Party
from federated.study import Study
from federated.tasks import task_of
from records.cohort import Member

_KEPT = 8
"""Commitments of one round that are remembered; only reorganisations make more than one."""


def records_of(party: Party, number: StudyId, round_number: RoundNumber) -> list[dict[str, Any]]:
    """What was committed to for a round, the newest first."""
    journalled: dict[str, Any] = party.journal.get(journal_step(number, round_number)) or {}
    found: list[dict[str, Any]] = journalled.get("commitments", [])
    return found


def held_among(
    records: list[dict[str, Any]], held: bytes, hospital: Address
) -> dict[str, Any] | None:
    """The one that the chain holds, by its digest bound to the hospital (32 bytes)."""
    digests = (bound(bytes.fromhex(record["digest"]), hospital) for record in records)
    return next((r for r, found in zip(records, digests, strict=True) if found == held), None)


def commitment_of(record: dict[str, Any]) -> Freeze:
    """What was sent, or was to be."""
    fields: dict[str, Any] = {
        name: bytes.fromhex(value) if isinstance(value, str) else value
        for name, value in record["freeze"].items()
    }
    return Freeze(**fields)


def count_of(record: dict[str, Any]) -> Headcount:
    """How many people were in it."""
    return Headcount(**record["count"])


def keep(
    node: HospitalNode,
    study: Study,
    commitment: Freeze,
    members: list[Member],
    entries: list[Entry],
    earlier: list[dict[str, Any]],
) -> None:
    """Keep a commitment before those that it replaces: after another reorganisation the chain may
    hold one of them again."""
    fields = {name: getattr(commitment, name) for name in Freeze.__dataclass_fields__}
    record = {
        "digest": commitment.digest().hex(),
        "count": asdict(headcount_of(study, members)),
        "freeze": {k: v.hex() if isinstance(v, bytes) else v for k, v in fields.items()},
        "entries": [
            [member.record.key, entry.consent.hex(), entry.salt.hex()]
            for member, entry in zip(members, entries, strict=True)
        ],
    }
    step = journal_step(commitment.study, commitment.round)
    node.party.journal.put(step, {"commitments": [record, *earlier[: _KEPT - 1]]})


def entries_of(study: Study, members: list[Member], earlier: dict[str, Any] | None) -> list[Entry]:
    """What the leaves bind, under the salts of an earlier commitment where that has one."""
    dictionary = dictionary_of(study.spec)
    salts = {consent: salt for _, consent, salt in earlier["entries"]} if earlier else {}
    return [
        Entry(
            ConsentId(member.consent),
            Digest(member.record.digest(dictionary)),
            bytes.fromhex(salts.get(member.consent.hex(), "")) or new_salt(),
        )
        for member in members
    ]


def headcount_of(study: Study, members: list[Member]) -> Headcount:
    """How many people these are, as the study's task groups them."""
    return Headcount.of(members, task_of(study.spec.task).groups(study.spec))


def journal_step(number: StudyId, round_number: RoundNumber) -> str:
    """The journal's name for the commitments of a round."""
    return f"freeze-{number}-{round_number}"
