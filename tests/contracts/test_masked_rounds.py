"""Rounds in masked mode, as far as the chain sees them: close, unmask, finalize the survivors."""

from __future__ import annotations

from typing import Any

import pytest
from eth_utils.crypto import keccak

from tests.contracts import settlement
from tests.contracts.kit import ZERO, World
from tests.contracts.settlement import MASKED, Consent, Study

pytestmark = pytest.mark.engine("anvil")

SHARES = keccak(text="shares")


@pytest.fixture
def study(world: World) -> Study:
    """Four hospitals; a round needs three submissions and three hospitals' shares."""
    return settlement.found(world, hospitals=4, **MASKED)


@pytest.fixture
def consents(study: Study) -> list[list[Consent]]:
    return [study.grant(hospital, 2) for hospital in range(4)]


def frozen(study: Study, consents: list[list[Consent]], **bad: Any) -> list[settlement.Cohort]:
    """All four freeze in a new round; with `bad` the first leaves a leaf out of range."""
    number = study.open()
    first = study.frozen(number, 0, consents[0], **bad)
    return [first] + [study.frozen(number, i, consents[i]) for i in (1, 2, 3)]


def close(study: Study, number: int = 1) -> Any:
    return study.world.rounds.closeSubmit(study.number, number)


def unmask(study: Study, number: int = 1, shares: bytes = SHARES) -> Any:
    return study.world.rounds.unmask(study.number, number, shares)


def closed(study: Study, consents: list[list[Consent]], **bad: Any) -> list[settlement.Cohort]:
    """A round whose four submissions are closed."""
    cohorts = frozen(study, consents, **bad)
    for hospital in range(4):
        study.submit(1, hospital)
    study.world.send(close(study), study.world.stranger)
    return cohorts


def challenge(study: Study, cohort: settlement.Cohort) -> Any:
    call = study.world.challenges.challengeLeaf(*cohort.evidence(len(cohort.leaves) - 1))
    return study.world.send(call, study.world.stranger)


OUT_OF_RANGE = {"n": 1, "weight": 1}


