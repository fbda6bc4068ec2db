"""Aggregate what the chain references into the next global model, and finalize the round.

The center cannot choose: every unvoided submission is included unless a rule of `judging` excludes
it. Its inputs are the submissions in `Rounds` at one block and the bytes under their CIDs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chain.rounds import Frozen, Submitted
from chain.types import Address, BlockNumber, RoundNumber, StudyId
from federated.aggregate import WeightedSum
from federated.canonical import digest
from federated.errors import FederatedError, StepError
from federated.exclusion import ExclusionCode
from federated.grid import Grid
from federated.judging import Judged, judge_submission, wrap_for_auditors
from federated.models import parameter_schema, update_schema
from federated.party import Party, recipient_at
from federated.published import MODEL_KIND, context_of_state, open_state
from federated.round_manifest import Entry, RoundManifest, write_round_manifest
from federated.shares import read_signed_report, report_topic
from federated.state import GlobalState, encode_state, next_state, state_digest
from federated.study import Study, read_study
from storage.artefact import seal
from storage.errors import StorageError, Unreachable
from storage.keys import RecipientKey


@dataclass(frozen=True, slots=True)
class Aggregated:
    """A round's result as it goes on-chain; `downloads` are (hospital index, bytes, seconds)."""

    included: int
    state: bytes
    manifest: bytes
    downloads: tuple[tuple[int, int, float], ...]


def aggregate(party: Party, number: StudyId, round_number: RoundNumber) -> Aggregated:
    """Fetch, judge and sum all submissions; seal the new state; sign the round manifest.

    What was done for these very submissions is taken from the journal. Raises `StepError` where
    fewer than k updates can be included.
    """
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    frozen, submitted = _inputs(party, study, round_number, block)
    basis = _basis(frozen, submitted)
    step = f"aggregate-{number}-{round_number}"
    if (record := party.journal.get(step)) and record["basis"] == basis:
        return _from_record(record)
    start = _start(party, study, round_number, block)
    total = WeightedSum(parameter_schema(study.spec), Grid.of(study.spec.grid))
    entries, downloads = [], []
    for event in submitted:
        freeze = frozen[event.index]
        started = time.perf_counter()
        judged = judge_submission(party, study, freeze, event)
        downloads.append((event.index, judged.size, time.perf_counter() - started))
        entries.append(_entry(freeze, event, judged))
        if judged.opened and study.auditors:
            wrap_for_auditors(party, study, freeze, event)
        if judged.vector is not None:
            total.add([judged.vector], freeze.freeze.weight)
    result = _conclude(party, study, round_number, block, (start, total, entries))
    done = Aggregated(result.included, result.state, _publish(party, result), tuple(downloads))
    party.journal.put(step, _to_record(done, basis))
    return done


def finalize(party: Party, number: StudyId, round_number: RoundNumber) -> Aggregated:
    """Aggregate unless done, and bind the result on-chain. Idempotent.

    A round that is finalized stays as it is, also when this center has lost its journal.
    """
    round_ = party.chain.rounds.round(number, round_number, block_identifier=party.head())
    if round_.finalized:
        return Aggregated(round_.included, round_.state, round_.manifest, ())
    done = aggregate(party, number, round_number)
    call = party.chain.rounds.finalize(
        number, round_number, done.included, done.state, done.manifest
    )
    party.chain.client.send(call, step=f"finalize-{number}-{round_number}")
    return done


def _basis(frozen: Mapping[int, Frozen], submitted: Sequence[Submitted]) -> str:
    """What an aggregate was made of: another freeze of the same update needs another manifest."""
    inputs = [frozen[item.index].freeze.digest() + item.digest() for item in submitted]
    return digest(b"".join(inputs)).hex()


