"""Withdrawals before a grant is seen, demands, changed records, and a hospital that leaves."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chain.challenges import Ground
from chain.consent_types import Reason
from chain.keys import PatientSecret, new_phrase
from chain.types import RoundNumber
from federated.center import finalize, open_round
from federated.errors import StepError
from federated.hospital import admit, freeze, submit, train
from federated.hospital.admission import Presented, withdraw
from federated.hospital.answer import answer_demands
from federated.hospital.commitments import records_of
from federated.hospital.freeze import _commit
from federated.hospital.run import advance
from federated.mail import post
from federated.patient import Patient
from federated.relayer import relay
from records.importer import Imported
from records.record import LocalKey
from tests.e2e import kit
from tests.e2e.kit import Asked, World

pytestmark = pytest.mark.engine("anvil")

FIRST = RoundNumber(1)
NEVER_ASKED = "refuses"


def _admit(world: World, hospital: str, *presented: Presented) -> None:
    admit(
        world.node(hospital),
        presented,
        relayer=world.relayer.address,
        deadline=world.clock.now() + 3600,
    )


def _grant(world: World, hospital: str, who: Patient, local: LocalKey) -> Presented:
    agreement = world.tiers[hospital, "grants"]
    return Presented(local, who.grant(agreement, deadline=world.clock.now() + 3600))


def _held_back(world: World) -> tuple[Asked, Presented]:
    """A grant that is signed and admitted, and that the relayer has not sent."""
    asked = next(x for x in world.patients if (x.hospital, x.will) == ("north", NEVER_ASKED))
    presented = _grant(world, "north", world.patient(asked), asked.local_key)
    _admit(world, "north", presented)
    return asked, presented


def _is_granted(world: World, presented: Presented) -> bool:
    consents, block = world.relayer.chain.consents, world.relayer.head()
    return bool(consents.consent(presented.grant.message.id, block_identifier=block).granted)


def test_a_grant_held_back_until_the_hospital_withdrew_takes_no_effect(granted: World) -> None:
    asked, presented = _held_back(granted)
    assert withdraw(granted.node("north"), asked.local_key, Reason.PAPER) == 1
    assert len(relay(granted.relayer).refused) == 1
    assert not _is_granted(granted, presented)
    assert withdraw(granted.node("north"), asked.local_key, Reason.PAPER) == 0


def test_a_grant_held_back_until_the_patient_withdrew_takes_no_effect(granted: World) -> None:
    asked, presented = _held_back(granted)
    patient, agreement = granted.patient(asked), granted.tiers["north", "grants"]
    deadline = granted.clock.now() + 3600
    with pytest.raises(StepError, match="--unseen"):
        patient.revoke(agreement, deadline=deadline)
    m = patient.revoke(agreement, deadline=deadline, unseen=True)
    fields = [m.key, agreement, m.nonce, m.deadline, m.r, m.vs]
    post(granted.relayer.store, granted.relayer.address, "revocations", {"messages": [fields]})
    relay(granted.relayer)  # withdrawals go first
    assert not _is_granted(granted, presented)
    standing = next(x for x in granted.patients if x.will == "grants")
    with pytest.raises(StepError, match="stands"):
        granted.patient(standing).unseen_nonce(granted.tiers[standing.hospital, "grants"])


def test_one_patient_with_two_keys_is_not_admitted_at_all(granted: World) -> None:
    node = granted.node("north")
    asked = next(x for x in granted.patients if (x.hospital, x.will) == ("north", NEVER_ASKED))
    other = Patient(PatientSecret(new_phrase()), granted.relayer.chain)
    both = [
        _grant(granted, "north", who, asked.local_key) for who in (granted.patient(asked), other)
    ]
    with pytest.raises(StepError, match="once per study") as caught:
        _admit(granted, "north", *both)
    assert asked.local_key not in str(caught.value)
    assert node.consents.of_patient(asked.local_key) == []
    assert relay(granted.relayer).sent == 0


def test_records_that_changed_after_the_freeze_are_not_trained_on(granted: World) -> None:
    node = granted.node("north")
    open_round(granted.center, granted.study)
    freeze(node, granted.study, FIRST)
    spec = granted.read().spec
    records = node.records.records(spec.data.dictionary)
    report = node.records.report()
    first = replace(records[0], values=(records[0].values[0] + 1, *records[0].values[1:]))
    for changed in ([first, *records[1:]], records[1:]):
        node.records.replace(Imported(tuple(changed), (), report), spec.data.dictionary)
        with pytest.raises(StepError, match="frozen cohort"):
            train(node, granted.study, FIRST)
    node.records.replace(Imported(tuple(records), (), report), spec.data.dictionary)
    train(node, granted.study, FIRST)
    submit(node, granted.study, FIRST)


def test_a_replaced_freeze_that_the_chain_holds_after_all_is_trained_on(granted: World) -> None:
    node, study = granted.node("north"), granted.read()
    open_round(granted.center, granted.study)
    mined = freeze(node, granted.study, FIRST)
    party, block = node.party, node.party.head()
    earlier = records_of(party, granted.study, FIRST)
    newer = _commit(node, study, FIRST, block, earlier)  # as if `mined` had been undone
    assert newer.digest() != mined.digest()
    assert newer.root == mined.root, "the same salts"
    assert freeze(node, granted.study, FIRST) == mined
    train(node, granted.study, FIRST)
    submit(node, granted.study, FIRST)


def test_an_update_sealed_for_another_cohort_is_not_submitted(granted: World) -> None:
    node = granted.node("north")
    open_round(granted.center, granted.study)
    freeze(node, granted.study, FIRST)
    train(node, granted.study, FIRST)
    step = f"sealed-{granted.study}-{FIRST}"
    record = node.party.journal.get(step)
    assert record is not None
    node.party.journal.put(step, record | {"root": "00" * 32})  # as before a reorganisation
    with pytest.raises(StepError, match="another cohort"):
        submit(node, granted.study, FIRST)
    train(node, granted.study, FIRST)
    submit(node, granted.study, FIRST)


def test_a_hospital_answers_demands_even_without_its_list(granted: World) -> None:
    open_round(granted.center, granted.study)
    freeze(granted.node("north"), granted.study, FIRST)
    commitment = kit.freeze_of(granted, 1, "north")
    auditor = granted.auditor.chain
    auditor.client.send(auditor.challenges.demand(commitment, 0))
    assert answer_demands(granted.node("north"), granted.study) == 1
    auditor.client.send(auditor.challenges.demand(commitment, commitment.n - 1))
    kit.path_of(granted, commitment.leaf_list).unlink()
    said: list[str] = []
    advance(granted.node("north"), granted.study, said.append)
    assert said[0] == "answered 1 demands for leaves"
    assert answer_demands(granted.node("north"), granted.study) == 0
    block, index = granted.auditor.head(), granted.index("north")
    challenges = auditor.challenges
    assert challenges.open_demands(granted.study, index, block_identifier=block) == 0
    ground = challenges.ground_voided(granted.study, FIRST, index, block_identifier=block)
    assert ground is Ground.NONE


def test_a_hospital_that_left_goes_on_without_the_models_of_others(granted: World) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST)
    valley = granted.party("valley").chain
    valley.client.send(valley.studies.quit(granted.study))
    finalize(granted.center, granted.study, FIRST)
    said: list[str] = []
    assert advance(granted.node("valley"), granted.study, said.append) is False
    assert said == []
    advance(granted.node("north"), granted.study, said.append)
    assert len(said) == 1
