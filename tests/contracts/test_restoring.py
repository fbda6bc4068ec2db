"""A hospital that the center left out falsely: a quorum of auditors restores its weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from tests.contracts import settlement
from tests.contracts.kit import World
from tests.contracts.settlement import MASKED, STATE, Cohort, Study
from tests.contracts.test_hospital_shares import shares_of, void

pytestmark = pytest.mark.engine("anvil")

POOL = 100
WEIGHTS = (1, 2, 4)
OUT = 2
"""The hospital that the center leaves out."""


def founded(world: World, **terms: Any) -> Study:
    """Three hospitals, two auditors, of whom two are a quorum."""
    named: Any = {"auditors": [world.auditor, world.auditor2], "auditorQuorum": 2}
    return settlement.found(world, **{"hospitalPool": POOL, **named, **terms})


def submitted(study: Study, weights: Sequence[int] = WEIGHTS) -> list[Cohort]:
    """The newest round, in which the hospitals froze these weights and submitted."""
    number = int(study.world.rounds.count(study.number).call())
    cohorts = []
    for hospital, weight in enumerate(weights):
        consents = study.grant(hospital, 1)
        cohorts.append(study.frozen(number, hospital, consents, n=weight, weight=weight))
        study.submit(number, hospital)
    return cohorts


@pytest.fixture
def study(world: World) -> Study:
    """One round, finalized without the last of three hospitals."""
    study = founded(world)
    study.open()
    submitted(study)
    study.finalize(1, 0b011)
    return study


def restore(study: Study, hospital: int = OUT, number: int = 1) -> Any:
    return study.world.challenges.restore(study.number, number, hospital)


def both_vote(study: Study, hospital: int = OUT, number: int = 1) -> Any:
    """The receipt of the second auditor's vote."""
    study.world.send(restore(study, hospital, number), study.world.auditor)
    return study.world.send(restore(study, hospital, number), study.world.auditor2)


def masks(study: Study, number: int = 1) -> tuple[int, int]:
    """Who can be restored, and who was."""
    rounds = study.world.rounds
    return (
        int(rounds.restorable(study.number, number).call()),
        int(rounds.restored(study.number, number).call()),
    )


def counted(study: Study) -> list[Any]:
    return list(study.world.rounds.countedWeights(study.number).call())


# -------------------------------------------------------------------- what a quorum does


def test_a_quorum_of_auditors_restores_a_weight_and_the_hospital_is_paid(study: Study) -> None:
    world, before = study.world, study.round(1)
    assert shares_of(study, 3) == [33, 67, 0]
    assert masks(study) == (0b100, 0)
    place = (study.number, 1, OUT)
    receipt = world.send(restore(study), world.auditor)
    assert world.logs(receipt) == [("RestoreVoted", *place, world.auditor, 1)]
    assert (masks(study), counted(study)) == ((0b100, 0), [[1, 2, 0], 3])
    receipt = world.send(restore(study), world.auditor2)
    assert world.logs(receipt) == [
        ("RestoreVoted", *place, world.auditor2, 2),
        ("Restored", *place, 4),
    ]
    assert world.challenges.restoreVotes(*place).call() == 2
    assert (masks(study), counted(study)) == ((0, 0b100), [[1, 2, 4], 7])
    assert study.round(1) == before, "model, inputs and flags stay what they were"
    study.pass_deadline("challengeEnd")
    assert shares_of(study, 3) == [14, 29, 57]
    for hospital, share in enumerate([14, 29, 57]):
        receipt = world.send(world.escrow.claimHospital(study.number, hospital), world.stranger)
        paid = ("HospitalPaid", study.number, study.hospitals[hospital], hospital, share)
        assert paid in world.logs(receipt)
    assert study.account.paidHospitals == POOL


def test_fewer_than_the_quorum_restore_nothing(study: Study) -> None:
    world = study.world
    world.send(restore(study), world.auditor)
    study.pass_deadline("challengeEnd")
    assert shares_of(study, 3) == [33, 67, 0]
    claim = world.escrow.claimHospital(study.number, OUT)
    assert world.refused(claim, world.h3) == ("NothingToPay",)


def test_each_round_and_each_hospital_has_votes_of_its_own(world: World) -> None:
    study = founded(world, hospitals=4)
    for number in (1, 2):
        study.open()
        submitted(study, (1, 2, 4, 8))
        study.finalize(number, 0b0011)
    for place in ((1, 2), (1, 3), (2, 2)):
        world.send(restore(study, place[1], place[0]), world.auditor)
        assert counted(study) == [[2, 4, 0, 0], 6]
    both = both_vote(study, hospital=3, number=2)
    assert world.logs(both)[1] == ("Restored", study.number, 2, 3, 8)
    assert counted(study) == [[2, 4, 0, 8], 14]
    assert [masks(study, number) for number in (1, 2)] == [(0b1100, 0), (0b0100, 0b1000)]


