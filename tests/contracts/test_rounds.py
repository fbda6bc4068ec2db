"""Rounds in open mode: who may open, freeze, submit, finalize, abort and lapse, and when."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_utils.crypto import keccak

from tests.contracts import settlement
from tests.contracts.kit import ZERO, World
from tests.contracts.settlement import COMMITMENT, MANIFEST, STATE, Consent, Study

pytestmark = pytest.mark.engine("anvil")

OTHER = keccak(text="another state")


@pytest.fixture
def study(world: World) -> Study:
    return settlement.found(world)


@pytest.fixture
def consents(study: Study) -> list[list[Consent]]:
    """Three patients in each of three hospitals."""
    return [study.grant(hospital, 3) for hospital in range(3)]


def submitted(study: Study, consents: list[list[Consent]], hospitals: int = 3) -> int:
    """A round in which that many hospitals froze and submitted."""
    number = study.open()
    for hospital in range(hospitals):
        study.frozen(number, hospital, consents[hospital])
        study.submit(number, hospital)
    return number


def void(study: Study, number: int, hospital: int, consents: list[Consent]) -> settlement.Cohort:
    """Freezes a cohort with an id that nobody granted, and has it voided."""
    cohort = study.cohort(number, hospital, consents, n=len(consents) - 1, weight=1)
    study.freeze(cohort)
    challenge(study, cohort)
    return cohort


def challenge(study: Study, cohort: settlement.Cohort) -> Any:
    """Voids for the last leaf, whose index is not below n."""
    call = study.world.challenges.challengeLeaf(*cohort.evidence(len(cohort.leaves) - 1))
    return study.world.send(call, study.world.stranger)


# -------------------------------------------------------------------- open


def test_a_round_opens_from_the_studys_own_state_with_deadlines_out_of_its_terms(
    study: Study,
) -> None:
    world = study.world
    receipt = world.send(world.rounds.open(study.number, 0, STATE), world.center)
    assert world.logs(receipt) == [("RoundOpened", study.number, 1, 0, STATE, 0b111)]
    round_ = study.round(1)
    opened = world.w3.eth.get_block(receipt["blockNumber"])["timestamp"]
    assert (round_.freezeBy, round_.submitBy) == (opened + 1_000, opened + 2_000)
    assert (round_.unmaskBy, round_.finalizeBy) == (opened + 2_000, opened + 3_000)
    assert (round_.openBlock, round_.parent) == (receipt["blockNumber"], 0)
    assert (round_.enrolled, round_.frozen, round_.submitted) == (0b111, 0, 0)
    assert (round_.startState, round_.state) == (STATE, ZERO)
    assert world.rounds.deadlines(study.number, 1).call() == [
        round_.freezeBy,
        round_.submitBy,
        round_.unmaskBy,
        round_.finalizeBy,
    ]


def test_only_the_center_opens_aborts_and_finalizes(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents)
    for sender in (world.h1, world.auditor, world.operator, world.stranger):
        refusal = ("NotTheCenter", sender.lower())
        assert world.refused(world.rounds.open(study.number, 0, STATE), sender) == refusal
        assert world.refused(world.rounds.abort(study.number, number), sender) == refusal
        assert world.refused(study.finalization(number, 0b111), sender) == refusal


def test_a_round_waits_until_the_one_before_is_over(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents)
    call = world.rounds.open(study.number, 0, STATE)
    assert world.refused(call, world.center) == ("RoundLive", study.number, 1)
    study.finalize(number, 0b111)
    assert study.open() == 2
    world.send(world.rounds.abort(study.number, 2), world.center)
    assert study.open() == 3


def test_opening_counts_a_round_that_ran_out_unfinalized(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents)
    study.pass_phase(number, "finalizeBy")
    receipt = world.send(world.rounds.open(study.number, 0, STATE), world.center)
    assert [log[0] for log in world.logs(receipt)] == ["Lapsed", "RoundOpened"]
    assert study.round(number).lapsed
    assert world.rounds.countedWeights(study.number).call() == [[3, 3, 3], 9]


def test_a_round_starts_from_the_finalized_state_of_its_parent_and_no_other(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    study.finalize(submitted(study, consents), 0b111, OTHER)
    for parent, state, expected in ((1, STATE, OTHER), (0, OTHER, STATE), (1, ZERO, OTHER)):
        call = world.rounds.open(study.number, parent, state)
        assert world.refused(call, world.center) == ("WrongState", state, expected)
    assert study.open(parent=1, state=OTHER) == 2
    world.send(world.rounds.abort(study.number, 2), world.center)
    aborted = world.rounds.open(study.number, 2, OTHER)
    assert world.refused(aborted, world.center) == ("WrongState", OTHER, ZERO)
    nothing = world.rounds.open(study.number, 2, ZERO)
    assert world.refused(nothing, world.center) == ("WrongState", ZERO, ZERO)
    unknown = world.rounds.open(study.number, 3, OTHER)
    assert world.refused(unknown, world.center) == ("UnknownRound", study.number, 3)
    assert study.open(parent=0) == 3, "a study may go back to where it began"


def test_a_study_may_go_on_from_a_contaminated_round(
    study: Study, consents: list[list[Consent]]
) -> None:
    number = study.open()
    bad = study.frozen(number, 0, consents[0], n=2, weight=2)
    study.submit(number, 0)
    for hospital in (1, 2):
        study.frozen(number, hospital, consents[hospital])
        study.submit(number, hospital)
    study.finalize(number, 0b111, OTHER)
    challenge(study, bad)
    assert study.round(number).contaminated
    assert study.open(parent=number, state=OTHER) == 2
    assert study.round(2).enrolled == 0b110


def test_a_round_needs_k_hospitals_that_are_neither_gone_nor_voided(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    world.send(world.studies.quit(study.number), world.h3)
    number = study.open()
    assert study.round(number).enrolled == 0b011
    void(study, number, 0, consents[0])
    world.send(world.rounds.abort(study.number, number), world.center)
    call = world.rounds.open(study.number, 0, STATE)
    assert world.refused(call, world.center) == ("TooFewHospitals", 1, 2)


def test_no_round_ends_after_the_study(world: World) -> None:
    study = settlement.found(world)
    world.at(study.terms.endBy - 2_990)
    world.mine()
    call = world.rounds.open(study.number, 0, STATE)
    name, finalize_by, end_by = world.refused(call, world.center)
    assert (name, end_by) == ("RoundTooLate", study.terms.endBy)
    assert finalize_by > end_by


def test_a_round_may_end_with_the_study(world: World) -> None:
    study = settlement.found(world)
    world.at(study.terms.endBy - 3_000)
    assert study.round(study.open()).finalizeBy == study.terms.endBy


def test_no_more_rounds_than_the_terms_allow(world: World) -> None:
    study = settlement.found(world, maxRounds=2)
    for number in (1, 2):
        study.open()
        world.send(world.rounds.abort(study.number, number), world.center)
    call = world.rounds.open(study.number, 0, STATE)
    assert world.refused(call, world.center) == ("TooManyRounds", study.number)


def test_unknown_studies_and_rounds_are_named(study: Study) -> None:
    world = study.world
    unknown = world.rounds.open(99, 0, STATE)
    assert world.refused(unknown, world.center) == ("UnknownStudy", 99)
    for call in (
        world.rounds.abort(study.number, 1),
        study.submission(1),
        study.finalization(1, 1),
        world.rounds.lapse(study.number, 1),
        world.rounds.closeSubmit(study.number, 1),
        world.rounds.round(study.number, 1),
        world.rounds.pays(study.number, 0),
        world.rounds.isOver(study.number, 1),
    ):
        sender = world.h1 if call.fn_name == "submit" else world.center
        refused = world.refused(call, sender)
        assert refused[:2] == ("UnknownRound", study.number)


# -------------------------------------------------------------------- freeze


def test_a_freeze_stores_one_digest_of_its_fields_and_sender_and_shows_them_in_its_event(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    cohort = study.cohort(number, 1, consents[1], weight=2)
    ((name, *where, shown),) = world.logs(study.freeze(cohort))
    assert (name, *where) == ("Frozen", study.number, number, world.h2)
    assert tuple(shown.values()) == cohort.freeze
    kinds = ["uint256"] * 3 + ["uint64", "bytes32", "bytes32", "uint32", "uint32"]
    kinds += ["bytes32"] * 2
    digest = keccak(encode(kinds, cohort.freeze))
    assert world.rounds.hashFreeze(cohort.freeze).call() == digest
    stored = settlement.read(world.rounds.cohort(study.number, number, 1))
    assert (stored.digest, stored.weight) == (settlement.bound(digest, world.h2), 2)
    assert study.round(number).frozen == 0b010


def test_only_the_hospital_itself_freezes_and_only_at_its_own_index(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    for index in (0, 2, 3, 255, 256, 2**256 - 1):
        call = world.rounds.freeze(study.cohort(number, index, consents[0]).freeze)
        assert world.refused(call, world.h2) == ("NotInRound", world.h2.lower())
    call = world.rounds.freeze(study.cohort(number, 0, consents[0]).freeze)
    for sender in (world.center, world.stranger):
        assert world.refused(call, sender) == ("NotEnrolled", sender.lower())


def test_a_hospital_that_enrols_later_waits_for_the_next_round(world: World) -> None:
    study = settlement.found(world, hospitals=2)
    number = study.open()
    settlement.enrol(study, world.h3)
    consents = study.grant(2, 1)
    call = world.rounds.freeze(study.cohort(number, 2, consents).freeze)
    assert world.refused(call, world.h3) == ("NotInRound", world.h3.lower())
    submission = study.submission(number)
    assert world.refused(submission, world.h3) == ("NotInRound", world.h3.lower())


def test_a_hospital_that_quits_may_finish_the_round_it_was_in(
    study: Study, consents: list[list[Consent]]
) -> None:
    number = study.open()
    study.world.send(study.world.studies.quit(study.number), study.world.h1)
    study.frozen(number, 0, consents[0])
    study.submit(number, 0)
    assert study.round(number).submitted == 0b001


def test_a_hospital_freezes_once(study: Study, consents: list[list[Consent]]) -> None:
    world = study.world
    number = study.open()
    study.frozen(number, 0, consents[0])
    again = world.rounds.freeze(study.cohort(number, 0, consents[0][:2]).freeze)
    assert world.refused(again, world.h1) == ("AlreadyDone", world.h1.lower())


def test_freezing_is_open_until_freeze_by_and_not_one_second_longer(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    freeze_by = study.round(number).freezeBy
    world.at(freeze_by)
    study.frozen(number, 0, consents[0])
    assert world.now == freeze_by
    late = world.rounds.freeze(study.cohort(number, 1, consents[1]).freeze)
    world.at(freeze_by + 1)
    world.mine()
    assert world.refused(late, world.h2) == ("WrongPhase", study.number, number)


def test_a_snapshot_lies_between_the_opening_and_the_past_with_the_chains_own_hash(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    before = world.block
    number = study.open()
    world.mine(3)
    latest = world.block

    def refused(block: int, of: int) -> tuple[Any, ...]:
        block_hash = bytes(world.w3.eth.get_block(of)["hash"])
        cohort = study.cohort(number, 0, consents[0], snapshot=block, snapshotHash=block_hash)
        return world.refused(world.rounds.freeze(cohort.freeze), world.h1)

    assert refused(before, before) == ("BadSnapshot", before)
    assert refused(latest, latest - 1) == ("BadSnapshot", latest)
    assert refused(latest + 1, latest) == ("BadSnapshot", latest + 1), "the block being made"
    assert refused(latest + 9, latest) == ("BadSnapshot", latest + 9)
    zero = study.cohort(number, 0, consents[0], snapshot=latest + 1, snapshotHash=ZERO)
    refusal = world.refused(world.rounds.freeze(zero.freeze), world.h1)
    assert refusal == ("BadSnapshot", latest + 1), "a block without a hash here"
    opened = study.round(number).openBlock
    of_opening = bytes(world.w3.eth.get_block(opened)["hash"])
    study.frozen(number, 0, consents[0], snapshot=opened, snapshotHash=of_opening)


def test_a_snapshot_older_than_256_blocks_is_refused(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    cohort = study.cohort(number, 0, consents[0])
    world.mine(255)
    call = world.rounds.freeze(cohort.freeze)
    snapshot = cohort.freeze[3]
    world.send(call, world.h1)
    assert world.block - snapshot == 256
    other = study.cohort(number, 1, consents[1])
    world.mine(256)
    late = world.rounds.freeze(other.freeze)
    assert world.refused(late, world.h2) == ("BadSnapshot", other.freeze[3])


def test_a_reorganisation_undoes_a_freeze_and_makes_no_honest_one_false(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    before = world.rpc("evm_snapshot")
    world.mine()
    cohort = study.cohort(number, 0, consents[0])
    world.rpc("evm_revert", before)
    world.at(world.now + 50)
    world.mine(2)
    replaced = world.rounds.freeze(cohort.freeze)
    assert world.refused(replaced, world.h1) == ("BadSnapshot", cohort.freeze[3])
    anew = study.frozen(number, 0, consents[0])
    assert anew.tree.root == cohort.tree.root


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"n": 0, "weight": 0}, "BadCohort"),
        ({"weight": 0}, "BadCohort"),
        ({"weight": 4}, "BadCohort"),
        ({"n": 2_000, "weight": 1_001}, "BadCohort"),
        ({"roundKeys": keccak(text="keys")}, "BadCohort"),
        ({"root": ZERO}, "EmptyDigest"),
        ({"leafList": ZERO}, "EmptyDigest"),
    ],
    ids=str,
)
def test_a_cohort_that_contradicts_itself_or_the_terms_is_refused(
    study: Study, consents: list[list[Consent]], fields: dict[str, Any], refusal: str
) -> None:
    world = study.world
    number = study.open()
    cohort = study.cohort(number, 0, consents[0], **fields)
    assert world.refused(world.rounds.freeze(cohort.freeze), world.h1) == (refusal,)


def test_the_largest_weight_is_taken(study: Study, consents: list[list[Consent]]) -> None:
    number = study.open()
    study.frozen(number, 0, consents[0], n=2_000, weight=1_000)
    assert study.round(number).frozen == 1


# -------------------------------------------------------------------- submit


def test_a_submission_is_recorded_with_its_digest_and_marks_the_round_reached_at_k(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    for hospital in (0, 1):
        study.frozen(number, hospital, consents[hospital])
    call = world.rounds.submit(study.number, number, MANIFEST, COMMITMENT)
    receipt = world.send(call, world.h2)
    assert world.logs(receipt) == [
        ("Submitted", study.number, number, world.h2, 1, MANIFEST, COMMITMENT)
    ]
    digest = keccak(MANIFEST + COMMITMENT)
    assert world.rounds.submissionDigest(study.number, number, 1).call() == digest
    assert world.rounds.submissionDigest(study.number, number, 0).call() == ZERO
    assert (study.round(number).submitted, study.round(number).reached) == (0b010, False)
    study.submit(number, 0)
    assert (study.round(number).submitted, study.round(number).reached) == (0b011, True)


def test_nobody_submits_before_the_own_freeze_or_twice_or_without_digests(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    early = study.submission(number)
    assert world.refused(early, world.h1) == ("WrongPhase", study.number, number)
    assert world.refused(early, world.stranger) == ("NotEnrolled", world.stranger.lower())
    study.frozen(number, 0, consents[0])
    for manifest, commitment in ((ZERO, COMMITMENT), (MANIFEST, ZERO)):
        empty = world.rounds.submit(study.number, number, manifest, commitment)
        assert world.refused(empty, world.h1) == ("EmptyDigest",)
    study.submit(number, 0)
    assert world.refused(early, world.h1) == ("AlreadyDone", world.h1.lower())


def test_submitting_is_open_until_submit_by_and_not_one_second_longer(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    for hospital in (0, 1):
        study.frozen(number, hospital, consents[hospital])
    submit_by = study.round(number).submitBy
    world.at(submit_by)
    study.submit(number, 0)
    assert world.now == submit_by
    world.at(submit_by + 1)
    world.mine()
    late = study.submission(number)
    assert world.refused(late, world.h2) == ("WrongPhase", study.number, number)


def test_a_voided_hospital_cannot_submit(study: Study, consents: list[list[Consent]]) -> None:
    number = study.open()
    void(study, number, 0, consents[0])
    late = study.submission(number)
    assert study.world.refused(late, study.world.h1) == ("VoidedHospital", 0)


def test_reached_stays_when_a_submission_is_voided_later(
    study: Study, consents: list[list[Consent]]
) -> None:
    number = study.open()
    bad = study.frozen(number, 0, consents[0], n=2, weight=2)
    study.frozen(number, 1, consents[1])
    for hospital in (0, 1):
        study.submit(number, hospital)
    challenge(study, bad)
    assert study.round(number).reached


def test_a_voided_submission_does_not_help_to_reach_k(
    study: Study, consents: list[list[Consent]]
) -> None:
    number = study.open()
    bad = study.frozen(number, 0, consents[0], n=2, weight=2)
    study.submit(number, 0)
    challenge(study, bad)
    study.frozen(number, 1, consents[1])
    study.submit(number, 1)
    assert not study.round(number).reached
    study.frozen(number, 2, consents[2])
    study.submit(number, 2)
    assert study.round(number).reached


# -------------------------------------------------------------------- abort


def test_the_center_ends_a_round_that_nobody_submitted_to(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    study.frozen(number, 0, consents[0])
    receipt = world.send(world.rounds.abort(study.number, number), world.center)
    assert world.logs(receipt) == [("Aborted", study.number, number)]
    assert study.round(number).aborted
    assert world.rounds.isOver(study.number, number).call()
    for call, sender in (
        (world.rounds.abort(study.number, number), world.center),
        (world.rounds.freeze(study.cohort(number, 1, consents[1]).freeze), world.h2),
        (study.submission(number), world.h1),
        (study.finalization(number, 1), world.center),
    ):
        assert world.refused(call, sender) == ("WrongPhase", study.number, number)
    study.pass_phase(number, "finalizeBy")
    lapse = world.rounds.lapse(study.number, number)
    assert world.refused(lapse, world.stranger) == ("WrongPhase", study.number, number)
    assert not world.rounds.pays(study.number, number).call()


def test_after_one_submission_the_center_cannot_end_the_round(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    bad = study.frozen(number, 0, consents[0], n=2, weight=2)
    study.submit(number, 0)
    abort = world.rounds.abort(study.number, number)
    assert world.refused(abort, world.center) == ("WrongPhase", study.number, number)
    challenge(study, bad)
    assert world.refused(abort, world.center) == ("WrongPhase", study.number, number)


def test_a_round_that_ran_out_cannot_be_aborted(study: Study) -> None:
    world = study.world
    number = study.open()
    study.pass_phase(number, "finalizeBy")
    abort = world.rounds.abort(study.number, number)
    assert world.refused(abort, world.center) == ("WrongPhase", study.number, number)


# -------------------------------------------------------------------- finalize


def test_finalizing_binds_the_inputs_one_state_and_the_manifest_and_counts_weights(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents)
    receipt = study.finalize(number, 0b101, OTHER)
    digests = [
        world.rounds.submissionDigest(study.number, number, hospital).call() for hospital in (0, 2)
    ]
    fields = (study.number, number, 0b101, digests)
    inputs = keccak(encode(["uint256", "uint256", "uint256", "bytes32[]"], fields))
    assert world.logs(receipt) == [
        ("Finalized", study.number, number, 0b101, inputs, OTHER, MANIFEST)
    ]
    round_ = study.round(number)
    assert (round_.finalized, round_.included, round_.inputs) == (True, 0b101, inputs)
    assert (round_.state, round_.manifest) == (OTHER, MANIFEST)
    assert world.rounds.countedWeights(study.number).call() == [[3, 0, 3], 6]
    assert world.rounds.countedWeight(study.number, 2).call() == [3, 6]
    assert world.rounds.pays(study.number, number).call()


def test_weights_add_up_over_rounds(study: Study, consents: list[list[Consent]]) -> None:
    study.run_round(consents)
    study.run_round([consents[0], consents[1][:1]])
    assert study.world.rounds.countedWeights(study.number).call() == [[6, 4, 3], 13]


def test_a_round_is_finalized_once(study: Study, consents: list[list[Consent]]) -> None:
    number = submitted(study, consents)
    study.finalize(number, 0b111)
    again = study.finalization(number, 0b011, OTHER)
    refusal = ("WrongPhase", study.number, number)
    assert study.world.refused(again, study.world.center) == refusal


def test_k_submissions_are_not_enough_while_a_hospital_may_still_freeze(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents, hospitals=2)
    early = study.finalization(number, 0b011)
    assert world.refused(early, world.center) == ("WrongPhase", study.number, number)
    study.pass_phase(number, "freezeBy")
    study.finalize(number, 0b011)


def test_the_center_waits_for_every_frozen_hospital_until_submit_by(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents, hospitals=2)
    study.frozen(number, 2, consents[2])
    early = study.finalization(number, 0b011)
    assert world.refused(early, world.center) == ("WrongPhase", study.number, number)
    study.pass_phase(number, "freezeBy")
    assert world.refused(early, world.center) == ("WrongPhase", study.number, number)
    study.pass_phase(number, "submitBy")
    study.finalize(number, 0b011)


def test_all_in_means_no_waiting(study: Study, consents: list[list[Consent]]) -> None:
    number = submitted(study, consents)
    assert study.world.now < study.round(number).freezeBy
    study.finalize(number, 0b111)


def test_finalizing_is_open_until_finalize_by(study: Study, consents: list[list[Consent]]) -> None:
    number = submitted(study, consents)
    study.world.at(study.round(number).finalizeBy)
    study.finalize(number, 0b111)
    assert study.round(number).finalized


def test_never_after_finalize_by(study: Study, consents: list[list[Consent]]) -> None:
    number = submitted(study, consents)
    study.pass_phase(number, "finalizeBy")
    late = study.finalization(number, 0b111)
    refusal = ("WrongPhase", study.number, number)
    assert study.world.refused(late, study.world.center) == refusal


def test_included_names_submitters_alone_and_at_least_k(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents, hospitals=2)
    study.pass_phase(number, "submitBy")
    for included in (0b111, 0b100, 0b1011, 1 << 255 | 0b011):
        call = study.finalization(number, included)
        assert world.refused(call, world.center) == ("BadIncluded", included, 0b011)
    for included, have in ((0b001, 1), (0, 0)):
        call = study.finalization(number, included)
        assert world.refused(call, world.center) == ("TooFewSubmissions", have, 2)
    study.finalize(number, 0b011)


def test_neither_state_nor_manifest_may_be_empty(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents)
    for state, manifest in ((ZERO, MANIFEST), (STATE, ZERO)):
        call = world.rounds.finalize(study.number, number, 0b111, state, manifest)
        assert world.refused(call, world.center) == ("EmptyDigest",)


def test_an_update_voided_before_finalize_leaves_the_inputs_and_is_not_waited_for(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents, hospitals=2)
    bad = study.frozen(number, 2, consents[2], n=2, weight=2)
    waiting = study.finalization(number, 0b011)
    assert world.refused(waiting, world.center)[0] == "WrongPhase"
    challenge(study, bad)
    study.finalize(number, 0b011)
    assert not study.round(number).contaminated


def test_the_contract_refuses_a_voided_update(study: Study, consents: list[list[Consent]]) -> None:
    world = study.world
    number = study.open()
    bad = study.frozen(number, 0, consents[0], n=2, weight=2)
    study.submit(number, 0)
    for hospital in (1, 2):
        study.frozen(number, hospital, consents[hospital])
        study.submit(number, hospital)
    challenge(study, bad)
    call = study.finalization(number, 0b111)
    assert world.refused(call, world.center) == ("BadIncluded", 0b111, 0b110)
    study.finalize(number, 0b110)
    assert not study.round(number).contaminated
    assert world.rounds.countedWeights(study.number).call() == [[0, 3, 3], 6]


def test_a_void_after_finalize_flags_the_round_and_rewrites_nothing(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    bad = study.frozen(number, 0, consents[0], n=2, weight=2)
    study.submit(number, 0)
    for hospital in (1, 2):
        study.frozen(number, hospital, consents[hospital])
        study.submit(number, hospital)
    study.finalize(number, 0b111)
    before = vars(study.round(number))
    logs = world.logs(challenge(study, bad))
    assert ("Voided", study.number, number, 0, True) in logs
    changes = {"contaminated": True, "voided": 0b001}
    assert vars(study.round(number)) == before | changes
    assert world.rounds.countedWeights(study.number).call() == [[2, 3, 3], 8]
    assert world.rounds.countedWeight(study.number, 0).call() == [0, 8]


def test_voiding_an_update_that_was_excluded_contaminates_nothing(
    study: Study, consents: list[list[Consent]]
) -> None:
    number = study.open()
    bad = study.frozen(number, 0, consents[0], n=2, weight=2)
    study.submit(number, 0)
    for hospital in (1, 2):
        study.frozen(number, hospital, consents[hospital])
        study.submit(number, hospital)
    study.finalize(number, 0b110)
    challenge(study, bad)
    assert not study.round(number).contaminated


def test_a_hospital_voided_in_one_round_is_out_of_the_live_one(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    bad, *_ = study.run_round([consents[0], consents[1]], n=2, weight=2)
    number = study.open()
    study.frozen(number, 0, consents[0])
    for hospital in (1, 2):
        study.frozen(number, hospital, consents[hospital])
        study.submit(number, hospital)
    challenge(study, bad)
    submission = study.submission(number)
    assert world.refused(submission, world.h1) == ("VoidedHospital", 0)
    study.finalize(number, 0b110)
    assert study.round(number).voided == 0, "its update of that round was not proven false"


def test_a_hospital_voided_in_one_round_cannot_freeze_in_the_live_one(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    bad, *_ = study.run_round([consents[0], consents[1]], n=2, weight=2)
    number = study.open()
    challenge(study, bad)
    freeze = world.rounds.freeze(study.cohort(number, 0, consents[0]).freeze)
    assert world.refused(freeze, world.h1) == ("VoidedHospital", 0)
    for hospital in (1, 2):
        study.frozen(number, hospital, consents[hospital])
        study.submit(number, hospital)
    study.finalize(number, 0b110)


def test_only_challenges_voids(study: Study, consents: list[list[Consent]]) -> None:
    world = study.world
    number = submitted(study, consents)
    call = world.rounds.voidUpdate(study.number, number, 0)
    for sender in (world.center, world.operator, world.h1, world.contracts["escrow"].address):
        assert world.refused(call, sender) == ("OnlyChallenges",)


# -------------------------------------------------------------------- lapse


def test_withholding_finalize_gains_the_center_nothing(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents)
    lapse = world.rounds.lapse(study.number, number)
    assert not world.rounds.pays(study.number, number).call()
    assert world.refused(lapse, world.stranger) == ("WrongPhase", study.number, number)
    study.pass_phase(number, "finalizeBy")
    assert world.rounds.pays(study.number, number).call()
    receipt = world.send(lapse, world.stranger)
    assert world.logs(receipt) == [("Lapsed", study.number, number)]
    assert world.rounds.countedWeights(study.number).call() == [[3, 3, 3], 9]
    assert world.refused(lapse, world.stranger) == ("WrongPhase", study.number, number)


def test_a_round_below_k_lapses_without_weight_and_pays_nobody(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = submitted(study, consents, hospitals=1)
    study.pass_phase(number, "finalizeBy")
    world.send(world.rounds.lapse(study.number, number), world.stranger)
    assert world.rounds.countedWeights(study.number).call() == [[0, 0, 0], 0]
    assert not world.rounds.pays(study.number, number).call()


def test_a_finalized_round_does_not_lapse(study: Study, consents: list[list[Consent]]) -> None:
    number = submitted(study, consents)
    study.finalize(number, 0b111)
    study.pass_phase(number, "finalizeBy")
    lapse = study.world.rounds.lapse(study.number, number)
    refusal = ("WrongPhase", study.number, number)
    assert study.world.refused(lapse, study.world.stranger) == refusal


@pytest.mark.parametrize("lapse_first", [True, False])
def test_who_calls_first_after_finalize_by_changes_no_weight(
    study: Study, consents: list[list[Consent]], lapse_first: bool
) -> None:
    world = study.world
    number = study.open()
    bad = study.frozen(number, 0, consents[0], n=2, weight=2)
    study.frozen(number, 1, consents[1])
    for hospital in (0, 1):
        study.submit(number, hospital)
    study.pass_phase(number, "finalizeBy")
    if lapse_first:
        world.send(world.rounds.lapse(study.number, number), world.stranger)
    challenge(study, bad)
    assert study.round(number).lapsed
    assert world.rounds.countedWeights(study.number).call() == [[2, 3, 0], 5]
    assert world.rounds.countedWeight(study.number, 0).call() == [0, 5]


def test_an_update_voided_before_finalize_by_is_not_counted(
    study: Study, consents: list[list[Consent]]
) -> None:
    world = study.world
    number = study.open()
    bad = study.frozen(number, 0, consents[0], n=2, weight=2)
    study.frozen(number, 1, consents[1])
    for hospital in (0, 1):
        study.submit(number, hospital)
    challenge(study, bad)
    study.pass_phase(number, "finalizeBy")
    world.send(world.rounds.lapse(study.number, number), world.stranger)
    assert world.rounds.countedWeights(study.number).call() == [[0, 3, 0], 3]


def test_who_is_voided_for_an_earlier_round_neither_freezes_nor_submits_in_the_live_one(
    study: Study, consents: list[list[Consent]]
) -> None:
    world, first = study.world, study.open()
    bad = [study.frozen(first, hospital, consents[hospital], n=2, weight=2) for hospital in (0, 1)]
    world.send(world.rounds.abort(study.number, first), world.center)
    live = study.open()
    study.frozen(live, 1, consents[1])
    for cohort in bad:
        challenge(study, cohort)
    freeze = world.rounds.freeze(study.cohort(live, 0, consents[0]).freeze)
    assert world.refused(freeze, world.h1) == ("VoidedHospital", 0)
    for hospital in (0, 1):
        call = study.submission(live)
        assert world.refused(call, study.hospitals[hospital]) == ("VoidedHospital", hospital)


def test_a_void_of_who_left_before_the_live_round_leaves_that_round_alone(
    study: Study, consents: list[list[Consent]]
) -> None:
    world, first = study.world, study.open()
    bad = study.frozen(first, 2, consents[2], n=2, weight=2)
    for hospital in (0, 1):
        study.frozen(first, hospital, consents[hospital])
    for hospital in range(3):
        study.submit(first, hospital)
    study.finalize(first, 0b111)
    world.send(world.studies.quit(study.number), study.hospitals[2])
    live = study.open()
    challenge(study, bad)
    for hospital in (0, 1):
        study.frozen(live, hospital, consents[hospital])
        study.submit(live, hospital)
    study.finalize(live, 0b011)
    found = study.round(live)
    assert (found.enrolled, found.frozen, found.voided, found.contaminated) == (3, 3, 0, False)
    assert world.rounds.barred(study.number).call() == 0b100


# -------------------------------------------------------------------- the largest study


@pytest.mark.slow
def test_256_hospitals_fit_in_every_transaction(world: World) -> None:
    cap = 16_777_216  # EIP-7825
    study = settlement.found(
        world, hospitals=0, bond=0, minHospitals=256, maxHospitals=256, hospitalPool=1_000
    )
    for index in range(256):
        settlement.enrol(study, settlement.new_hospital(world, index))
    number = study.open()
    for hospital in range(256):
        leaf = settlement.Leaf(0, keccak(text=f"{hospital}"), STATE)
        study.frozen(number, hospital, [], leaves=[leaf])
        study.submit(number, hospital)
    everyone = 2**256 - 1
    before = world.rpc("evm_snapshot")
    assert settlement.gas_of(study.finalize(number, everyone)) < cap
    round_ = study.round(number)
    assert (round_.included, round_.frozen, round_.submitted) == (everyone,) * 3
    world.rpc("evm_revert", before)
    study.pass_deadline("challengeEnd")
    receipt = world.send(world.escrow.claimHospital(study.number, 255), world.stranger)
    assert [log[0] for log in world.logs(receipt)][:2] == ["Lapsed", "HospitalPaid"]
    assert settlement.gas_of(receipt) < cap
    shares = [world.escrow.shareOf(study.number, index).call() for index in (0, 231, 232, 255)]
    assert shares == [4, 4, 3, 3]
    assert world.rounds.countedWeights(study.number).call() == [[1] * 256, 256]
