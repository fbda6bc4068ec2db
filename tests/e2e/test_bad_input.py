"""What actors are given and cannot use: one clear error, nothing half done, no patient's value."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from chain.errors import ChainError, NodeDown, TxReverted
from chain.keys import PatientSecret, new_phrase
from chain.types import AgreementId, RoundNumber, StudyId
from federated.auditor import Level
from federated.center import aggregate, finalize, open_round, settle
from federated.errors import CohortError, FederatedError, PolicyRefused, StepError, Unjudged
from federated.exclusion import ExclusionCode
from federated.hospital import Policy, admit, approve, freeze, join, read_grants, submit, train
from federated.hospital.admission import Presented
from federated.mail import mail_for, post
from federated.patient import Patient
from federated.published import read_result
from federated.relayer import relay
from records.errors import RecordsError
from storage.errors import StorageError, Unreachable
from tests.e2e import kit
from tests.e2e.kit import World

pytestmark = pytest.mark.engine("anvil")

FIRST, SECOND = RoundNumber(1), RoundNumber(2)
OURS = (ChainError, FederatedError, RecordsError, StorageError)


def _refused(world: World, action: Callable[[], object], error: type[Exception]) -> str:
    """The message of the error; it is one of ours, and tells nothing about a patient."""
    with pytest.raises(error) as caught:
        action()
    text = str(caught.value)
    assert isinstance(caught.value, OURS)
    _assert_tells_nothing(world, text)
    return text


def _assert_tells_nothing(world: World, text: str) -> None:
    spec = world.read().spec
    for name in kit.HOSPITALS:
        for record in world.node(name).records.records(spec.data.dictionary):
            assert record.key not in text
            assert not [
                value for value in record.values if len(repr(value)) > 3 and repr(value) in text
            ]


def test_an_unknown_study_is_named_with_those_that_exist(granted: World) -> None:
    north = granted.node("north")
    for action in (
        lambda: approve(north, StudyId(9), Policy()),
        lambda: join(north, StudyId(9)),
        lambda: freeze(north, StudyId(9), FIRST),
        lambda: open_round(granted.center, StudyId(9)),
        lambda: settle(granted.center, StudyId(9)),
    ):
        text = _refused(granted, action, StepError)
        assert "study 9 does not exist; this chain has studies 1 to 1" in text


def test_a_policy_that_forbids_the_study_names_its_rule(granted: World) -> None:
    north = granted.node("north")
    for policy, rule in (
        (Policy(purposes=("DUO:0000011",)), "purposes"),
        (Policy(modes=("masked",)), "modes"),
        (Policy(models=("cnn",)), "models"),
        (Policy(most_rounds=1), "most_rounds"),
    ):
        text = _refused(granted, partial(approve, north, granted.study, policy), PolicyRefused)
        assert text.startswith(f"policy: {rule}: ")


def test_a_cohort_that_the_policy_finds_too_small_is_not_frozen(granted: World) -> None:
    north = granted.node("north")
    approve(north, granted.study, Policy(least_cohort=27))
    open_round(granted.center, granted.study)
    text = _refused(granted, lambda: freeze(north, granted.study, FIRST), PolicyRefused)
    assert "26, at least 27" in text
    assert kit.round_at(granted, 1).frozen == 0


def test_an_empty_cohort_is_an_error_and_freezes_nothing(granted: World) -> None:
    north = granted.node("north")
    approve(north, granted.study, Policy(least_cohort=0, least_training=0))
    for asked in granted.patients:
        if asked.hospital == "north" and asked.will == "grants":
            north.consents.forget(asked.local_key)
    open_round(granted.center, granted.study)
    text = _refused(granted, lambda: freeze(north, granted.study, FIRST), CohortError)
    assert "study 1: round 1" in text
    assert kit.round_at(granted, 1).frozen == 0


def test_a_consent_for_another_hospital_is_refused_before_any_is_admitted(granted: World) -> None:
    asked = next(p for p in granted.patients if p.hospital == "north" and p.will == "refuses")
    own = granted.tiers["north", "grants"]
    other = granted.tiers["harbor", "grants"]
    deadline = granted.clock.now() + 3600
    good = Presented(asked.local_key, granted.patient(asked).grant(own, deadline=deadline))
    wrong = Presented(asked.local_key, granted.patient(asked).grant(other, deadline=deadline))
    text = _refused(granted, lambda: _admit(granted, "north", [good, wrong]), StepError)
    assert "is for another hospital" in text
    assert not granted.node("north").consents.of_patient(asked.local_key)
    assert not list(_unsent(granted))


def test_a_forged_or_altered_grant_is_refused(granted: World) -> None:
    asked = next(p for p in granted.patients if p.hospital == "north" and p.will == "refuses")
    tier = granted.tiers["north", "grants"]
    grant = granted.patient(asked).grant(tier, deadline=granted.clock.now() + 3600)
    stranger = Patient(PatientSecret(new_phrase()), granted.relayer.chain)
    forged = replace(grant, message=stranger.grant(tier, deadline=grant.message.deadline).message)
    longer = replace(grant, message=replace(grant.message, deadline=grant.message.deadline + 1))
    for item in forged, longer:
        presented = [Presented(asked.local_key, item)]
        text = _refused(granted, partial(_admit, granted, "north", presented), StepError)
        assert "ask the patient to sign again" in text


def test_a_person_is_admitted_once_per_study(granted: World) -> None:
    asked = next(p for p in granted.patients if p.hospital == "north" and p.will == "grants")
    again = Patient(PatientSecret(new_phrase()), granted.relayer.chain)
    tier = granted.tiers["north", "grants"]
    grant = again.grant(tier, deadline=granted.clock.now() + 3600)
    presented = [Presented(asked.local_key, grant)]
    text = _refused(granted, lambda: _admit(granted, "north", presented), RecordsError)
    assert "admits one person once per study" in text
    assert not list(_unsent(granted))


def test_a_replayed_batch_of_grants_grants_nothing_again(granted: World) -> None:
    mail = next(m for m in mail_for(granted.relayer.store, granted.relayer.address))
    granted.forget()
    for path in (granted.folder / "relayer" / "journal").glob("*.json"):
        path.unlink()  # a relayer that has forgotten what it sent
    (granted.folder / "relayer" / "outbox.sqlite").unlink()
    refused = relay(granted.relayer).refused
    assert mail.kind == "grants"
    assert len(refused) == 3 * len(kit.HOSPITALS)  # a batch for each tier
    assert {line.rsplit(": ", 1)[1] for line in refused} == {"already used"}
    for line in refused:
        _assert_tells_nothing(granted, line)
    kit.run_round(granted)
    kit.assert_sound(granted)


def test_a_patient_without_a_standing_consent_cannot_withdraw(granted: World) -> None:
    asked = next(p for p in granted.patients if p.will == "refuses")
    patient = granted.patient(asked)
    tier = granted.tiers[asked.hospital, "grants"]
    text = _refused(granted, lambda: patient.revoke(tier, deadline=2**40), StepError)
    assert "no consent of yours stands under agreement" in text
    text = _refused(granted, lambda: patient.grant(AgreementId(99), deadline=2**40), StepError)
    assert "agreement 99 does not exist" in text


def test_mail_that_is_no_message_is_refused_and_the_rest_is_sent(granted: World) -> None:
    asked = next(p for p in granted.patients if p.will == "grants")
    store, address = granted.relayer.store, granted.relayer.address
    for body in ({}, {"messages": 7}, {"messages": [[b"short"]]}):
        post(store, address, "revocations", dict(body))
    post(store, address, "gossip", {"who": "knows"})
    with pytest.raises(AssertionError):
        kit.revoke(granted, asked)  # asserts that nothing was refused
    slot = granted.relayer.chain.consents.consent(
        granted.consent_of(asked), block_identifier=granted.relayer.head()
    )
    assert slot.revoked
    assert not relay(granted.relayer).refused  # told once


def test_steps_out_of_order_say_what_comes_first(granted: World) -> None:
    north = granted.node("north")
    open_round(granted.center, granted.study)
    text = _refused(granted, lambda: train(north, granted.study, FIRST), StepError)
    assert "the cohort is not frozen on-chain" in text
    text = _refused(granted, lambda: submit(north, granted.study, FIRST), StepError)
    assert "nothing is sealed" in text
    text = _refused(granted, lambda: settle(granted.center, granted.study), StepError)
    assert "no round counted yet" in text


def test_fewer_than_k_submissions_are_an_error_and_finalize_nothing(granted: World) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST, ["north"])
    for action in (
        lambda: aggregate(granted.center, granted.study, FIRST),
        lambda: finalize(granted.center, granted.study, FIRST),
    ):
        text = _refused(granted, action, StepError)
        assert "round 1: 1 submissions, at least 2 are needed" in text
    assert not kit.round_at(granted, 1).finalized
    assert kit.found_at(granted, Level.KEYED) == set()


def test_missing_and_corrupt_blocks_stop_the_center_until_they_are_back(submitted: World) -> None:
    manifest = kit.submission_of(submitted, 2, "harbor").manifest
    path = kit.path_of(submitted, manifest)
    kept = path.read_bytes()
    path.unlink()
    text = _refused(
        submitted, lambda: finalize(submitted.center, submitted.study, SECOND), Unjudged
    )
    assert submitted.keys["harbor"].address in text
    assert "ask the member who made it" in text
    path.write_bytes(kept)
    kit.flip(submitted, manifest)
    text = _refused(
        submitted, lambda: finalize(submitted.center, submitted.study, SECOND), Unjudged
    )
    assert "is stored altered" in text
    path.write_bytes(kept)
    finalize(submitted.center, submitted.study, SECOND)
    kit.assert_sound(submitted)


def test_a_store_that_is_gone_and_a_node_that_is_down_are_named(submitted: World) -> None:
    center, study = submitted.center, submitted.study
    (submitted.folder / "store").rename(submitted.folder / "gone")
    with pytest.raises(Unreachable, match="no block store at"):
        finalize(center, study, SECOND)
    (submitted.folder / "gone").rename(submitted.folder / "store")
    submitted.anvil.kill()
    with pytest.raises(NodeDown, match="no node answers at"):
        finalize(center, study, SECOND)


def _filled(value: int) -> Callable[[bytes], bytes]:
    """An update whose header is right and whose coordinates are all one number."""
    return lambda data: data[: -31 * 4] + np.full(31, value, dtype="<i4").tobytes()


BOUND = 10 << 24  # the clip norm in steps of the grid


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda data: data[:20] + b"x" + data[21:], ExclusionCode.SCHEMA),
        (lambda _: b"not safetensors", ExclusionCode.SCHEMA),
        (lambda data: data[:-4], ExclusionCode.SHAPE),
        (_filled(BOUND), ExclusionCode.OVER_CLIP),
        (_filled(BOUND + 1), ExclusionCode.NON_FINITE),
        (_filled(-(2**31)), ExclusionCode.NON_FINITE),
    ],
    ids=["another header", "another file", "cut", "over the clip", "off the grid", "least int"],
)
def test_an_update_that_breaks_a_rule_is_excluded_by_its_code(
    granted: World,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[bytes], bytes],
    code: ExclusionCode,
) -> None:
    open_round(granted.center, granted.study)
    kit.freeze_and_submit(granted, FIRST, ["north", "harbor"])
    training = importlib.import_module("federated.hospital.train")
    honest = training._update
    with monkeypatch.context() as patch:
        patch.setattr(training, "_update", lambda *arguments: spoil(honest(*arguments)))
        kit.freeze_and_submit(granted, FIRST, ["valley"])
    done = finalize(granted.center, granted.study, FIRST)
    valley = granted.index("valley")
    assert done.included == 0b111 & ~(1 << valley)
    manifest, _, _ = read_result(granted.center, granted.read(), FIRST, granted.center.head())
    assert {e.hospital: e.code for e in manifest.entries}[valley] is code
    kit.assert_sound(granted)


def test_a_grants_file_with_a_broken_line_names_the_line_alone(
    granted: World, tmp_path: Path
) -> None:
    path = tmp_path / "grants.jsonl"
    key = granted.patients[0].local_key
    path.write_text(f'{{"patient": "{key}", "grant": {{}}}}\n')
    text = _refused(granted, lambda: read_grants(path), StepError)
    assert "line 1 is not a grant" in text


def test_a_hospital_that_is_not_enrolled_is_told_to_join(granted: World) -> None:
    stranger = kit.make_node(granted.folder, granted.party("operator"))
    for action in (
        lambda: freeze(stranger, granted.study, FIRST),
        lambda: join(stranger, granted.study),
    ):
        assert "is not approved here" in _refused(granted, action, StepError)
    approve(stranger, granted.study, Policy(least_cohort=5))
    text = _refused(granted, lambda: freeze(stranger, granted.study, FIRST), StepError)
    assert "is not enrolled; run `consilium hospital join`" in text


def test_the_center_alone_opens_and_finalizes(submitted: World) -> None:
    north = submitted.party("north")
    done = aggregate(submitted.center, submitted.study, SECOND)
    call = north.chain.rounds.finalize(
        submitted.study, SECOND, done.included, done.state, done.manifest
    )
    text = _refused(submitted, lambda: north.chain.client.send(call), TxReverted)
    assert "NotTheCenter" in text


def _admit(world: World, hospital: str, presented: list[Presented]) -> int:
    return admit(
        world.node(hospital),
        presented,
        relayer=world.relayer.address,
        deadline=world.clock.now() + 3600,
    )


def _unsent(world: World) -> list[object]:
    """Mail to the relayer that it has not sent yet."""
    return [
        mail
        for mail in mail_for(world.relayer.store, world.relayer.address)
        if world.relayer.journal.get(f"mail-{mail.cid.digest.hex()}") is None
    ]