def _inputs(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> tuple[dict[int, Frozen], list[Submitted]]:
    rounds = party.chain.rounds
    voided = rounds.round(study.number, number, block_identifier=block).voided
    frozen = {e.freeze.hospital: e for e in rounds.freezes(study.number, number, to_block=block)}
    submitted = [
        event
        for event in rounds.submissions(study.number, number, to_block=block)
        if not voided >> event.index & 1
    ]
    least = study.terms.min_hospitals
    if len(submitted) < least:
        raise StepError(
            f"study {study.number}: round {number}: {len(submitted)} submissions, at least "
            f"{least} are needed: wait until submitBy, or open another round"
        )
    return frozen, submitted


def _start(party: Party, study: Study, number: RoundNumber, block: BlockNumber) -> GlobalState:
    parent = party.chain.rounds.round(study.number, number, block_identifier=block).parent
    return open_state(party, study, RoundNumber(parent), block)


def _entry(frozen: Frozen, event: Submitted, judged: Judged) -> Entry:
    return Entry(
        hospital=event.index,
        freeze=frozen.freeze.digest(),
        weight=frozen.freeze.weight,
        manifest=event.manifest,
        commitment=event.commitment,
        code=judged.code,
        envelope=judged.envelope if judged.code is ExclusionCode.UNDECRYPTABLE else b"",
    )


def _conclude(
    party: Party,
    study: Study,
    number: RoundNumber,
    block: BlockNumber,
    parts: tuple[GlobalState, WeightedSum, list[Entry]],
) -> RoundManifest:
    start, total, entries = parts
    included = [entry for entry in entries if entry.code is None]
    if len(included) < study.terms.min_hospitals:
        codes = ", ".join(f"hospital {e.hospital}: {e.code}" for e in entries if e.code)
        raise StepError(
            f"study {study.number}: round {number}: {len(included)} updates can be included, at "
            f"least {study.terms.min_hospitals} are needed ({codes})"
        )
    state = next_state(study.spec, start, total.mean(), number)
    start_digest = state_digest(study.spec, start)
    result = state_digest(study.spec, state)
    context = context_of_state(party, study, number, start_digest, result)
    needed = sorted({study.center, *study.auditors})
    members = sorted({*_taking_part(party, study, block)} - {*needed})
    sealed = seal(
        party.store,
        encode_state(study.spec, state),
        kind=MODEL_KIND,
        schema=update_schema(study.spec).digest(),
        context=context,
        sender=party.sender,
        recipients=[
            *(recipient_at(party, who, block) for who in needed),
            *_reachable(party, members, block),
        ],
    )
    return RoundManifest(
        context=context,
        study=study.number,
        round_number=number,
        parent=party.chain.rounds.round(study.number, number, block_identifier=block).parent,
        spec=study.spec_digest,
        start_state=start_digest,
        state=result,
        model=sealed.manifest_digest,
        entries=tuple(entries),
        reports=_reports(party, study, number, block),
    )


def _reachable(
    party: Party, members: Sequence[Address], block: BlockNumber
) -> Iterator[RecipientKey]:
    """Keys of hospitals; one whose published key is nowhere must not stop all others' round."""
    for member in members:
        try:
            yield recipient_at(party, member, block)
        except Unreachable:
            raise
        except StorageError:
            continue  # it can have the model wrapped once its key is there


def _reports(
    party: Party, study: Study, number: RoundNumber, block: BlockNumber
) -> tuple[bytes, ...]:
    """Digests of the genuine reports of a round, one a hospital; what is no report is skipped."""
    found: dict[int, bytes] = {}
    for cid in party.store.announced(report_topic(study.number, number)):
        try:
            report = read_signed_report(party, study, cid.digest, block)
        except Unreachable:
            raise
        except (FederatedError, StorageError):
            continue  # anyone can announce anything
        if report.round_number == number:
            found.setdefault(report.hospital, cid.digest)
    return tuple(found[hospital] for hospital in sorted(found))


def _taking_part(party: Party, study: Study, block: BlockNumber) -> list[Address]:
    """Hospitals that did not leave and were never voided: who may read the global model."""
    chain = party.chain
    enrolled = chain.studies.enrolled(study.number, block_identifier=block)
    standing = enrolled & ~chain.rounds.barred(study.number, block_identifier=block)
    return [hospital for place, hospital in enumerate(study.hospitals) if standing >> place & 1]


def _publish(party: Party, manifest: RoundManifest) -> bytes:
    return write_round_manifest(party.store, manifest, party.sender)


def _to_record(done: Aggregated, basis: str) -> dict[str, Any]:
    return {
        "basis": basis,
        "included": hex(done.included),
        "state": done.state.hex(),
        "manifest": done.manifest.hex(),
        "downloads": [list(item) for item in done.downloads],
    }


def _from_record(record: dict[str, Any]) -> Aggregated:
    return Aggregated(
        int(record["included"], 16),
        bytes.fromhex(record["state"]),
        bytes.fromhex(record["manifest"]),
        tuple((a, b, c) for a, b, c in record["downloads"]),
    )