@pytest.mark.parametrize(("quorum", "needed"), [(0, 1), (1, 1), (3, None)])
def test_a_quorum_of_none_takes_one_vote_and_one_beyond_all_is_never_reached(
    world: World, quorum: int, needed: int | None
) -> None:
    """Tools open no such study but that of 1; the contract bounds a quorum where roots need one."""
    study = founded(world, auditorQuorum=quorum)
    study.open()
    submitted(study)
    study.finalize(1, 0b011)
    votes = 0
    for auditor in (world.auditor, world.auditor2):
        if masks(study)[1] == 0:
            world.send(restore(study), auditor)
            votes += 1
    assert (masks(study)[1] != 0) == (needed is not None)
    assert votes == (needed or 2)


# -------------------------------------------------------------------- who, how often, until when


def test_only_auditors_whom_the_study_names_vote(world: World) -> None:
    study = founded(world, auditors=[world.auditor])
    study.open()
    submitted(study)
    study.finalize(1, 0b011)
    others = (world.auditor2, world.center, world.h3, world.operator, world.stranger)
    for sender in others:
        assert world.refused(restore(study), sender) == ("NotAnAuditor", sender.lower())
    nowhere = world.challenges.restore(study.number + 1, 1, OUT)
    assert world.refused(nowhere, world.auditor) == ("NotAnAuditor", world.auditor.lower())


def test_an_auditor_votes_once(study: Study) -> None:
    world = study.world
    world.send(restore(study), world.auditor)
    again = ("AlreadyVoted", world.auditor.lower())
    assert world.refused(restore(study), world.auditor) == again
    assert world.challenges.restoreVotes(study.number, 1, OUT).call() == 1


def test_votes_count_until_challenge_end_and_shares_open_only_then(study: Study) -> None:
    world, end = study.world, study.terms.challengeEnd
    world.send(restore(study), world.auditor)
    world.at(end)
    claim = world.escrow.claimHospital(study.number, 0)
    assert world.refused(claim, world.h1) == ("TooEarly", end)
    world.send(restore(study), world.auditor2)
    assert masks(study) == (0, 0b100)
    assert world.now == end


def test_no_vote_counts_after_challenge_end(study: Study) -> None:
    world, end = study.world, study.terms.challengeEnd
    world.send(restore(study), world.auditor)
    world.at(end + 1)
    assert world.refused(restore(study), world.auditor2) == ("ChallengesClosed", end)


# -------------------------------------------------------------------- what cannot be restored


def refusals(study: Study, hospital: int, number: int = 1) -> set[tuple[Any, ...]]:
    """What both auditors are told."""
    world, call = study.world, restore(study, hospital, number)
    return {tuple(world.refused(call, auditor)) for auditor in (world.auditor, world.auditor2)}


@pytest.mark.parametrize("hospital", [0, 1, 3, 255, 256, 2**255])
def test_who_is_included_or_nobody_cannot_be_restored(study: Study, hospital: int) -> None:
    assert refusals(study, hospital) == {("NotRestorable", hospital)}


def test_who_did_not_submit_cannot_be_restored(world: World) -> None:
    study = founded(world, hospitals=4)
    study.open()
    submitted(study)
    study.frozen(1, 3, study.grant(3, 1))
    study.pass_phase(1, "submitBy")
    study.finalize(1, 0b011)
    assert masks(study) == (0b0100, 0)
    assert refusals(study, 3) == {("NotRestorable", 3)}


def test_a_weight_is_restored_once(study: Study) -> None:
    both_vote(study)
    assert refusals(study, OUT) == {("NotRestorable", OUT)}
    assert counted(study) == [[1, 2, 4], 7]


def test_a_round_that_is_not_finalized_has_nobody_to_restore(world: World) -> None:
    """One that lapsed counted everybody; one that was aborted has no submission."""
    study = founded(world)
    study.open()
    submitted(study)
    assert masks(study) == (0, 0)
    assert refusals(study, OUT) == {("NotRestorable", OUT)}
    study.pass_phase(1, "finalizeBy")
    study.open()
    assert counted(study) == [[1, 2, 4], 7]
    assert refusals(study, OUT) == {("NotRestorable", OUT)}
    world.send(world.rounds.abort(study.number, 2), world.center)
    assert refusals(study, OUT, number=2) == {("NotRestorable", OUT)}
    unknown = ("UnknownRound", study.number, 3)
    assert refusals(study, OUT, number=3) == {unknown}
    assert world.refused(world.rounds.restored(study.number, 3), world.h1) == unknown


