"""Train on the frozen cohort, seal the update, submit it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from chain.outbox import LIVE
from chain.types import RoundNumber, StudyId
from federated.chosen import require_line, spec_of_round
from federated.context import update_context
from federated.errors import StepError
from federated.hospital.data import arrays
from federated.hospital.freeze import frozen_commitment, frozen_count, frozen_members
from federated.hospital.kept import Kept, latest_kept, write_kept
from federated.hospital.late import sealed_step, waiting
from federated.hospital.node import HospitalNode
from federated.hospital.policy.standing import require_allowed
from federated.models import update_schema
from federated.party import Party, recipient_at
from federated.published import known_state
from federated.study import Study, read_study
from federated.tensors import encode_tensors
from records.splits import Part
from storage.artefact import publish, seal
from storage.errors import MissingBlock
from storage.sealed import Sealed

UPDATE_KIND = "update"


@dataclass(frozen=True, slots=True)
class Trained:
    """A sealed update; `upload_s` is what sealing and storing took when it was made.

    `round_number` is the round that it was trained in: an earlier one where it comes late.
    """

    sealed: Sealed
    size: int
    upload_s: float
    round_number: RoundNumber


def train(node: HospitalNode, number: StudyId, round_number: RoundNumber) -> Trained:
    """Train, clip, quantise and seal for the center and the auditors; once per frozen cohort.

    Raises `StepError` when the hospital has not frozen this round, `PolicyRefused` where its policy
    forbids the study or the cohort by now.
    """
    party = node.party
    study = read_study(party.chain, party.store, number, party.head())
    require_allowed(node, study, frozen_count(node, study, round_number))
    root = frozen_commitment(node, study, round_number).root
    if (kept := _kept(party, study, round_number, root)) is not None:
        return kept
    update = _update(node, study, round_number)
    started = time.perf_counter()
    sealed = _seal(party, study, round_number, root, update)
    trained = Trained(sealed, len(update), time.perf_counter() - started, round_number)
    _keep(party, number, round_number, root, trained)
    return trained


def _kept(party: Party, study: Study, number: RoundNumber, root: bytes) -> Trained | None:
    """What was sealed for this round, or for an earlier one that it still may count for."""
    records = [(number, party.journal.get(sealed_step(study.number, number)))]
    records += waiting(party, study, number, party.head())
    for place, record in records:
        if record is None or record["root"] != root.hex():
            continue
        sealed = Sealed.from_json(record["sealed"])
        if _is_kept(party, study, number, sealed):
            origin = RoundNumber(record.get("round", place))
            trained = Trained(sealed, record["size"], record["upload_s"], origin)
            if place != number:
                _keep(party, study.number, number, root, trained)
            return trained
    return None


def _keep(
    party: Party, number: StudyId, round_number: RoundNumber, root: bytes, trained: Trained
) -> None:
    record = {
        "root": root.hex(),
        "round": trained.round_number,
        "sealed": trained.sealed.to_json(),
        "size": trained.size,
        "upload_s": trained.upload_s,
    }
    party.journal.put(sealed_step(number, round_number), record)


def _is_kept(party: Party, study: Study, round_number: RoundNumber, sealed: Sealed) -> bool:
    """Whether the store has what was sealed. Raises its error where that is submitted already.

    Before, nobody has seen it: another artefact of the same update, under a fresh key, takes its
    place. A transaction that is signed may still reach the chain and counts as submitted.
    """
    try:
        publish(party.store, sealed)
    except MissingBlock:
        client, block = party.chain.client, party.head()
        index = study.index_of(party.address)
        round_ = party.chain.rounds.round(study.number, round_number, block_identifier=block)
        signed = client.outbox.find(_submit_step(study.number, round_number))
        if round_.submitted >> index & 1 or (signed is not None and signed.state in LIVE):
            raise
        return False
    return True


def submit(node: HospitalNode, number: StudyId, round_number: RoundNumber) -> float:
    """Record the sealed update on-chain; returns the seconds that the transaction took.

    Raises `StepError` where nothing is sealed for the cohort that is frozen, `PolicyRefused` as
    `train` does.
    """
    party = node.party
    record = party.journal.get(sealed_step(number, round_number))
    if record is None:
        raise StepError(
            f"study {number}: round {round_number}: nothing is sealed; run `consilium hospital "
            "train` first"
        )
    study = read_study(party.chain, party.store, number, party.head())
    if record["root"] != frozen_commitment(node, study, round_number).root.hex():
        raise StepError(
            f"study {number}: round {round_number}: what is sealed is of another cohort than the "
            "frozen one; run `consilium hospital train` again"
        )
    require_allowed(node, study, frozen_count(node, study, round_number))
    sealed = Sealed.from_json(record["sealed"])
    call = party.chain.rounds.submit(
        number, round_number, sealed.manifest_digest, sealed.commitment
    )
    started = time.perf_counter()
    party.chain.client.send(call, step=_submit_step(number, round_number))
    return time.perf_counter() - started


def _update(node: HospitalNode, study: Study, round_number: RoundNumber) -> bytes:
    # torch takes seconds: only who trains waits
    from federated.training import kept_of, local_training

    party, block = node.party, node.party.head()
    require_line(party, study, round_number, block)
    spec = spec_of_round(party, study, round_number, block)
    round_ = party.chain.rounds.round(study.number, round_number, block_identifier=block)
    parent = RoundNumber(round_.parent)
    start = known_state(party, study, parent, block)
    members = [m for m in frozen_members(node, study, round_number) if m.part is Part.TRAIN]
    earlier = latest_kept(party, study, parent, block)
    trained = local_training(
        start,
        arrays(members, spec),
        spec,
        hospital=party.name,
        round_number=round_number,
        own=None if earlier is None else earlier.tensors,
    )
    if (own := kept_of(spec, trained.steps, trained.left)) is not None:
        kept = Kept.after(earlier, (member.consent for member in members), own)
        write_kept(party, study, round_number, kept)
    schema = update_schema(spec)
    return encode_tensors(schema.unflatten(trained.steps), schema)


def _seal(
    party: Party, study: Study, round_number: RoundNumber, root: bytes, update: bytes
) -> Sealed:
    block = party.head()
    round_ = party.chain.rounds.round(study.number, round_number, block_identifier=block)
    context = update_context(
        chain_id=party.chain.client.chain_id,
        rounds=party.chain.rounds.address,
        study=study.number,
        round_number=round_number,
        spec=study.spec_digest,
        state=round_.start_state,
        root=root,
    )
    recipients = [recipient_at(party, who, block) for who in (study.center, *study.auditors)]
    return seal(
        party.store,
        update,
        kind=UPDATE_KIND,
        schema=update_schema(study.spec).digest(),
        context=context,
        sender=party.sender,
        recipients=recipients,
    )


def _submit_step(number: StudyId, round_number: RoundNumber) -> str:
    return f"submit-{number}-{round_number}"