def test_a_masked_round_runs_from_open_to_finalize(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    frozen(study, consents)
    for hospital in range(4):
        study.submit(1, hospital)
    receipt = world.send(close(study), world.stranger)
    assert world.logs(receipt) == [("SubmitClosed", study.number, 1, 0b1111)]
    for hospital in (0, 1, 3):
        sender = study.hospitals[hospital]
        receipt = world.send(unmask(study), sender)
        assert world.logs(receipt) == [("Unmasked", study.number, 1, sender, SHARES)]
    study.finalize(1, 0b1111)
    round_ = study.round(1)
    assert (round_.closed, round_.finalized, round_.contaminated) == (True, True, False)
    assert (round_.survivors, round_.included, round_.unmasked) == (0b1111, 0b1111, 0b1011)
    assert round_.submitBy < round_.unmaskBy < round_.finalizeBy
    assert world.rounds.countedWeights(study.number).call() == [[2, 2, 2, 2], 8]


def test_a_freeze_needs_round_keys(study: Study, consents: list[list[Consent]]) -> None:
    number = study.open()
    keyless = study.cohort(number, 0, consents[0], roundKeys=ZERO)
    call = study.world.rounds.freeze(keyless.freeze)
    assert study.world.refused(call, study.world.h1) == ("BadCohort",)


def test_nobody_submits_while_another_may_still_freeze(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    for hospital in (0, 1, 2):
        study.frozen(number, hospital, consents[hospital])
    early = study.submission(number)
    assert world.refused(early, world.h1) == ("WrongPhase", study.number, number)
    study.frozen(number, 3, consents[3])
    study.submit(number, 0)


def test_submitting_begins_when_freeze_by_is_past(
    study: Study, consents: list[list[Consent]]
) -> None:
    number = study.open()
    for hospital in (0, 1, 2):
        study.frozen(number, hospital, consents[hospital])
    study.pass_phase(number, "freezeBy")
    for hospital in (0, 1, 2):
        study.submit(number, hospital)
    study.world.send(close(study), study.world.stranger)
    assert study.round(number).survivors == 0b0111


def test_a_barred_hospital_is_not_waited_for(study: Study, consents: list[list[Consent]]) -> None:
    world = study.world
    number = study.open()
    cohorts = [
        study.frozen(number, hospital, consents[hospital], **OUT_OF_RANGE) for hospital in range(4)
    ]
    world.send(world.rounds.abort(study.number, number), world.center)
    study.open()
    for hospital in (1, 2, 3):
        study.frozen(2, hospital, consents[hospital])
    early = study.submission(2)
    assert world.refused(early, world.h2) == ("WrongPhase", study.number, 2)
    challenge(study, cohorts[0])
    for hospital in (1, 2, 3):
        study.submit(2, hospital)
    world.send(close(study, 2), world.stranger)


def test_open_mode_has_neither_close_nor_unmask(world: World) -> None:
    study = settlement.found(world, hospitals=2)
    consents = [study.grant(hospital, 1) for hospital in (0, 1)]
    number = study.open()
    for hospital in (0, 1):
        study.frozen(number, hospital, consents[hospital])
        study.submit(number, hospital)
    for call in (close(study), unmask(study)):
        assert world.refused(call, world.h1) == ("WrongPhase", study.number, number)


def test_no_second_update_is_masked_under_the_keys_of_one_freeze(
    study: Study, consents: list[list[Consent]]
) -> None:
    """Two updates under one mask give their difference to whoever reads both."""
    world = study.world
    frozen(study, consents)
    sent = [(study.submission(1, salt), world.h1) for salt in ("one", "other")]
    assert [receipt["status"] for receipt in world.send_together(sent)] == [1, 0]
    digest = keccak(keccak(text="manifestone") + keccak(text="commitmentone"))
    done = ("AlreadyDone", world.h1.lower())
    anew = study.cohort(1, 0, consents[0], roundKeys=keccak(text="other keys"))
    assert world.refused(world.rounds.freeze(anew.freeze), world.h1) == done
    abort = world.rounds.abort(study.number, 1)  # the center asks for it all again
    assert world.refused(abort, world.center) == ("WrongPhase", study.number, 1)
    for hospital in (1, 2, 3):
        study.submit(1, hospital)
    lapse = world.rounds.lapse(study.number, 1)
    for phase, call in (("submitBy", close(study)), ("finalizeBy", lapse)):
        assert world.refused(sent[1][0], world.h1) == done
        study.pass_phase(1, phase)
        world.send(call, world.stranger)
    assert world.refused(sent[1][0], world.h1) == done
    assert world.rounds.submissionDigest(study.number, 1, 0).call() == digest


def test_closing_waits_for_every_frozen_hospital_until_submit_by(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    frozen(study, consents)
    for hospital in (0, 1, 2):
        study.submit(1, hospital)
    assert world.refused(close(study), world.center) == ("WrongPhase", study.number, 1)
    study.pass_phase(1, "submitBy")
    world.send(close(study), world.stranger)
    assert study.round(1).survivors == 0b0111
    late = study.submission(1)
    assert world.refused(late, study.hospitals[3]) == ("WrongPhase", study.number, 1)


def test_survivors_are_written_once(study: Study, consents: list[list[Consent]]) -> None:
    closed(study, consents)
    refusal = ("WrongPhase", study.number, 1)
    assert study.world.refused(close(study), study.world.center) == refusal


def test_closing_needs_k_survivors(study: Study, consents: list[list[Consent]]) -> None:
    frozen(study, consents)
    for hospital in (0, 1):
        study.submit(1, hospital)
    study.pass_phase(1, "submitBy")
    refusal = ("TooFewSubmissions", 2, 3)
    assert study.world.refused(close(study), study.world.center) == refusal


def test_closing_needs_k_survivors_where_fewer_shares_would_do(world: World) -> None:
    study = settlement.found(world, hospitals=4, **{**MASKED, "minHospitals": 4})
    frozen(study, [study.grant(hospital, 1) for hospital in range(4)])
    for hospital in range(3):
        study.submit(1, hospital)
    study.pass_phase(1, "submitBy")
    assert world.refused(close(study), world.center) == ("TooFewSubmissions", 3, 4)


def test_nobody_closes_after_unmask_by(study: Study, consents: list[list[Consent]]) -> None:
    world = study.world
    frozen(study, consents)
    for hospital in range(4):
        study.submit(1, hospital)
    study.pass_phase(1, "unmaskBy")
    assert world.refused(close(study), world.center) == ("WrongPhase", study.number, 1)
    unclosed = study.finalization(1, 0b1111)
    assert world.refused(unclosed, world.center) == ("WrongPhase", study.number, 1)
    study.pass_phase(1, "finalizeBy")
    world.send(world.rounds.lapse(study.number, 1), world.stranger)
    assert world.rounds.countedWeights(study.number).call() == [[2, 2, 2, 2], 8]
    assert world.rounds.pays(study.number, 1).call()


def test_an_update_voided_before_closing_is_no_survivor(
    study: Study, consents: list[list[Consent]]
) -> None:
    cohorts = frozen(study, consents, **OUT_OF_RANGE)
    for hospital in range(4):
        study.submit(1, hospital)
    challenge(study, cohorts[0])
    study.world.send(close(study), study.world.stranger)
    assert study.round(1).survivors == 0b1110
    assert not study.round(1).contaminated
    refusal = ("NotInRound", study.world.h1.lower())
    assert study.world.refused(unmask(study), study.world.h1) == refusal


def test_a_void_after_closing_flags_the_round_and_leaves_the_survivors(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    cohorts = closed(study, consents, **OUT_OF_RANGE)
    logs = world.logs(challenge(study, cohorts[0]))
    assert ("Voided", study.number, 1, 0, True) in logs
    for hospital in range(4):
        world.send(unmask(study), study.hospitals[hospital])
    smaller = study.finalization(1, 0b1110)
    assert world.refused(smaller, world.center) == ("BadIncluded", 0b1110, 0b1111)
    study.finalize(1, 0b1111)
    assert (study.round(1).contaminated, study.round(1).voided) == (True, 1)


def test_only_survivors_unmask_once_each_after_closing_until_unmask_by(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    frozen(study, consents)
    for hospital in (0, 1, 2):
        study.submit(1, hospital)
    assert world.refused(unmask(study), world.h1) == ("WrongPhase", study.number, 1)
    study.pass_phase(1, "submitBy")
    world.send(close(study), world.center)
    fourth = study.hospitals[3]
    assert world.refused(unmask(study), fourth) == ("NotInRound", fourth.lower())
    assert world.refused(unmask(study), world.center) == ("NotEnrolled", world.center.lower())
    assert world.refused(unmask(study, shares=ZERO), world.h1) == ("EmptyDigest",)
    world.send(unmask(study), world.h1)
    assert world.refused(unmask(study), world.h1) == ("AlreadyDone", world.h1.lower())
    world.at(study.round(1).unmaskBy)
    world.send(unmask(study), world.h2)
    study.pass_phase(1, "unmaskBy")
    assert world.refused(unmask(study), world.h3) == ("WrongPhase", study.number, 1)


def test_finalize_needs_closing_the_survivors_and_the_threshold_of_shares(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    frozen(study, consents)
    for hospital in range(4):
        study.submit(1, hospital)
    whole = study.finalization(1, 0b1111)
    assert world.refused(whole, world.center) == ("WrongPhase", study.number, 1)
    world.send(close(study), world.center)
    for included in (0b0111, 0b11111, 0):
        call = study.finalization(1, included)
        assert world.refused(call, world.center) == ("BadIncluded", included, 0b1111)
    for hospital in (0, 1):
        world.send(unmask(study), study.hospitals[hospital])
    assert world.refused(whole, world.center) == ("TooFewSubmissions", 2, 3)
    world.send(unmask(study), study.hospitals[2])
    study.finalize(1, 0b1111)
    assert world.refused(unmask(study), study.hospitals[3]) == ("WrongPhase", study.number, 1)


def test_a_closed_round_that_is_not_finalized_pays_by_its_weights(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    closed(study, consents)
    study.pass_phase(1, "finalizeBy")
    assert study.open() == 2
    assert study.round(1).lapsed
    assert world.rounds.countedWeights(study.number).call() == [[2, 2, 2, 2], 8]