def test_who_was_voided_cannot_be_restored(world: World) -> None:
    """Its share is cancelled, so that its weight would only lessen those of others."""
    study = founded(world, minHospitals=1)
    study.open()
    submitted(study, (1, 2))
    forged = settlement.Consent(settlement.kit.patient(7_777), 1)
    cohort = study.frozen(1, OUT, [forged])
    study.submit(1, OUT)
    world.send(world.challenges.challengeLeaf(*cohort.evidence(0)), world.stranger)
    study.finalize(1, 0b001)
    assert masks(study) == (0b010, 0)
    assert refusals(study, OUT) == {("NotRestorable", OUT)}


def test_a_void_in_any_other_round_ends_the_vote(study: Study) -> None:
    world = study.world
    world.send(restore(study), world.auditor)
    void(study, study.open(), OUT)
    assert world.refused(restore(study), world.auditor2) == ("NotRestorable", OUT)
    assert shares_of(study, 3) == [33, 67, 0]


def test_a_void_after_a_restore_cancels_the_share_and_gives_it_to_nobody(study: Study) -> None:
    world = study.world
    both_vote(study)
    before = shares_of(study, 3)
    void(study, study.open(), OUT)
    assert shares_of(study, 3) == [*before[:2], 0]
    assert not study.round(1).contaminated, "its update is in no model"
    study.pass_deadline("challengeEnd")
    claim = world.escrow.claimHospital(study.number, OUT)
    assert world.refused(claim, world.h3) == ("VoidedHospital", OUT)


def test_a_masked_round_leaves_nobody_to_restore(world: World) -> None:
    study = founded(world, hospitals=4, **MASKED)
    study.open()
    forged = settlement.Consent(settlement.kit.patient(7_777), 1)
    cohort = study.frozen(1, 0, [forged])
    for hospital in (1, 2, 3):
        study.frozen(1, hospital, study.grant(hospital, 1))
    for hospital in range(4):
        study.submit(1, hospital)
    world.send(world.challenges.challengeLeaf(*cohort.evidence(0)), world.stranger)
    world.send(world.rounds.closeSubmit(study.number, 1), world.stranger)
    for hospital in (1, 2, 3):
        world.send(
            world.rounds.unmask(study.number, 1, settlement.MANIFEST), study.hospitals[hospital]
        )
    study.finalize(1, 0b1110)
    assert masks(study) == (0, 0)
    for hospital in range(4):
        assert refusals(study, hospital) == {("NotRestorable", hospital)}


def test_of_a_drawn_round_only_who_was_drawn_can_be_restored(world: World) -> None:
    study = founded(world, hospitals=4)
    draw = world.rounds.openDrawn(study.number, 0, STATE, 0b1111, 0b0111)
    world.send(draw, world.center)
    submitted(study)
    study.finalize(1, 0b011)
    assert masks(study) == (0b0100, 0)
    assert refusals(study, 3) == {("NotRestorable", 3)}


# -------------------------------------------------------------------- beside a posted root


def test_a_restore_moves_no_share_of_a_root_that_stands(world: World) -> None:
    study, tree = by_root(world)
    both_vote(study)
    study.pass_deadline("challengeEnd")
    by_count = world.escrow.claimHospital(study.number, OUT)
    assert world.refused(by_count, world.h3) == ("WrongRule",)
    for hospital, amount in enumerate([70, 30]):
        proof = tree.proof(hospital)
        claim = world.escrow.claimHospitalByRoot(study.number, hospital, amount, proof)
        world.send(claim, world.stranger)
    assert study.account.paidHospitals == POOL


def test_once_the_root_is_rejected_the_restored_weight_is_paid(world: World) -> None:
    study, _ = by_root(world)
    both_vote(study)
    for auditor in (world.auditor, world.auditor2):
        world.send(world.escrow.rejectRewardRoot(study.number), auditor)
    study.pass_deadline("challengeEnd")
    receipt = world.send(world.escrow.claimHospital(study.number, OUT), world.stranger)
    assert ("HospitalPaid", study.number, study.hospitals[OUT], OUT, 57) in world.logs(receipt)


def by_root(world: World) -> tuple[Study, settlement.Tree]:
    """A contribution rule's study whose center left one out, and posted shares without it."""
    study = founded(world, rule=1)
    study.open()
    submitted(study)
    study.finalize(1, 0b011)
    leaves = [settlement.reward_leaf(study.number, i, part) for i, part in enumerate([70, 30])]
    tree = settlement.Tree.over(leaves)
    post = world.escrow.postRewardRoot(study.number, tree.root, POOL)
    world.send(post, world.center)
    return study, tree
