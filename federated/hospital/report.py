"""Judge a round's candidates on the hospital's own validation patients, and sign the counts.

Only patients of the cohort frozen for that round are counted, never those for testing, and of them
those whose counts may leave beside what left before. With too few people of a class the report says
so and counts nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chain.round_types import Round
from chain.types import BlockNumber, RoundNumber, StudyId
from federated.candidates import (
    KIND,
    Candidates,
    context_of_candidates,
    decode_models,
    models_size,
    read_candidates,
    topic_of_candidates,
)
from federated.contribution import Plan, Walk, everyone, plan_of
from federated.errors import FederatedError, RecordError, StepError
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_commitment, frozen_count, frozen_members
from federated.hospital.node import HospitalNode
from federated.hospital.policy.standing import require_allowed
from federated.hospital.told import may_tell, tellable_members
from federated.left_out import loss_of
from federated.models import parameter_schema
from federated.party import signers_between
from federated.phase import is_complete, standing
from federated.reports import Evaluation, Report
from federated.search import reports_asked
from federated.signed_report import sign_report
from federated.study import Study, read_study
from records.splits import Part
from storage.artefact import Opened, open_artefact
from storage.errors import StorageError, Unreachable
from storage.signing import Signer


def report(node: HospitalNode, number: StudyId, round_number: RoundNumber) -> Report | None:
    """Report on the round's candidates, once; None while the center has proposed none.

    What was reported stands as long as what it judged can be finalized: a center that proposes one
    model after the other learns nothing more. Only a void, which changes the inputs, calls for
    another report. Raises `StepError` where this hospital has no say in the round, `PolicyRefused`
    where its policy forbids the study, and `RecordError` for models that are not the signed ones.
    """
    party, block = node.party, node.party.head()
    study = read_study(party.chain, party.store, number, block)
    round_ = party.chain.rounds.round(number, round_number, block_identifier=block)
    step = _step(number, round_number)
    record = party.journal.get(step)
    if record and _covers(round_, record["included"]):
        done = Report.from_bytes(bytes.fromhex(record["report"]))
        if not round_.finalized:
            sign_report(party, done)
        return done
    _require_say(study, round_, round_number, study.index_of(party.address))
    require_allowed(node, study, frozen_count(node, study, round_number))
    found = _proposed(node, study, round_number, round_, block)
    if found is None:
        return None
    candidates, signer = found
    done = _judge(node, study, candidates, signer)
    party.journal.put(
        step, {"included": list(candidates.included), "report": done.to_bytes().hex()}
    )
    sign_report(party, done)
    return done


def reported(node: HospitalNode, number: StudyId, round_number: RoundNumber) -> Report | None:
    """What was reported in a round, by the journal; None where nothing was."""
    record: dict[str, Any] | None = node.party.journal.get(_step(number, round_number))
    return Report.from_bytes(bytes.fromhex(record["report"])) if record else None


def _covers(round_: Round, included: Sequence[int]) -> bool:
    """Whether a model of these hospitals' updates can still be, or was, the round's."""
    if round_.finalized:
        return True
    return all(standing(round_) >> index & 1 for index in included)


def _require_say(study: Study, round_: Round, number: RoundNumber, index: int) -> None:
    where = f"study {study.number}: round {number}"
    if not reports_asked(study.spec, number):
        raise StepError(f"{where}: the study pays by {study.spec.reward.rule}, without reports")
    if round_.finalized or round_.aborted:
        raise StepError(f"{where}: it is over; reports come before it is finalized")
    if not standing(round_) >> index & 1:
        raise StepError(f"{where}: no update of this hospital stands in it, so it has no say")


def _proposed(
    node: HospitalNode, study: Study, number: RoundNumber, round_: Round, block: BlockNumber
) -> tuple[Candidates, Signer] | None:
    """The first candidates that the center signed, of standing updates, with this hospital's.

    They are just the models that the rule, or the search, asks for: each model more that is judged
    tells more of the patients. None before all updates are in: a proposal of a part of them would
    show the others' updates.
    """
    party = node.party
    barred = party.chain.rounds.barred(study.number, block_identifier=block)
    if not is_complete(round_, barred, party.chain.client.timestamp()):
        return None
    centers = signers_between(party.chain, study.center, round_.open_block, block)
    index = study.index_of(party.address)
    for cid in party.store.announced(topic_of_candidates(party, study.number, number)):
        try:
            candidates, signer = read_candidates(party.store, cid)
        except Unreachable:
            raise
        except (FederatedError, StorageError):
            continue  # anyone can announce anything
        context = context_of_candidates(
            party, study, number, round_.start_state, candidates.items[0].state
        )
        place = (candidates.context, candidates.study, candidates.round_number)
        ours = index in candidates.included and _covers(round_, candidates.included)
        if signer not in centers or place != (context, study.number, number) or not ours:
            continue
        if [item.without for item in candidates.items] == _plan(study, candidates).models():
            return candidates, signer
    return None


def _judge(node: HospitalNode, study: Study, candidates: Candidates, signer: Signer) -> Report:
    number = RoundNumber(candidates.round_number)
    index = study.index_of(node.party.address)
    own = [m for m in frozen_members(node, study, number) if m.part is Part.VALIDATION]
    members = tellable_members(node, own)
    inputs, labels = arrays(members, study.spec)
    rows: list[Evaluation] = []
    if may_tell(node, members, labels):
        opened = _open(node, study, candidates, signer)
        walk = Walk(_plan(study, candidates), index, len(labels))
        for item, parameters in decode_models(study.spec, candidates, opened.payload.segments()):
            if not item.without >> index & 1 and walk.needs(item.without):
                loss = loss_of(study.spec, parameters, inputs, labels)
                walk.tell(item.without, loss)
                rows.append(Evaluation(item.state, item.without, loss))
    return Report(
        context=candidates.context,
        study=study.number,
        round_number=number,
        hospital=index,
        root=frozen_commitment(node, study, number).root,
        people=len(labels) if rows else 0,
        evaluations=tuple(rows),
    )


def _plan(study: Study, candidates: Candidates) -> Plan:
    included, state = everyone(candidates.included), candidates.items[0].state
    return plan_of(study.spec, included, candidates.round_number, state)


def _open(node: HospitalNode, study: Study, candidates: Candidates, signer: Signer) -> Opened:
    opened = open_artefact(
        node.party.store,
        candidates.models,
        node.party.identity,
        expected_context=candidates.context,
        expected_signer=signer,
    )
    manifest = opened.manifest
    wanted = (KIND, parameter_schema(study.spec).digest())
    size = models_size(study.spec, len(candidates.items))
    if (manifest.kind, manifest.schema, manifest.plaintext_size) != (*wanted, size):
        raise RecordError(
            f"study {study.number}: round {candidates.round_number}: what the center sealed are no "
            "candidates of this study; report nothing and tell the auditors"
        )
    return opened


def _step(number: StudyId, round_number: RoundNumber) -> str:
    return f"report-{number}-{round_number}"
