"""Aggregate what the chain references into the next global model, and finalize the round.

The center cannot choose: every unvoided submission is included unless a rule of `judging` excludes
it. Its inputs are the submissions in `Rounds` at one block and the bytes under their CIDs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from chain.types import Address, BlockNumber, RoundNumber, StudyId
from federated.center.inputs import Collected, Inputs, collect, reachable, read_inputs
from federated.center.propose import hear, measures, propose_for, require_heard
from federated.chosen import spec_of_round
from federated.drawing import standing
from federated.errors import StepError
from federated.models import update_schema
from federated.party import Party, recipient_at
from federated.published import MODEL_KIND, context_of_state
from federated.round_manifest import RoundManifest, write_round_manifest
from federated.state import encoded_state, next_state
from federated.study import Study, read_study
from storage.artefact import seal


@dataclass(frozen=True, slots=True)
class Aggregated:
    """A round's result as it goes on-chain; `downloads` are (hospital index, bytes, seconds)."""

    included: int
    state: bytes
    manifest: bytes
    downloads: tuple[tuple[int, int, float], ...]


def aggregate(party: Party, number: StudyId, round_number: RoundNumber) -> Aggregated:
    """Fetch, judge and sum all submissions; seal the new state; sign the round manifest.

    Where models are judged, the round's reports come first (`propose`). What was done for these
    very submissions is taken from the journal. Raises `StepError` where fewer than k updates can be
    included, and while a report may still come.
    """
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    inputs = read_inputs(party, study, round_number, block)
    step = f"aggregate-{number}-{round_number}"
    if (record := party.journal.get(step)) and record["basis"] == inputs.basis:
        return _from_record(record)
    candidates = propose_for(party, study, inputs) if measures(study, round_number) else None
    reports: tuple[bytes, ...] = ()
    if candidates is not None:
        heard = hear(party, study, inputs, candidates)
        require_heard(party, study, inputs, heard)
        reports = heard.digests
    collected = collect(party, study, inputs, wrap=True)
    result = _conclude(party, study, inputs, collected, reports)
    if candidates is not None and result.state != candidates.items[0].state:
        raise StepError(
            f"study {number}: round {round_number}: what was proposed is not what the updates "
            "give now; the store altered them in between, or this is another version: ask around"
        )
    manifest = write_round_manifest(party.store, result, party.sender)
    done = Aggregated(result.included, result.state, manifest, collected.downloads)
    party.journal.put(step, _to_record(done, inputs.basis))
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


def _conclude(
    party: Party,
    study: Study,
    inputs: Inputs,
    collected: Collected,
    reports: tuple[bytes, ...],
) -> RoundManifest:
    number, block, start = inputs.number, inputs.block, collected.start
    spec = spec_of_round(party, study, number, block)
    state = next_state(spec, start, collected.total.take_mean(), number)
    start_digest = inputs.round.start_state  # of the parent's state, as it was opened
    model, result = encoded_state(study.spec, state)
    context = context_of_state(party, study, number, start_digest, result)
    needed = sorted({study.center, *study.auditors})
    members = sorted({*_taking_part(party, study, block)} - {*needed})
    sealed = seal(
        party.store,
        model,
        kind=MODEL_KIND,
        schema=update_schema(study.spec).digest(),
        context=context,
        sender=party.sender,
        recipients=[
            *(recipient_at(party, who, block) for who in needed),
            *reachable(party, members, block),
        ],
    )
    party.memory.keep_state(study.spec_digest, result, state)  # the next round's start
    return RoundManifest(
        context=context,
        study=study.number,
        round_number=number,
        parent=inputs.round.parent,
        spec=study.spec_digest,
        start_state=start_digest,
        state=result,
        model=sealed.manifest_digest,
        entries=collected.entries,
        reports=reports,
    )


def _taking_part(party: Party, study: Study, block: BlockNumber) -> list[Address]:
    """Hospitals that did not leave and were never voided: who may read the global model."""
    stand = standing(party, study, block)
    return [hospital for place, hospital in enumerate(study.hospitals) if stand >> place & 1]


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
