"""Between submitting and finalizing, where models are judged: propose them, hear the reports.

The center computes the round's state and, for a contribution rule, the states without some of its
hospitals that the rule names, seals all in one artefact and signs the list of their digests. In a
search the state alone is judged. Each included hospital judges those that it is in on its own
validation patients. The center waits for their reports until
`phase.report_by` and goes on without those that do not come.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from chain.types import RoundNumber, StudyId
from federated.aggregate import WeightedSum
from federated.candidates import (
    KIND,
    Candidate,
    Candidates,
    Pieces,
    context_of_candidates,
    encode_models,
    read_candidates,
    topic_of_candidates,
    write_candidates,
)
from federated.center.inputs import Collected, Inputs, collect, reachable, read_inputs, updates_of
from federated.chosen import spec_of_round
from federated.contribution import Plan, everyone, measured, members, plan_of
from federated.directory import known_as
from federated.errors import StepError
from federated.left_out import left_out_states
from federated.models import parameter_schema
from federated.party import Party, recipient_at
from federated.phase import is_complete, report_by
from federated.search import reports_asked
from federated.signed_report import find_reports, wanted_for
from federated.spec import StudySpec
from federated.state import GlobalState, next_state, state_digest
from federated.study import Study, read_study
from storage.artefact import seal
from storage.cid import dag_cbor_cid
from storage.errors import StorageError, Unreachable
from storage.keys import RecipientKey
from storage.manifest import read_manifest


@dataclass(frozen=True, slots=True)
class Heard:
    """Reports of a round's hospitals: digests in their order, and who has not reported."""

    digests: tuple[bytes, ...]
    missing: tuple[int, ...]


def measures(study: Study, number: RoundNumber) -> bool:
    """Whether the study's rule, or its search, needs candidates and reports of a round."""
    return reports_asked(study.spec, number)


def propose(party: Party, number: StudyId, round_number: RoundNumber) -> Candidates | None:
    """Compute, seal, sign and announce a round's candidates; once for the same submissions.

    None where nothing can be compared: another rule, or one included hospital alone. Raises
    `StepError` while updates may still come, or where fewer than k can be included.
    """
    block = party.head()
    study = read_study(party.chain, party.store, number, block)
    if not measures(study, round_number):
        return None
    return propose_for(party, study, read_inputs(party, study, round_number, block))


def propose_for(party: Party, study: Study, inputs: Inputs) -> Candidates | None:
    """As `propose`, for inputs at hand."""
    step = f"candidates-{study.number}-{inputs.number}"
    if (record := party.journal.get(step)) and record["basis"] == inputs.basis:
        if not (found := record["record"]):
            return None
        if (candidates := _announced_again(party, study, inputs, bytes.fromhex(found))) is not None:
            return candidates
    _require_complete(party, study, inputs)
    collected = collect(party, study, inputs, wrap=False)
    if len(collected.included) < 2 and measured(study.spec.reward.rule):
        party.journal.put(step, {"basis": inputs.basis, "record": ""})
        return None
    candidates = _seal(party, study, inputs, collected)
    cid = write_candidates(party.store, candidates, party.sender)
    party.journal.put(step, {"basis": inputs.basis, "record": cid.digest.hex()})
    party.store.announce(topic_of_candidates(party, study.number, inputs.number), cid)
    return candidates


def hear(party: Party, study: Study, inputs: Inputs, candidates: Candidates) -> Heard:
    """The announced reports on these very candidates, one a hospital, and who is missing."""
    included = everyone(candidates.included)
    state = candidates.items[0].state
    wanted = wanted_for(party, study, inputs.number, inputs.round, state, included, inputs.block)
    found = find_reports(party, study, wanted, candidates.states)
    missing = tuple(index for index in candidates.included if index not in found)
    return Heard(tuple(found[index][0] for index in sorted(found)), missing)


def require_heard(party: Party, study: Study, inputs: Inputs, heard: Heard) -> None:
    """Raise `StepError` while a report may still come in time."""
    until = report_by(inputs.round)
    left = until - party.chain.client.timestamp()
    if heard.missing and left >= 0:
        accounts = [study.hospitals[index] for index in heard.missing]
        block = inputs.block
        who = ", ".join(known_as(party.chain, party.store, item, block) for item in accounts)
        raise StepError(
            f"study {study.number}: round {inputs.number}: waits for the reports of {who}, for "
            f"{left} s more; they run `consilium hospital report`, then finalize again"
        )


def _announced_again(
    party: Party, study: Study, inputs: Inputs, digest: bytes
) -> Candidates | None:
    """What was signed before a kill, let out again; None where the store has lost it."""
    cid = dag_cbor_cid(digest)
    try:
        candidates, _ = read_candidates(party.store, cid)
        read_manifest(party.store, candidates.models)
    except Unreachable:
        raise
    except StorageError:
        return None  # gone or altered here: they are made anew from the same updates
    topic = topic_of_candidates(party, study.number, inputs.number)
    if cid not in party.store.announced(topic):
        party.store.announce(topic, cid)
    return candidates


def _require_complete(party: Party, study: Study, inputs: Inputs) -> None:
    barred = party.chain.rounds.barred(study.number, block_identifier=inputs.block)
    if not is_complete(inputs.round, barred, party.chain.client.timestamp()):
        raise StepError(
            f"study {study.number}: round {inputs.number}: updates may still come until submitBy; "
            "propose when all are in"
        )


def _seal(party: Party, study: Study, inputs: Inputs, collected: Collected) -> Candidates:
    """Seal the models as they are computed: one of them is in memory, beside the sum."""
    number = inputs.number
    spec = spec_of_round(party, study, number, inputs.block)
    start = state_digest(spec, collected.start)
    after = next_state(spec, collected.start, collected.total.mean(), number)
    result = state_digest(spec, after)
    context = context_of_candidates(party, study, number, start, result)
    included = everyone(collected.included)
    plan = plan_of(spec, included, number, result)
    states = [(0, after)] if plan.whole else _without(party, study, inputs, collected, spec, plan)
    items: list[Candidate] = []
    sealed = seal(
        party.store,
        Pieces(encode_models(spec, states, items)),
        kind=KIND,
        schema=parameter_schema(spec).digest(),
        context=context,
        sender=party.sender,
        recipients=_readers(party, study, inputs, collected.included),
    )
    place = (context, study.number, number, sealed.manifest_digest)
    return Candidates(*place, members(included), tuple(items))


def _without(
    party: Party,
    study: Study,
    inputs: Inputs,
    collected: Collected,
    spec: StudySpec,
    plan: Plan,
) -> Iterable[tuple[int, GlobalState]]:
    """The round's model and those without some hospitals, as the rule names them."""
    if not isinstance(collected.total, WeightedSum):  # no study that opens has such a spec
        raise StepError(f"{spec.strategy.name} has no sum that an update could be taken out of")
    updates = updates_of(party, study, inputs, collected)
    found = (collected.start, inputs.number, collected.total, updates)
    return left_out_states(spec, *found, plan.models(), party.journal.folder)


def _readers(
    party: Party, study: Study, inputs: Inputs, included: Sequence[int]
) -> list[RecipientKey]:
    """Auditors and the hospitals that are in the model: who differs two models has an update."""
    hospitals = [study.hospitals[index] for index in included]
    return [
        *(recipient_at(party, auditor, inputs.block) for auditor in study.auditors),
        *reachable(party, hospitals, inputs.block),
    ]
